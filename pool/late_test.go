package pool

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// A holder whose lease was taken back may come when the pool is long over, and rows
// may be collected then. Nobody waits for what is left to be closed, and nothing
// races with the end: run it with -race.
func TestReclaimedLeaseReturnedAfterTheEnd(t *testing.T) {
	for _, collected := range []bool{false, true} {
		slow := ListenerFunc(func(e Event) {
			if e.Kind == EventClosed {
				time.Sleep(100 * time.Millisecond) // so that Shutdown has something to wait for
			}
		})
		synctest.Test(t, func(t *testing.T) {
			d := scripted.New(scripted.Hooks{})
			p, err := New(d, Config{MaxConns: 1, LeakReclaim: time.Minute, Listener: slow})
			if err != nil {
				t.Fatal(err)
			}
			l := mustAcquire(t, p)
			time.Sleep(2 * time.Minute)
			go func() { // who knows nothing of the end
				time.Sleep(time.Second)
				if collected {
					l.Collected(func() error { return nil }, "SELECT 1")
				} else {
					l.Release(Clean)
				}
			}()
			if err := p.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if n := d.Open(); n != 0 {
				t.Errorf("collected %v: %d open", collected, n)
			}
		})
	}
}

// A caller who gives up in the moment in which it is served, or while its connection
// is made ready, ends its wait once, and the connection was never its own.
func TestWaitEndsOnceForTheListener(t *testing.T) {
	slow := false
	hooks := scripted.Hooks{Reset: func(ctx context.Context, _ *scripted.Conn) error {
		if !slow {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	listened(t, hooks, Config{MaxConns: 1, CheckOnAcquire: CheckNever}, func(t *testing.T, p *Pool, d *scripted.Driver, r *record) {
		l := mustAcquire(t, p)
		r.take()
		ctx, cancel := context.WithCancel(context.Background())
		waiter := asyncAcquire(ctx, p)
		cancel()
		l.Release(Clean) // to somebody who is about to see that he may go
		if a := received(t, waiter); !errors.Is(a.err, context.Canceled) {
			t.Errorf("error %v", a.err)
		}
		if got := r.take(); got != "waiting, released, canceled" {
			t.Error(got)
		}
		l = mustAcquire(t, p)
		r.take()
		ctx, cancel = context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		waiter = asyncAcquire(ctx, p)
		slow = true
		l.Release(Clean)
		time.Sleep(2 * time.Second)
		if a := received(t, waiter); !errors.Is(a.err, context.DeadlineExceeded) || !errors.Is(a.err, ErrAcquireTimeout) {
			t.Errorf("error %v", a.err)
		}
		if got := r.take(); got != "waiting, released, retired, timed out" {
			t.Error(got)
		}
		if s := p.Stats(); s.Timeouts != 1 || s.Canceled != 1 || s.Waits != s.Wait.Count || s.Acquires != 2 {
			t.Errorf("%d timeouts, %d canceled, %d waits, %d of them measured, %d acquires", s.Timeouts, s.Canceled, s.Waits, s.Wait.Count, s.Acquires)
		}
	})
}
