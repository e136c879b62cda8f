package rows

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// newPool makes a pool of nimue's on the no-op driver, and ends it with the
// benchmark.
func newPool(b *testing.B, cfg pool.Config) *pool.Pool {
	b.Helper()
	p, err := pool.New(noop{}, cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Shutdown(b.Context()) })
	return p
}

func acquire(b *testing.B, p *pool.Pool) pool.Lease {
	b.Helper()
	lease, err := p.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return lease
}

// acquireAll leases n connections at a time.
func acquireAll(b *testing.B, p *pool.Pool, n int) []pool.Lease {
	b.Helper()
	leases := make([]pool.Lease, n)
	for i := range leases {
		leases[i] = acquire(b, p)
	}
	return leases
}

func releaseAll(leases []pool.Lease) {
	for _, l := range leases {
		l.Release(pool.Clean)
	}
}

func growthConnections(b *testing.B, contender string, n int) {
	cfg := pool.Config{MaxConns: n}
	if contender == NimueFIFO {
		cfg.Order = pool.FIFO
	}
	p := newPool(b, cfg)
	releaseAll(acquireAll(b, p, n))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		acquire(b, p).Release(pool.Clean)
	}
	b.StopTimer()
}

// growthShuffled does its operations n at a time, and so maybe some more than
// asked for; the time is that of one.
func growthShuffled(b *testing.B, _ string, n int) {
	p := newPool(b, pool.Config{MaxConns: n})
	releaseAll(acquireAll(b, p, n))
	leases := make([]pool.Lease, n)
	done := 0
	var took time.Duration
	for done < b.N {
		order := rand.Perm(n)
		began := time.Now()
		for i := range leases {
			leases[i] = acquire(b, p)
		}
		for _, i := range order {
			leases[i].Release(pool.Clean)
		}
		took += time.Since(began)
		done += n
	}
	b.StopTimer()
	b.ReportMetric(float64(took.Nanoseconds())/float64(done), "ns/op")
}

// growthKeeper has n idle connections, returned at intervals of a millisecond, so
// that their verifications fall due at such intervals too. Whatever n is, there are
// a thousand a second.
func growthKeeper(b *testing.B, _ string, n int) {
	const interval = time.Millisecond
	p := newPool(b, pool.Config{MaxConns: n, HealthCheckPeriod: time.Duration(n) * interval})
	every := time.NewTicker(interval)
	defer every.Stop()
	for _, l := range acquireAll(b, p, n) {
		<-every.C
		l.Release(pool.Clean)
	}
	verified := func() uint64 { return p.Stats().Verifications }
	first := verified()
	waitFor(b, func() bool { return verified() > first }) // the first period is over
	first = verified()
	before := processorTime(b)
	time.Sleep(time.Duration(b.N) * interval) // to ask in between would cost processor time
	waitFor(b, func() bool { return verified()-first >= uint64(b.N) })
	spent, done := processorTime(b)-before, verified()-first
	b.ReportMetric(float64(spent.Nanoseconds())/float64(done), "cpu-ns/op")
}

// growthSuspicion has one connection die, again and again. A floor has another one
// opened in its place each time.
func growthSuspicion(b *testing.B, _ string, n int) {
	p := newPool(b, pool.Config{MinConns: n + 1, MaxConns: n + 2})
	full := func() bool { return p.Stats().Idle == n+1 }
	waitFor(b, full)
	var spent time.Duration
	first := p.Stats().Verifications
	for p.Stats().Verifications-first < uint64(b.N) {
		lease := acquire(b, p)
		want := p.Stats().Verifications + uint64(n)
		before := processorTime(b)
		lease.Release(pool.Dead)
		waitFor(b, func() bool { return p.Stats().Verifications >= want })
		spent += processorTime(b) - before
		waitFor(b, full)
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(p.Stats().Verifications-first), "cpu-ns/op")
}

func growthPools(b *testing.B, _ string, n int) {
	pools := make([]*pool.Pool, n)
	for i := range pools {
		pools[i] = newPool(b, pool.Config{})
		acquire(b, pools[i]).Release(pool.Clean)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		acquire(b, pools[i%n]).Release(pool.Clean)
	}
	b.StopTimer()
}
