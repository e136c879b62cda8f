package main

import (
	"iter"
	"math/bits"
	"time"
)

// The buckets are log-linear: each power of two of nanoseconds is cut into 16 parts,
// so that a bucket is a sixteenth wide at most.
const (
	partBits = 4
	parts    = 1 << partBits
	buckets  = (64 - partBits) * parts
)

// histogram counts durations. It is one goroutine's.
type histogram struct {
	counts [buckets]uint64
	count  uint64
	sum    time.Duration
	most   time.Duration
}

func (h *histogram) record(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
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

func bucketOf(n uint64) int {
	if n < parts {
		return int(n)
	}
	shift := bits.Len64(n) - partBits - 1
	return (shift+1)<<partBits | int(n>>shift)&(parts-1)
}

// boundOf is the upper end of a bucket, which belongs to the next one.
func boundOf(i int) time.Duration {
	if i < parts {
		return time.Duration(i + 1)
	}
	shift := i>>partBits - 1
	return time.Duration(parts|i&(parts-1)+1) << shift
}

// quantile is the value that a part q of all does not exceed, to a sixteenth.
func (h *histogram) quantile(q float64) time.Duration {
	if h.count == 0 {
		return 0
	}
	rank := min(uint64(q*float64(h.count))+1, h.count)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(boundOf(i), h.most)
		}
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
func (h *histogram) all() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		for i, n := range h.counts {
			if n > 0 && !yield(boundOf(i), n) {
				return
			}
		}
	}
}
