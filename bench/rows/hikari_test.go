package rows

import (
	"context"
	"database/sql/driver"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// rulePool is a model of the rule by which HikariCP adds connections, and of
// nothing else of it. As in its HikariPool and ConcurrentBag (version 5):
//
//   - A pool begins with one connection, which its constructor opens before it
//     returns, and then fills up to the floor.
//   - Who finds no idle connection asks for one to be added, unless as many requests
//     are queued already as there are callers waiting, and waits in line for
//     whatever comes first, a returned connection or a new one.
//   - One thread adds them, one after the other. Before each, it looks whether one is
//     still wanted: idle ones below the floor, or callers waiting that are more than
//     the idle connections; otherwise the request is dropped.
type rulePool struct {
	connector driver.Connector
	floor     int
	most      int

	requests chan struct{} // for the adder
	adder    sync.WaitGroup

	mu      sync.Mutex // guards what is below
	idle    []driver.Conn
	waiters []chan driver.Conn // the longest waiting first
	total   int
	pending int   // requests that the adder has not dealt with yet
	err     error // of a connect
}

// newRulePool makes a pool that opens its floor in the background, the first
// connection included: the constructor's own time is not part of what is compared.
func newRulePool(connector driver.Connector, floor, most int) *rulePool {
	p := &rulePool{connector: connector, floor: floor, most: most, requests: make(chan struct{}, most)}
	p.mu.Lock()
	for range floor {
		p.queue()
	}
	p.mu.Unlock()
	p.adder.Go(p.add)
	return p
}

// request asks for one more connection on behalf of so many waiting callers.
func (p *rulePool) request(waiting int) {
	if waiting > len(p.requests) {
		p.queue()
	}
}

// queue queues a request. As in HikariCP the queue is as long as the pool is large,
// and what does not fit is dropped.
func (p *rulePool) queue() {
	select {
	case p.requests <- struct{}{}:
		p.pending++
	default:
	}
}

// add is the one thread that adds connections.
func (p *rulePool) add() {
	for range p.requests {
		p.addOne()
		p.mu.Lock()
		p.pending--
		p.mu.Unlock()
	}
}

func (p *rulePool) addOne() {
	p.mu.Lock()
	wanted := p.total < p.most && (len(p.idle) < p.floor || len(p.waiters) > len(p.idle))
	p.mu.Unlock()
	if !wanted {
		return
	}
	c, err := p.connector.Connect(context.Background())
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.err = err
		return
	}
	p.total++
	p.give(c)
}

// give hands a connection to the longest waiting caller, or keeps it.
func (p *rulePool) give(c driver.Conn) {
	if len(p.waiters) == 0 {
		p.idle = append(p.idle, c)
		return
	}
	first := p.waiters[0]
	p.waiters = p.waiters[1:]
	first <- c
}

func (p *rulePool) acquire() driver.Conn {
	p.mu.Lock()
	if last := len(p.idle) - 1; last >= 0 {
		c := p.idle[last]
		p.idle = p.idle[:last]
		if waiting := len(p.waiters); waiting > 0 {
			p.request(waiting)
		}
		p.mu.Unlock()
		return c
	}
	w := make(chan driver.Conn, 1)
	p.waiters = append(p.waiters, w)
	p.request(len(p.waiters))
	p.mu.Unlock()
	return <-w
}

func (p *rulePool) release(c driver.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.give(c)
}

// settled tells whether nothing is being added, and nothing asked for, any more.
func (p *rulePool) settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pending == 0 && len(p.waiters) == 0
}

// close closes the connections; all must have been released.
func (p *rulePool) close() error {
	close(p.requests)
	p.adder.Wait()
	for _, c := range p.idle {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return p.err
}

// TestRulePoolEndsAsHikariCPDoes is the spike that HikariCP's own documents
// describe: a pool stands at its floor of 5, and 50 callers come at once. They are
// served by what is there, and one connection is added, for which nobody waits.
func TestRulePoolEndsAsHikariCPDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := scripted.New(scripted.Hooks{
			Connect: func(context.Context, int) error { time.Sleep(spikeConnect); return nil },
		})
		p := newRulePool(inner, spikeFloorConns, spikeMost)
		time.Sleep(spikeFloorConns*spikeConnect + time.Millisecond) // exact, in the bubble
		if n := inner.Opened(); n != spikeFloorConns {
			t.Fatalf("%d connections at the beginning, want the floor of %d", n, spikeFloorConns)
		}
		began := time.Now()
		var callers sync.WaitGroup
		for range spikeCallers {
			callers.Go(func() {
				c := p.acquire()
				time.Sleep(spikeQuery)
				p.release(c)
			})
		}
		callers.Wait()
		if took, want := time.Since(began), spikeCallers/spikeFloorConns*spikeQuery; took != want {
			t.Errorf("served after %v, want %v", took, want)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		if n := inner.Opened(); n > spikeFloorConns+1 {
			t.Errorf("%d connections opened, want at most %d", n, spikeFloorConns+1)
		}
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
}
