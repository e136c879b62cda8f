package pool

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHistogramBuckets(t *testing.T) {
	for i := range buckets - 1 {
		low, high := time.Duration(0), scale.Bound(i)
		if i > 0 {
			low = scale.Bound(i - 1)
		}
		if bucketOf(low) != i || bucketOf(high-1) != i || bucketOf(high) != i+1 {
			t.Fatalf("bucket %d from %v to %v: %d, %d, %d", i, low, high, bucketOf(low), bucketOf(high-1), bucketOf(high))
		}
		if width := high - low; i >= 2*subBuckets && width*subBuckets > low {
			t.Errorf("bucket %d from %v is %v wide", i, low, width)
		}
	}
	if bucketOf(1000*time.Hour) != buckets-1 || bucketOf(-1) != 0 {
		t.Error("the ends are open")
	}
}

// Quantiles are never further from the truth than a bucket's width.
func TestHistogramQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var h histogram
		for _, v := range values {
			h.record(time.Duration(v), 1)
		}
		s := h.snapshot()
		got := s.Quantile(q)
		notAbove := 0
		for _, v := range values {
			if time.Duration(v) <= got {
				notAbove++
			}
		}
		if s.Count != uint64(len(values)) || float64(notAbove) < q*float64(len(values)) || got > s.Max {
			t.Fatalf("the %v quantile of %d values is %v, which %d do not exceed", q, len(values), got, notAbove)
		}
		var sum uint64
		for _, n := range s.Buckets() {
			sum += n
		}
		if sum != s.Count || s.AtMost(2*time.Hour) != s.Count {
			t.Fatalf("%d in buckets, %d in all", sum, s.Count)
		}
	})
}
