package pool

import (
	"iter"
	"math/bits"
	"sync/atomic"
	"time"
)

// The buckets of a histogram are log-linear, as HdrHistogram's are: each power of
// two is cut into subBuckets equal parts, so that a bucket is at most an eighth
// wider than its lower bound. They reach from a microsecond to an hour and more.
const (
	subBits    = 3
	subBuckets = 1 << subBits
	unit       = time.Microsecond
	buckets    = 30 * subBuckets // up to 2³² µs: 71 minutes
)

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

// bucketOf returns the place of d: below subBuckets units one bucket a unit, then
// subBuckets for each power of two.
func bucketOf(d time.Duration) int {
	n := uint64(d / unit)
	if n < subBuckets {
		return int(n)
	}
	power := bits.Len64(n) - subBits - 1 // how far n is shifted to leave its leading bits
	return min((power+1)<<subBits|int(n>>power)&(subBuckets-1), buckets-1)
}

// boundOf is the upper end of a bucket, which belongs to the next one.
func boundOf(i int) time.Duration {
	if i < subBuckets {
		return time.Duration(i+1) * unit
	}
	power := i>>subBits - 1
	return time.Duration((subBuckets|i&(subBuckets-1))+1) << power * unit
}

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
	if h.Count == 0 {
		return 0
	}
	rank := min(uint64(min(max(q, 0), 1)*float64(h.Count))+1, h.Count)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(boundOf(i), h.Max)
		}
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
func (h *Histogram) Buckets() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		for i, n := range h.counts {
			if n > 0 && !yield(boundOf(i), n) {
				return
			}
		}
	}
}

// AtMost returns how many values were not above d, to a bucket's width.
func (h *Histogram) AtMost(d time.Duration) uint64 {
	var n uint64
	for i, count := range h.counts {
		if boundOf(i) > d {
			break
		}
		n += count
	}
	return n
}
