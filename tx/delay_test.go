package tx

import (
	"math"
	"testing"
	"time"
)

// Two callers that were in each other's way must not be so again at the same time.
func TestDelaysAreDrawnFromTheWholeRange(t *testing.T) {
	s := settings{backoff: time.Second, maxBackoff: 4 * time.Second}
	for attempt, limit := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 9: 4 * time.Second} {
		var low, high int
		for range 200 { // that all are in one half has a chance of 2 in 2^200
			switch d := s.delay(attempt); {
			case d <= 0 || d > limit:
				t.Fatalf("attempt %d: %v, want at most %v", attempt, d, limit)
			case d <= limit/2:
				low++
			default:
				high++
			}
		}
		if low == 0 || high == 0 {
			t.Errorf("attempt %d: %d in the lower half, %d in the upper", attempt, low, high)
		}
	}
}

func TestDelayDoesNotOverflow(t *testing.T) {
	s := settings{backoff: 1, maxBackoff: math.MaxInt64}
	for attempt := 1; attempt < 1000; attempt++ {
		if d := s.delay(attempt); d <= 0 {
			t.Fatalf("attempt %d: %v", attempt, d)
		}
	}
}
