//go:build !unix

package rows

import (
	"testing"
	"time"
)

// processorTime is not to be had here.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	b.Skip("the processor time of a process is asked for in Unix's way only")
	return 0
}
