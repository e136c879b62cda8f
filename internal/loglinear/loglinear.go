// Package loglinear has the buckets of histograms, as HdrHistogram's are: each power of
// two is cut into equal parts, so that all buckets are about as wide in proportion to
// their values.
package loglinear

import (
	"iter"
	"math/bits"
	"time"
)

// Scale is a series of buckets: up to 2^Bits units one for each unit, and from there on
// 2^Bits for each power of two.
type Scale struct {
	Unit time.Duration
	Bits int
}

// Bucket returns the place of d, which must not be negative.
func (s Scale) Bucket(d time.Duration) int {
	n := uint64(d / s.Unit)
	parts := uint64(1) << s.Bits
	if n < parts {
		return int(n)
	}
	power := bits.Len64(n) - s.Bits - 1 // how far n is shifted to leave its leading bits
	return (power+1)<<s.Bits | int(n>>power&(parts-1))
}

// Bound is the upper end of a bucket, which belongs to the next one.
func (s Scale) Bound(i int) time.Duration {
	parts := 1 << s.Bits
	if i < parts {
		return time.Duration(i+1) * s.Unit
	}
	power := i>>s.Bits - 1
	return time.Duration((parts|i&(parts-1))+1) << power * s.Unit
}

// Quantile returns the bound of the bucket that has the value which a part q of all
// values, from 0 to 1, does not exceed, and whether there is one.
func (s Scale) Quantile(counts []uint64, all uint64, q float64) (time.Duration, bool) {
	if all == 0 {
		return 0, false
	}
	rank := min(uint64(min(max(q, 0), 1)*float64(all))+1, all)
	var seen uint64
	for i, n := range counts {
		if seen += n; seen >= rank {
			return s.Bound(i), true
		}
	}
	return 0, false
}

// Filled yields the bound of every bucket that has values, with their number, in
// rising order.
func (s Scale) Filled(counts []uint64) iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		for i, n := range counts {
			if n > 0 && !yield(s.Bound(i), n) {
				return
			}
		}
	}
}
