package status

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// short writes a duration in at most two units, so that columns of them can be
// read at a glance: 850µs, 3.2ms, 12s, 4m10s, 2h05m, 3d04h.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + short(-d)
	case d == 0:
		return "0"
	case d < time.Microsecond:
		return "<1µs"
	case d < time.Millisecond:
		return strconv.FormatInt(int64(d/time.Microsecond), 10) + "µs"
	case d < time.Second:
		return oneDigit(d, time.Millisecond, "ms")
	case d < time.Minute:
		return oneDigit(d, time.Second, "s")
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// oneDigit has a decimal below ten units. It rounds down, as the others do, so that
// nothing shows 1000ms.
func oneDigit(d, unit time.Duration, name string) string {
	if d < 10*unit {
		tenths := d / (unit / 10)
		return fmt.Sprintf("%d.%d%s", tenths/10, tenths%10, name)
	}
	return strconv.FormatInt(int64(d/unit), 10) + name
}

// coarse is short in whole seconds, for what is not known better or would flicker.
func coarse(d time.Duration) string {
	switch {
	case d < time.Second:
		return "<1s"
	case d < time.Minute:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return short(d)
}

// rough is coarse in one unit, for where there is little room.
func rough(d time.Duration) string {
	switch {
	case d < time.Minute:
		return coarse(d)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// grouped writes a number with a comma at every third digit.
func grouped[N int | uint64](n N) string {
	s := fmt.Sprint(n)
	first := len(s) % 3
	if first == 0 {
		first = 3
	}
	var b strings.Builder
	b.WriteString(s[:min(first, len(s))])
	for i := first; i < len(s); i += 3 {
		b.WriteString("," + s[i:i+3])
	}
	return b.String()
}

// compact writes a number in five characters at most: 9,999, 24.1k, 3.2M.
func compact(n uint64) string {
	switch {
	case n < 10_000:
		return grouped(n)
	case n < 100_000:
		return fmt.Sprintf("%.1fk", float64(n/100)/10)
	case n < 1_000_000:
		return fmt.Sprintf("%dk", n/1000)
	case n < 100_000_000:
		return fmt.Sprintf("%.1fM", float64(n/100_000)/10)
	}
	return grouped(n/1_000_000) + "M"
}

// rate writes a number per second.
func rate(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return grouped(uint64(v + 0.5))
}

// plural counts things: 1 caller, 2 callers.
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + one + "s"
}

// clock is the time of day, which is what one compares with a log's at night.
func clock(t time.Time) string { return t.Local().Format("15:04:05") }

// ago says how long before now t was.
func ago(now, t time.Time) string { return coarse(now.Sub(t)) + " ago" }
