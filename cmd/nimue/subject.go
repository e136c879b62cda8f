package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/nimue-go/nimue"
)

// subject is how every document of a command begins that is about a DSN.
type subject struct {
	DSN      string    `json:"dsn,omitempty"` // without secrets; left out where it cannot be read
	Driver   string    `json:"driver,omitempty"`
	Adapter  string    `json:"adapter,omitempty"`
	Error    string    `json:"error,omitempty"`
	Problems []problem `json:"problems,omitempty"` // of the DSN, where that is the error
}

// problem is one thing that is wrong with a DSN.
type problem struct {
	Setting string `json:"setting,omitempty"` // left out where it is the DSN itself
	Value   string `json:"value,omitempty"`
	Text    string `json:"text"`
}

// subjectOf describes a DSN, or what is wrong with it.
func subjectOf(e *nimue.Explanation, err error) subject {
	s := subject{}
	if e != nil {
		s.DSN, s.Driver, s.Adapter = e.DSN.Redacted(), e.DSN.Driver, e.Adapter
	}
	if err != nil {
		s.Error = err.Error()
	}
	if bad, ok := errors.AsType[*nimue.DSNError](err); ok {
		for _, p := range bad.Problems {
			s.Problems = append(s.Problems, problem{p.Key, p.Value, p.Message})
		}
	}
	return s
}

// lacksDriver tells that a DSN is for a driver that is not built in.
func lacksDriver(err error) bool {
	bad, ok := errors.AsType[*nimue.DSNError](err)
	return ok && slices.ContainsFunc(bad.Problems, func(p nimue.DSNProblem) bool { return strings.HasPrefix(p.Message, "unknown driver") })
}

// failed ends a command that could do nothing for err: by a document where JSON is
// wanted.
func (c *console) failed(asJSON bool, document any, err error) error {
	if !asJSON {
		return err
	}
	return errors.Join(c.printJSON(document), errBad)
}
