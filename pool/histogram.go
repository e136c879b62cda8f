package pool

import (
	"iter"
	"sync/atomic"
	"time"

	"github.com/nimue-go/nimue/internal/loglinear"
)

// The buckets of a histogram are at most an eighth wider than their lower bound, and
// reach from a microsecond to an hour and more.
const (
	subBits    = 3
	subBuckets = 1 << subBits
	buckets    = 30 * subBuckets // up to 2³² µs: 71 minutes
)

var scale = loglinear.Scale{Unit: time.Microsecond, Bits: subBits}

// histogram counts durations in fixed memory. It is safe for concurrent use.
type histogram struct {
	counts [buckets]atomic.Uint64
	sum    atomic.Int64
	most   atomic.Int64
}

// record counts d once for each time that it stands for.
func (h *histogram) record(d time.Duration, times uint64) {
	d = max(d, 0)
	h.counts[bucketOf(d)].Add(times)
	h.sum.Add(int64(d) * int64(times))
	for {
		most := h.most.Load()
		if int64(d) <= most || h.most.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

func (h *histogram) snapshot() Histogram {
	s := Histogram{Sum: time.Duration(h.sum.Load()), Max: time.Duration(h.most.Load())}
	for i := range h.counts {
		s.counts[i] = h.counts[i].Load()
		s.Count += s.counts[i]
	}
	return s
}

// bucketOf returns the place of d. The last bucket has whatever is longer, too.
func bucketOf(d time.Duration) int { return min(scale.Bucket(d), buckets-1) }

// Histogram is a snapshot of how long something took. Values are known to an
// eighth of themselves, between a microsecond and 71 minutes.
type Histogram struct {
	Count  uint64
	Sum    time.Duration
	Max    time.Duration
	counts [buckets]uint64
}

// Quantile returns the value that a part q of all values, from 0 to 1, does not
// exceed; 0 where there are none. It is never above Max.
func (h *Histogram) Quantile(q float64) time.Duration {
	if bound, ok := scale.Quantile(h.counts[:], h.Count, q); ok {
		return min(bound, h.Max)
	}
	return h.Max
}

// Mean returns the average; 0 where there are no values.
func (h *Histogram) Mean() time.Duration {
	if h.Count == 0 {
		return 0
	}
	return h.Sum / time.Duration(h.Count)
}

// Buckets yields the upper bound of every bucket that has values, with their
// number, in rising order.
func (h *Histogram) Buckets() iter.Seq2[time.Duration, uint64] { return scale.Filled(h.counts[:]) }

// AtMost returns how many values were not above d, to a bucket's width.
func (h *Histogram) AtMost(d time.Duration) uint64 {
	var n uint64
	for i, count := range h.counts {
		if scale.Bound(i) > d {
			break
		}
		n += count
	}
	return n
}
