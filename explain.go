package nimue

import (
	"fmt"
	"strings"

	"github.com/nimue-go/nimue/pool"
)

// Explanation is what a DSN comes to, as [Explain] finds it.
type Explanation struct {
	// DSN is the DSN, taken apart.
	DSN DSN
	// Adapter names the adapter that takes part; empty where none serves the
	// inner driver.
	Adapter string
	// Config is what a pool of this DSN runs with: defaults are filled in, and
	// the adapter has had its say. Its SQL is as the DSN has it, so there may be
	// a secret in it, unlike in Settings.
	Config pool.Config
	// Settings are all parameters there are, in the order of the documentation.
	Settings []Setting
}

// Setting is one parameter as it is in force.
type Setting struct {
	Name   string // as a DSN writes it: pool_max_conns
	Value  string // in force, without escapes; empty for SQL that is not set; what may be a secret is masked
	Source Source
	// Follows names the parameter that the value was taken from, where Source
	// is SourceFollows; "the inner DSN" for a pool's name.
	Follows string
	Meaning string // the documentation's words
}

// Source says where a setting's value comes from.
type Source string

// The sources.
const (
	SourceDSN     Source = "dsn"     // the DSN says it
	SourceDefault Source = "default" // nothing does
	SourceFollows Source = "follows" // it follows another parameter that it was not set apart from
	SourceAdapter Source = "adapter" // the adapter asks for it, on behalf of the inner driver or database
)

// Explain tells what sql.Open would make of a DSN: which adapter takes part, and
// what every parameter comes to and why. It dials nothing and makes no pool. The
// error is the one that sql.Open would return.
func Explain(dsn string) (*Explanation, error) {
	if dsn == "" {
		_, err := ParseDSN(dsn)
		return nil, err
	}
	parsed, err := parseRegistered(dsn)
	if err != nil {
		return nil, err
	}
	inner, err := innerConnector(parsed)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closeConnector(inner) }() // it has connected nothing
	e := &Explanation{DSN: parsed, Config: parsed.Pool}
	if a := adapterOf(inner.Driver()); a != nil {
		e.Adapter = a.Name
	}
	if err := adapt(inner, &e.Config); err != nil {
		return nil, redactError(err, parsed)
	}
	if err := constrain(&e.Config); err != nil {
		return nil, redactError(inDSNWords(parsed, err), parsed)
	}
	e.Config = e.Config.WithDefaults()
	e.Settings = e.settings(dsn)
	return e, nil
}

// constrain does what pool.New does with a configuration before it takes it.
func constrain(c *pool.Config) (err error) {
	if c.Constrain != nil {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("nimue: %s: panic in the adapter's Constrain: %v", c.Name, v)
			}
		}()
		if err := c.Constrain(c); err != nil {
			return err
		}
	}
	return c.Validate()
}

// settings describes every parameter of the DSN, which was written as given.
func (e *Explanation) settings(given string) []Setting {
	written := map[string]bool{}
	_, pairs := splitPairs(given)
	for _, pair := range pairs {
		written[pair.key] = true
	}
	alone, inForce := e.DSN, e.DSN
	alone.Pool, inForce.Pool = e.DSN.Pool.WithDefaults(), e.Config
	var all []Setting
	for _, p := range parameters {
		s := Setting{Name: p.key, Value: p.value(&inForce), Source: SourceDefault, Meaning: strings.ReplaceAll(p.doc, "`", "")}
		switch {
		case written[p.key]:
			s.Source = SourceDSN
		case s.Value != p.value(&alone):
			s.Source = SourceAdapter
		case p.follows != "":
			s.Source, s.Follows = SourceFollows, p.follows
		}
		all = append(all, s)
	}
	return all
}

// value is the parameter's value in a DSN whose defaults are filled in, fit to be
// shown.
func (p *parameter) value(d *DSN) string {
	if p.field == "Name" {
		return d.Pool.Name
	}
	var shown []string
	for _, text := range p.texts(d) {
		shown = append(shown, p.shown(text))
	}
	switch {
	case shown != nil:
		return strings.Join(shown, "; ")
	case p.follows != "":
		return "0" // what it follows is none
	case p.sql:
		return ""
	}
	return p.def
}

// RedactError returns err, as the inner driver gave it, without the DSN's secrets:
// err itself where it has none, and otherwise an error with the text masked that
// answers errors.Is and errors.As as err does. What comes through nimue is redacted
// already; this is for who opens the inner driver himself.
func (d DSN) RedactError(err error) error { return redactError(err, d) }
