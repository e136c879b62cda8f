package report

import (
	"math"
	"strconv"
	"strings"

	"golang.org/x/perf/benchmath"
	"golang.org/x/perf/benchunit"
)

// format writes a value with its unit and three digits or so: "1.42 µs", "80.1 k".
func format(value float64, unit string) string {
	symbol, class := "", benchunit.Decimal
	switch {
	case unit == "ns/op", unit == "cpu-ns/op":
		value, symbol = value*1e-9, "s"
	case strings.HasSuffix(unit, "-ms"):
		value, symbol = value*1e-3, "s"
	case strings.HasPrefix(unit, "B/"):
		symbol, class = "B", benchunit.Binary
	case unit == "op/s":
	default:
		return short(value)
	}
	text := benchunit.Scale(value, class)
	number := strings.TrimRight(text, "yzafpnµumkKMGTPEZYi")
	prefix := text[len(number):]
	if strings.HasPrefix(unit, "B/") && prefix == "" {
		number = short(value)
	}
	return strings.TrimRight(threeDigits(number)+" "+prefix+symbol, " ")
}

// threeDigits drops the fourth digit that benchunit gives.
func threeDigits(number string) string {
	v, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return number
	}
	return short(v)
}

// short writes a plain number with three digits at least, and no zeros that say
// nothing.
func short(v float64) string {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	text := strconv.FormatFloat(v, 'f', min(digits, 5), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// interval writes the interval of a median; false where the rounds are too few to
// give one, or where it is but a point.
func interval(s benchmath.Summary, write func(float64) string) (string, bool) {
	if math.IsInf(s.Lo, 0) || math.IsInf(s.Hi, 0) || s.Lo == s.Hi {
		return "", false
	}
	lo, hi := write(s.Lo), write(s.Hi)
	if lo == hi {
		return "", false
	}
	return lo + " to " + hi, true
}

// cell is a median with its interval in percent, as benchstat has it.
func cell(s benchmath.Summary, unit string) string {
	text := format(s.Center, unit)
	if s.Center == 0 || s.Lo == s.Hi {
		return text
	}
	percent := s.PctRangeString()
	if strings.Contains(percent, "∞") {
		return text
	}
	return text + " ± " + percent
}
