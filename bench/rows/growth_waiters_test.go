package rows

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// crowd is a number of callers that wait for the only connection of a pool.
type crowd struct {
	pool   *pool.Pool
	lease  pool.Lease // of the only connection
	ctx    context.Context
	leave  context.CancelFunc
	people sync.WaitGroup
}

// gather has n callers wait, each in a goroutine that runs wait.
func gather(b *testing.B, n int, cfg pool.Config, wait func(*crowd)) *crowd {
	b.Helper()
	cfg.MaxConns = 1
	c := &crowd{pool: newPool(b, cfg)}
	c.ctx, c.leave = context.WithCancel(b.Context())
	c.lease = acquire(b, c.pool)
	for range n {
		c.people.Go(func() { wait(c) })
	}
	waitFor(b, func() bool {
		now := c.pool.Stats()
		return now.Waiting+int(now.Timeouts) >= n
	})
	return c
}

// disperse ends everybody's wait.
func (c *crowd) disperse() {
	c.leave()
	c.people.Wait()
	c.lease.Release(pool.Clean)
}

// patiently waits until the crowd disperses.
func patiently(c *crowd) {
	if lease, err := c.pool.Acquire(c.ctx); err == nil {
		lease.Release(pool.Clean)
	}
}

// leaving is the context of a caller who goes the moment he has joined the queue:
// when asked before that, it has not ended. So no second goroutine and no timer
// is part of what is measured.
type leaving struct {
	context.Context
	asked bool
}

var gone = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (*leaving) Done() <-chan struct{} { return gone }

func (l *leaving) Err() error {
	if !l.asked {
		l.asked = true
		return nil
	}
	return context.Canceled
}

func growthEnter(b *testing.B, _ string, n int) {
	c := gather(b, n, pool.Config{AcquireTimeout: pool.None}, patiently)
	defer c.disperse()
	ctx := &leaving{Context: b.Context()}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		ctx.asked = false
		if _, err := c.pool.Acquire(ctx); !errors.Is(err, context.Canceled) {
			b.Fatalf("got %v from the queue, want to have left it", err)
		}
	}
	b.StopTimer()
}

// growthGrant has the connection go round among the callers until it has been
// granted b.N times.
func growthGrant(b *testing.B, contender string, n int) {
	if contender == Channel {
		handRound(b, n)
		return
	}
	var granted atomic.Int64
	done := make(chan struct{})
	round := func(c *crowd) {
		for {
			lease, err := c.pool.Acquire(c.ctx)
			if err != nil {
				return
			}
			if granted.Add(1) == int64(b.N) {
				close(done)
				<-c.ctx.Done() // keeps the connection, so that nothing moves any more
			}
			lease.Release(pool.Clean)
		}
	}
	c := gather(b, n, pool.Config{AcquireTimeout: pool.None}, round)
	b.ReportAllocs()
	b.ResetTimer()
	c.lease.Release(pool.Clean)
	<-done
	b.StopTimer()
	c.disperse()
}

// handRound does the same with a value that is sent through a channel.
func handRound(b *testing.B, n int) {
	var granted atomic.Int64
	var people, there sync.WaitGroup
	value, done := make(chan struct{}, 1), make(chan struct{})
	there.Add(n)
	for range n {
		people.Go(func() {
			there.Done()
			for range value {
				if granted.Add(1) == int64(b.N) {
					close(done)
					return
				}
				value <- struct{}{}
			}
		})
	}
	there.Wait()
	b.ReportAllocs()
	b.ResetTimer()
	value <- struct{}{}
	<-done
	b.StopTimer()
	close(value)
	people.Wait()
}

// growthExpire reports the processor time from shortly before the first answer to
// the last one. Where the first answer comes before all are waiting, the timeout is
// doubled.
func growthExpire(b *testing.B, _ string, n int) {
	var spent time.Duration
	timeout := 100*time.Millisecond + time.Duration(n)*10*time.Microsecond
	for done := 0; done < few(b); {
		shortly := time.Now().Add(timeout - 20*time.Millisecond)
		c := gather(b, n, pool.Config{AcquireTimeout: timeout}, patiently)
		time.Sleep(time.Until(shortly))
		early := c.pool.Stats().Timeouts
		before := processorTime(b)
		c.people.Wait()
		if early > 0 {
			timeout *= 2
		} else {
			spent += processorTime(b) - before
			done++
		}
		if got := c.pool.Stats().Timeouts; got != uint64(n) {
			b.Errorf("%d callers of %d ran out of time", got, n)
		}
		c.disperse()
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(few(b))/float64(n), "cpu-ns/op")
}
