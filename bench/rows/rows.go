// Package rows says what nimue is compared in, and with whom: every row of the
// comparison, its contenders, what each of them is told, and what nimue promises.
//
// The workloads themselves are this package's benchmarks. The benchmark of a row
// and a contender is called Benchmark<family>/<name>/<contender>, followed by
// /n=<size> in rows that grow:
//
//	go test -run - -bench 'Postgres/select/nimue$' ./rows
package rows

import (
	"regexp"
	"strings"
)

// Row is one line of the comparison: a workload that several contenders do in turn.
type Row struct {
	Family, Name string
	Title        string
	// Work says what one operation is, and what is checked of it.
	Work       string
	Contenders []Contender
	// Columns are the measurements that a report shows, the most telling one first.
	Columns []Column
	// Goals are what nimue promises in this row.
	Goals []Goal
	// Sizes are the values of n, in rows that show how a cost grows; else none.
	Sizes []int
	// Axis says what n counts.
	Axis string
	// Benchtime is the row's own, where the usual time would not do; else empty.
	Benchtime string
}

// ID names the row as its benchmark does, without the prefix.
func (r Row) ID() string { return r.Family + "/" + r.Name }

// Pattern is the -bench pattern of one contender's benchmark, all sizes included.
func (r Row) Pattern(contender string) string {
	parts := []string{"Benchmark" + r.Family, r.Name, contender}
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// Contender returns the contender of that name; false if it takes no part.
func (r Row) Contender(name string) (Contender, bool) {
	for _, c := range r.Contenders {
		if c.Name == name {
			return c, true
		}
	}
	return Contender{}, false
}

// Contender is one that takes part in a row.
type Contender struct {
	Name  string // in the benchmark's name
	Title string // in a report
	Told  string // its settings
}

// Ours tells whether the contender is nimue in one of its forms.
func (c Contender) Ours() bool { return strings.HasPrefix(c.Name, Nimue) }

// Control tells whether the contender is no pool, but shows which part of a cost is
// not the pool's.
func (c Contender) Control() bool { return c.Name == Channel }

// Better says which values of a measurement are the good ones.
type Better int8

// Less, More, or neither.
const (
	Less    Better = -1
	Neither Better = 0
	More    Better = 1
)

// Column is one measurement of a row.
type Column struct {
	Unit   string // as the benchmark reports it
	Title  string
	Better Better
}

// Goal is what nimue promises: that a measurement of Contender's, or its ratio to
// Against's, or the order of its growth, keeps a bound.
type Goal struct {
	Text      string
	Unit      string
	Contender string
	Against   string  // empty: the bound is for the value itself
	Least     bool    // the bound is a lower one
	Bound     float64 // of the ratio, the value, or the exponent
	Exponent  bool    // the bound is for the exponent of the growth, or for what it is above Against's
}

// Matching returns the rows whose ID the pattern matches, whatever the case.
func Matching(pattern string) ([]Row, error) {
	re, err := regexp.Compile("(?i)" + pattern)
	if err != nil {
		return nil, err
	}
	var matching []Row
	for _, r := range All() {
		if re.MatchString(r.ID()) {
			matching = append(matching, r)
		}
	}
	return matching, nil
}
