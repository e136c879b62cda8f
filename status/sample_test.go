package status

import (
	"math"
	"time"
)

// noon is the moment that the sample report shows.
var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

const sampleStack = `main.(*shop).checkout
	/src/shop/checkout.go:88
main.(*server).handleOrder
	/src/shop/server.go:141
net/http.HandlerFunc.ServeHTTP
	/go/src/net/http/server.go:2322`

// sampleReport is a pool in trouble: it is full, callers wait, and one lease has
// leaked.
func sampleReport() Report {
	p := Pool{
		Name: "orders", Health: Health{"degraded", "17 callers have waited for up to 4s"}, Since: noon.Add(-26 * time.Hour), At: noon,
		Waiting: 17, Conns: Conns{20, 20, 17, 1, 1, 1, 0},
		Peaks:    Peaks{Peak{20, noon.Add(-time.Hour)}, Peak{19, noon.Add(-time.Minute)}, Peak{31, noon.Add(-30 * time.Hour)}},
		Counters: Counters{Acquires: 12_345_678, Waits: 2_311, Timeouts: 12, Retired: map[string]uint64{"lifetime": 40}, StmtHits: 999, StmtMisses: 1},
		LastErrors: []LastError{
			{"acquire", "nimue: orders: no connection after 2s (20 in use, 0 idle, 37 waiting)", noon.Add(-3 * time.Second)},
			{"connect", "dial tcp 10.0.0.7:5432: connect: connection refused", noon.Add(-2 * time.Hour)},
		},
		Wait: sampleHistogram(10, 300), Hold: sampleHistogram(13, 90_000), Connect: sampleHistogram(12, 200), Verify: sampleHistogram(8, 1000),
		History: sampleHistory(),
		Events: []Event{
			{At: noon.Add(-9 * time.Second), Kind: "leak found", Conn: 7, Took: Seconds(30 * time.Second), Stack: sampleStack},
			{At: noon.Add(-4 * time.Minute), Kind: "retired", Conn: 2, Reason: "lifetime", Took: Seconds(time.Hour)},
			{At: noon.Add(-4 * time.Minute), Kind: "connected", Conn: 21, Took: Seconds(8 * time.Millisecond)},
		},
		Settings: []Setting{{"pool_max_conns", "20", ""}, {"pool_max_waiters", "unlimited", ""}, {"pool_leak_reclaim", "0", "off"}},
	}
	for i := range 20 {
		p.Connections = append(p.Connections, sampleConn(uint64(i+1)))
	}
	return Report{Version: Version, At: noon, Process: Process{"shop", 4711, "web-3"}, Health: worst([]Pool{p}), Pools: []Pool{p}}
}

func sampleConn(id uint64) Conn {
	c := Conn{ID: id, State: "leased", Age: Seconds(26 * time.Minute), Uses: 1204 * id, Verified: Seconds(3 * time.Second), Expires: Seconds(34 * time.Minute),
		Held: Seconds(time.Duration(id) * 12_345 * time.Microsecond), Stack: sampleStack, Statement: "UPDATE items SET stock = stock - ? WHERE item_no = ?"}
	switch {
	case id == 7:
		c.Held, c.Leaked = Seconds(39*time.Second), true
	case id == 11:
		c = Conn{ID: id, State: "idle", Age: c.Age, Idle: Seconds(4 * time.Second), Uses: 3, Verified: Seconds(9 * time.Second)}
	case id == 12:
		c = Conn{ID: id, State: "verifying", Age: c.Age, Uses: 1, Doubted: true}
	case id == 13:
		c.Held, c.Stack, c.Statement = 0, "", ""
	}
	return c
}

func sampleHistogram(octave int, n uint64) Histogram {
	h := Histogram{Count: n, Mean: Seconds(time.Microsecond << octave), P50: Seconds(time.Microsecond << octave),
		P90: Seconds(time.Microsecond << (octave + 2)), P99: Seconds(time.Microsecond << (octave + 4)), Max: Seconds(time.Microsecond << (octave + 6))}
	for i := -4; i < 7; i++ {
		h.Buckets = append(h.Buckets, Bucket{Seconds(time.Microsecond << (octave + i)), uint64(float64(n) * math.Exp(-float64(i*i)/4))})
	}
	return h
}

func sampleHistory() []Sample {
	var list []Sample
	var acquires, timeouts uint64
	for i := range 590 {
		load := 8 + 6*math.Sin(float64(i)/60) + 2*math.Sin(float64(i)/7)
		s := Sample{At: noon.Add(time.Duration(i-590) * time.Second), InUse: int(min(load+float64(max(i-400, 0))/20, 20)), Total: 20}
		s.Idle = 20 - s.InUse
		if s.InUse == 20 {
			s.Waiting = (i - 400) / 10
			timeouts += uint64(i % 3)
		}
		acquires += uint64(load * 100)
		s.Acquires, s.Waits, s.Timeouts = acquires, acquires/10, timeouts
		list = append(list, s)
	}
	return list
}
