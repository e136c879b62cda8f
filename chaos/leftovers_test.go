package chaos

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// baseline is what this process holds before a contender is opened, and has to
// hold again after it was closed.
type baseline struct {
	descriptors int
	goroutines  []goleak.Option
}

func takeBaseline(tb testing.TB) baseline {
	return baseline{countDescriptors(tb), []goleak.Option{
		goleak.IgnoreCurrent(),
		// Who waits for a server's process: one that the fault has started again.
		goleak.IgnoreAnyFunction("github.com/nimue-go/nimue/conformance/servers.startProcess.func1"),
		// toxiproxy's, which the fault may have stopped and started.
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*Proxy).server"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*Proxy).freeBlocker"),
	}}
}

// countDescriptors counts this process's open descriptors, the one that it takes
// to count them included.
func countDescriptors(tb testing.TB) int {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		tb.Fatal(err)
	}
	return len(entries)
}

// verify fails the test if something is left behind, after the time that a
// connection's last goodbye may take.
func (b baseline) verify(tb testing.TB) {
	tb.Helper()
	if !eventually(func() bool { return countDescriptors(tb) <= b.descriptors }) {
		tb.Errorf("%d descriptors open, %d before", countDescriptors(tb), b.descriptors)
	}
	var leaked error
	if !eventually(func() bool { leaked = goleak.Find(b.goroutines...); return leaked == nil }) {
		tb.Error(leaked)
	}
}

// verifyCapacity takes all n connections that the contender may have, all at once:
// a slot that a fault has cost it would show.
func verifyCapacity(tb testing.TB, c *contender, n int) {
	tb.Helper()
	if err := holdAll(c, n); err != nil {
		tb.Errorf("capacity is not whole: %v%s", err, poolState(c))
	}
}

// holdAll takes n connections, holds all of them at one moment, and gives them back.
func holdAll(c *contender, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience/2)
	defer cancel()
	var (
		work sync.WaitGroup
		mu   sync.Mutex
		held []func()
		last error
	)
	for range n {
		work.Go(func() {
			release, err := c.hold(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				last = err
				return
			}
			held = append(held, release)
		})
	}
	work.Wait()
	for _, release := range held {
		release()
	}
	if len(held) < n {
		return fmt.Errorf("%d of %d connections: %w", len(held), n, last)
	}
	return nil
}

// verifyAtRest checks the books of nimue's pool when nobody uses it.
func verifyAtRest(tb testing.TB, c *contender) {
	tb.Helper()
	if c.pool == nil {
		return
	}
	if !eventually(func() bool { s := c.pool.Stats(); return s.InUse == 0 && s.Waiting == 0 }) {
		tb.Errorf("leases or waiters are left behind%s", poolState(c))
	}
}

// poolState is nimue's statistics in a line of their own, for a failure's text.
func poolState(c *contender) string {
	if c.pool == nil {
		return ""
	}
	return fmt.Sprintf("\n\tpool: %+v", c.pool.Stats())
}

// watchTotal looks at nimue's pool all the time, and fails the test if there are
// ever more connections than allowed. It ends with the function returned.
func watchTotal(tb testing.TB, c *contender) (stop func()) {
	if c.pool == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			if s := c.pool.Stats(); s.Total > s.MaxConns {
				tb.Errorf("%d connections of %d allowed", s.Total, s.MaxConns)
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
	return func() { cancel(); work.Wait() }
}
