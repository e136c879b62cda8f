package nimueprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/internal/poolnames"
	"github.com/nimue-go/nimue/pool"
)

// Collector is a prometheus.Collector of pools. It reads them when it is scraped
// and does nothing in between. It may be scraped by any number of goroutines at a
// time.
type Collector struct {
	pools    func() []*pool.Pool
	families []*prometheus.Desc // of families
	times    []*prometheus.Desc // of times
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector returns a collector of the given pools or, without any, of all that
// the process has at the time of each scrape. A pool that is closed is left out. The
// collector is to be registered once:
//
//	prometheus.MustRegister(nimueprom.NewCollector())
//
// Labels of your own come from prometheus.WrapRegistererWith.
func NewCollector(pools ...*pool.Pool) *Collector {
	c := &Collector{pools: nimue.Pools}
	if len(pools) > 0 {
		given := append([]*pool.Pool(nil), pools...)
		c.pools = func() []*pool.Pool { return given }
	}
	for _, f := range families {
		c.families = append(c.families, newDesc(f.name, f.help, f.labels...))
	}
	for _, t := range times {
		c.times = append(c.times, newDesc(t.name, t.help))
	}
	return c
}

func newDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{poolLabel}, labels...), nil)
}

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.families {
		to <- d
	}
	for _, d := range c.times {
		to <- d
	}
}

// Collect reads every pool once, so that what it sends of one pool was true at one
// moment. It holds up no caller of the pool.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	for _, p := range poolnames.Of(c.pools()) {
		r := &reading{Stats: p.Pool.Stats(), config: p.Pool.Config(), health: p.Pool.Health()}
		for i, f := range families {
			f.read(r, func(value float64, labels ...string) {
				to <- constant(c.families[i], f.kind, value, r, append([]string{p.Label}, labels...))
			})
		}
		for i, t := range times {
			to <- histogram(c.times[i], t.of(r), r, p.Label)
		}
	}
}

// reading is what a scrape knows of one pool.
type reading struct {
	pool.Stats
	config pool.Config
	health pool.Health
}

// constant makes a metric of one value. Counters tell since when they count, so that
// an increase before the first scrape is not lost.
func constant(desc *prometheus.Desc, kind prometheus.ValueType, value float64, r *reading, labels []string) prometheus.Metric {
	if kind == prometheus.CounterValue {
		return prometheus.MustNewConstMetricWithCreatedTimestamp(desc, kind, value, r.Since, labels...)
	}
	return prometheus.MustNewConstMetric(desc, kind, value, labels...)
}

func histogram(desc *prometheus.Desc, h *pool.Histogram, r *reading, label string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(bounds))
	for _, b := range bounds {
		buckets[b.Seconds()] = h.AtMost(b)
	}
	return prometheus.MustNewConstHistogramWithCreatedTimestamp(desc, h.Count, h.Sum.Seconds(), buckets, r.Since, label)
}
