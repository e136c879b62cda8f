package main

import (
	"iter"
	"time"

	"github.com/nimue-go/nimue/internal/loglinear"
)

// A bucket is a sixteenth wide at most, from a nanosecond on.
const (
	partBits = 4
	parts    = 1 << partBits
	buckets  = (64 - partBits) * parts
)

var bucketing = loglinear.Scale{Unit: time.Nanosecond, Bits: partBits}

// histogram counts durations. It is one goroutine's.
type histogram struct {
	counts [buckets]uint64
	count  uint64
	sum    time.Duration
	most   time.Duration
}

func (h *histogram) record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketing.Bucket(d)]++
	h.count++
	h.sum += d
	h.most = max(h.most, d)
}

func (h *histogram) add(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.count += other.count
	h.sum += other.sum
	h.most = max(h.most, other.most)
}

// quantile is the value that a part q of all does not exceed, to a sixteenth.
func (h *histogram) quantile(q float64) time.Duration {
	if bound, ok := bucketing.Quantile(h.counts[:], h.count, q); ok {
		return min(bound, h.most)
	}
	return h.most
}

func (h *histogram) mean() time.Duration {
	if h.count == 0 {
		return 0
	}
	return h.sum / time.Duration(h.count)
}

// all yields the upper bounds of the buckets that have values, with their numbers.
func (h *histogram) all() iter.Seq2[time.Duration, uint64] { return bucketing.Filled(h.counts[:]) }
