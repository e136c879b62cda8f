package rows

import (
	"context"
	"database/sql"
	"runtime"
	"sync"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

// memory is what the process holds on to: live objects and goroutines' stacks.
func memory() float64 {
	for range 2 { // what the first one leaves to finalizers and pools, the second takes
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) + float64(m.StackInuse)
}

// memoryConnections leaves n idle connections behind, by holding so many at a time.
func memoryConnections(b *testing.B, contender string, n int) {
	db := idleDB(b, contender, n)
	defer db.Close()
	before := memory()
	openIdle(b, db, n)
	b.ReportMetric((memory()-before)/float64(n), "B/conn")
	runtime.KeepAlive(db)
}

func idleDB(b *testing.B, contender string, n int) *sql.DB {
	b.Helper()
	db := overConnector(b, contender, noop{}, pool.Config{MaxConns: n})
	// nimue's handles are put away by database/sql as well, which keeps 2 by default.
	tune(db, n)
	return db
}

func openIdle(b *testing.B, db *sql.DB, n int) {
	b.Helper()
	conns := make([]*sql.Conn, n)
	for i := range conns {
		var err error
		if conns[i], err = db.Conn(b.Context()); err != nil {
			b.Fatal(err)
		}
		if _, err := conns[i].ExecContext(b.Context(), "x"); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range conns {
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func memoryWaiters(b *testing.B, contender string, n int) {
	b.ReportMetric(waitersMemory(b, contender, n)/float64(n), "B/waiter")
}

func memoryWaitersAlone(b *testing.B, contender string, n int) {
	bare := bareMemory(n)
	b.ReportMetric((waitersMemory(b, contender, n)-bare)/float64(n), "B/waiter")
}

// waitersMemory is what n callers take that wait in db.ExecContext for the only
// connection.
func waitersMemory(b *testing.B, contender string, n int) float64 {
	b.Helper()
	db := overConnector(b, contender, noop{}, pool.Config{MaxConns: 1, AcquireTimeout: pool.None})
	defer db.Close()
	if contender == SQLTuned {
		tune(db, 1)
	}
	conn, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if err := conn.PingContext(b.Context()); err != nil {
		b.Fatal(err)
	}
	waiting := func() int { return int(db.Stats().WaitCount) }
	if p := nimue.PoolOf(db); p != nil {
		waiting = func() int { return p.Stats().Waiting }
	}
	ctx, leave := context.WithCancel(b.Context())
	var people sync.WaitGroup
	defer people.Wait()
	defer leave()
	before := memory()
	for range n {
		people.Go(func() { _, _ = db.ExecContext(ctx, "x") }) // ends with the context's error
	}
	waitFor(b, func() bool { return waiting() >= n })
	return memory() - before
}

// bareMemory is what n goroutines take that wait for a channel.
func bareMemory(n int) float64 {
	var people, there sync.WaitGroup
	leave := make(chan struct{})
	there.Add(n)
	before := memory()
	for range n {
		people.Go(func() {
			there.Done()
			<-leave
		})
	}
	there.Wait()
	after := memory()
	close(leave)
	people.Wait()
	return after - before
}

func memoryPools(b *testing.B, _ string, n int) {
	before := memory()
	pools := make([]*pool.Pool, n)
	for i := range pools {
		pools[i] = newPool(b, pool.Config{})
		acquire(b, pools[i]).Release(pool.Clean)
	}
	b.ReportMetric((memory()-before)/float64(n), "B/pool")
	runtime.KeepAlive(pools)
}
