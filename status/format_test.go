package status

import (
	"testing"
	"time"
)

func TestDurationsAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1: "<1µs", 850 * time.Microsecond: "850µs", 3249 * time.Microsecond: "3.2ms", 9999 * time.Microsecond: "9.9ms",
		999_999 * time.Microsecond: "999ms", 12 * time.Second: "12s", 59_999 * time.Millisecond: "59s", 250 * time.Second: "4m10s",
		2*time.Hour + 5*time.Minute: "2h05m", 76 * time.Hour: "3d04h", -2 * time.Second: "-2.0s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%v) is %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "<1s", 9999 * time.Millisecond: "9s", time.Minute: "1m00s"} {
		if got := coarse(d); got != want {
			t.Errorf("coarse(%v) is %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "<1s", 59 * time.Second: "59s", 59 * time.Minute: "59m", 47 * time.Hour: "47h", 50 * time.Hour: "2d"} {
		if got := rough(d); got != want {
			t.Errorf("rough(%v) is %q, want %q", d, got, want)
		}
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{9999: "9,999", 24080: "24.0k", 99999: "99.9k", 100000: "100k", 3_299_999: "3.2M", 123_000_000: "123M", 5_000_000_000: "5,000M"} {
		if got := compact(n); got != want {
			t.Errorf("compact(%d) is %q, want %q", n, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 0.25: "0.2", 9.96: "10.0", 12.5: "13", 12345: "12,345"} {
		if got := rate(v); got != want {
			t.Errorf("rate(%v) is %q, want %q", v, got, want)
		}
	}
	if got := plural(1, "caller") + plural(0, "caller") + plural(1200, "caller"); got != "1 caller0 callers1,200 callers" {
		t.Errorf("got %q", got)
	}
}
