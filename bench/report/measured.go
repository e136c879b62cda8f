// Package report turns the output of the benchmarks into a page with tables and
// charts. What it says about medians, their confidence and the significance of
// differences is golang.org/x/perf's benchmath, the library behind benchstat.
package report

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// RoundKey is the configuration key that tells a result's round. The lines that
// follow "round: 3" are of the third one.
const RoundKey = "round"

// Key names a measurement: one unit of one contender's in one row, at one size.
type Key struct {
	Row, Contender string
	Size           int // 0 in rows that do not grow
	Unit           string
}

// Measured is what the benchmarks have said, round by round.
type Measured struct {
	values map[Key]map[int]float64 // by round
	config map[string]string
	rounds map[int]bool
}

// Read reads results in Go's benchmark format. Of two of the same round, the later
// one counts. A line that looks like a result and is none is an error.
func Read(r io.Reader, name string) (*Measured, error) {
	m := &Measured{values: map[Key]map[int]float64{}, config: map[string]string{}, rounds: map[int]bool{}}
	reader := benchfmt.NewReader(r, name)
	for reader.Scan() {
		switch record := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, record
		case *benchfmt.Result:
			if err := m.add(record); err != nil {
				return nil, err
			}
		}
	}
	return m, reader.Err()
}

func (m *Measured) add(result *benchfmt.Result) error {
	round := 1
	for _, c := range result.Config {
		m.config[c.Key] = string(c.Value)
	}
	if text := result.GetConfig(RoundKey); text != "" {
		var err error
		if round, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("%s: the round is %q", result.Name, text)
		}
	}
	key, ok := parseName(result.Name)
	if !ok {
		return fmt.Errorf("%s is no benchmark of a row and a contender", result.Name)
	}
	m.rounds[round] = true
	for _, v := range result.Values {
		key.Unit = v.Unit
		value := v.Value
		if v.OrigUnit != "" {
			key.Unit, value = v.OrigUnit, v.OrigValue
		}
		if m.values[key] == nil {
			m.values[key] = map[int]float64{}
		}
		m.values[key][round] = value
	}
	return nil
}

// parseName takes a benchmark's name apart: Family/name/contender, /n=size in rows
// that grow, and -processors.
func parseName(name benchfmt.Name) (Key, bool) {
	base, parts := name.Parts()
	var path []string
	var key Key
	for _, part := range parts {
		if size, found := bytes.CutPrefix(part, []byte("/n=")); found {
			n, err := strconv.Atoi(string(size))
			if err != nil {
				return Key{}, false
			}
			key.Size = n
		} else if part[0] == '/' {
			path = append(path, string(part[1:]))
		}
	}
	if len(path) != 2 {
		return Key{}, false
	}
	key.Row, key.Contender = string(base)+"/"+path[0], path[1]
	return key, true
}

// Rounds is how many rounds there are results of.
func (m *Measured) Rounds() int { return len(m.rounds) }

// Config is what the benchmarks tell of a key such as cpu or goos.
func (m *Measured) Config(key string) string { return m.config[key] }

// Has tells whether there is any result of a row.
func (m *Measured) Has(row string) bool {
	for key := range m.values {
		if key.Row == row {
			return true
		}
	}
	return false
}

// Median is the median of a measurement over the rounds, with the interval in which
// it lies with 95 % confidence; false if there is no result.
func (m *Measured) Median(key Key) (benchmath.Summary, bool) {
	sample, ok := m.sample(key)
	if !ok {
		return benchmath.Summary{}, false
	}
	return benchmath.AssumeNothing.Summary(sample, confidence), true
}

const confidence = 0.95

func (m *Measured) sample(key Key) (*benchmath.Sample, bool) {
	rounds := m.values[key]
	if len(rounds) == 0 {
		return nil, false
	}
	return newSample(slices.Collect(maps.Values(rounds))), true
}

func newSample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(values, &benchmath.DefaultThresholds)
}

// Ratio compares two measurements.
type Ratio struct {
	benchmath.Summary         // of the quotients, one for each round
	P                 float64 // that the two differ by chance: the U test's
	Rounds            int
	Least, Most       float64 // of the quotients
}

// Ratio is how one measurement relates to another. What is divided was measured in
// the same round, one right after the other, so that what slows a whole round down
// does not count. False if no round has both, or if the other is 0.
func (m *Measured) Ratio(of, by Key) (Ratio, bool) {
	var quotients []float64
	for round, value := range m.values[of] {
		if other, both := m.values[by][round]; both && other != 0 {
			quotients = append(quotients, value/other)
		}
	}
	if len(quotients) == 0 {
		return Ratio{}, false
	}
	a, _ := m.sample(of)
	b, _ := m.sample(by)
	return Ratio{
		Summary: benchmath.AssumeNothing.Summary(newSample(quotients), confidence),
		P:       benchmath.AssumeNothing.Compare(a, b).P,
		Rounds:  len(quotients),
		Least:   slices.Min(quotients),
		Most:    slices.Max(quotients),
	}, true
}

// fewRounds is the number of rounds below which no difference can have a P of 0.05.
const fewRounds = 4

// Differs tells whether the difference is more than chance. With very few rounds,
// they must all agree.
func (r Ratio) Differs() bool {
	if r.Rounds < fewRounds {
		return r.Least > 1 || r.Most < 1
	}
	return r.P < benchmath.DefaultThresholds.CompareAlpha
}

// String is the ratio with its interval, as in "1.42 (1.37 to 1.48)".
func (r Ratio) String() string {
	text := formatRatio(r.Center)
	if interval, ok := interval(r.Summary, formatRatio); ok {
		text += " (" + interval + ")"
	}
	return text
}

// formatRatio writes three digits after the point near 1, where they decide.
func formatRatio(v float64) string {
	digits := 2
	if v > 0.9 && v < 1.1 {
		digits = 3
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
