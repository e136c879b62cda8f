package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nimue-go/nimue"
)

var explainCommand = &command{
	name:    "explain",
	operand: "DSN",
	brief:   "what a DSN comes to: settings, their sources, warnings",
	about: `
Tells what nimue makes of a DSN: every setting in force, by where it comes from, and
warnings where settings do not fit each other. A DSN with mistakes is answered with
all of them, and what would be accepted. Nothing is dialled.

With -server the server is asked as well, over one connection: its version and its
limits. Then there are warnings too where pool_max_conns is more than the server has
left, where the server ends idle connections before the pool would, and where a
pooler such as PgBouncer stands between.

The JSON document has the fields dsn, driver, adapter, settings (a list of name,
value, source, follows, meaning; the source is "dsn", "default", "follows" or
"adapter"), server (with -server: product, version, tls, role, limits), warnings (a
list of code, setting, text), and error and problems where there are some.

Exit code 1: the DSN has a mistake; with -server, the server cannot be reached; with
-strict, there is a warning.
`,
	prepare: func(f *flags) action {
		asked := f.toggle("server", false, "ask the server too")
		timeout := f.duration("timeout", 10*time.Second, time.Millisecond, time.Hour, "`time` that -server may take")
		strict := f.toggle("strict", false, "exit with 1 if there is a warning")
		asJSON := f.toggle("json", false, "print a JSON document")
		return func(ctx context.Context, c *console, dsn string) error {
			return explain(ctx, c, dsn, explainOptions{server: *asked, timeout: *timeout, strict: *strict, json: *asJSON})
		}
	},
}

type explainOptions struct {
	server, strict, json bool
	timeout              time.Duration
}

// explainDocument is what explain -json prints.
type explainDocument struct {
	subject
	Settings []settingDocument `json:"settings,omitempty"`
	Server   *serverFacts      `json:"server,omitempty"`
	Warnings []warning         `json:"warnings"`
}

type settingDocument struct {
	Name    string       `json:"name"`
	Value   string       `json:"value"`
	Source  nimue.Source `json:"source"`
	Follows string       `json:"follows,omitempty"`
	Meaning string       `json:"meaning"`
}

func explain(ctx context.Context, c *console, dsn string, o explainOptions) error {
	e, err := nimue.Explain(dsn)
	if err != nil {
		return c.failed(o.json, explainDocument{subject: subjectOf(nil, err), Warnings: []warning{}}, err)
	}
	var facts *serverFacts
	var asking error
	if o.server {
		facts, asking = askServer(ctx, e, o.timeout)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	warnings := offlineWarnings(e)
	if facts != nil {
		warnings = append(warnings, serverWarnings(e, facts)...)
	}
	if o.json {
		err = c.printJSON(newExplainDocument(e, facts, warnings, asking))
	} else {
		showExplanation(c, e, facts, warnings)
	}
	switch {
	case err != nil:
		return err
	case asking != nil && !o.json:
		return fmt.Errorf("the server could not be asked: %w", asking)
	case asking != nil, o.strict && len(warnings) > 0:
		return errBad
	}
	return nil
}

func newExplainDocument(e *nimue.Explanation, facts *serverFacts, warnings []warning, asking error) explainDocument {
	d := explainDocument{subject: subjectOf(e, asking), Server: facts, Warnings: append([]warning{}, warnings...)}
	for _, s := range e.Settings {
		d.Settings = append(d.Settings, settingDocument(s))
	}
	return d
}

// showExplanation prints it for people: what was asked for comes first.
func showExplanation(c *console, e *nimue.Explanation, facts *serverFacts, warnings []warning) {
	s := c.style(c.out)
	fmt.Fprintf(c.out, "%s\n\n", s.bold(e.DSN.Redacted()))
	fmt.Fprintf(c.out, "  inner driver  %s\n", e.DSN.Driver)
	fmt.Fprintf(c.out, "  adapter       %s\n", cmp.Or(e.Adapter, "none"))
	if facts != nil {
		showServer(c, facts, 16)
		if room := roomFor(e, facts); room != "" {
			c.indented("  room", room, 16)
		}
	}
	for _, group := range []struct {
		source nimue.Source
		title  string
	}{
		{nimue.SourceDSN, "Given in the DSN"},
		{nimue.SourceAdapter, "Set by the adapter " + e.Adapter},
		{nimue.SourceFollows, "Following others"},
		{nimue.SourceDefault, "Defaults"},
	} {
		settings := slices.DeleteFunc(slices.Clone(e.Settings), func(s nimue.Setting) bool { return s.Source != group.source })
		if len(settings) > 0 {
			fmt.Fprintf(c.out, "\n%s\n\n", s.bold(group.title))
			showSettings(c, s, settings)
		}
	}
	if len(warnings) > 0 {
		fmt.Fprintf(c.out, "\n%s\n\n", s.bold("Warnings"))
	}
	for _, w := range warnings {
		mark := s.yellow("! ")
		for _, line := range wrap(w.Text, max(c.width()-4, 30)) {
			fmt.Fprintf(c.out, "  %s%s\n", mark, line)
			mark = "  "
		}
	}
}

// roomFor says how many pools of this size the server has room for, if for any.
func roomFor(e *nimue.Explanation, f *serverFacts) string {
	most, _ := f.limit()
	switch n := most / e.Config.MaxConns; n {
	case 0:
		return ""
	case 1:
		return "for one pool of this size, if nobody else connects"
	default:
		return fmt.Sprintf("for %d pools of this size, if nobody else connects", n)
	}
}

// widestValue is how wide the column of values may become; a longer value has its
// meaning beneath.
const widestValue = 12

func showSettings(c *console, s style, settings []nimue.Setting) {
	name, value := 0, 0
	for _, setting := range settings {
		name = max(name, len(setting.Name))
		if n := len([]rune(setting.Value)); n <= widestValue {
			value = max(value, n)
		}
	}
	indent := 2 + name + 2 + value + 2
	for _, setting := range settings {
		label := fmt.Sprintf("  %-*s  %-*s  ", name, setting.Name, value, cmp.Or(setting.Value, "–"))
		meaning := setting.Meaning
		if setting.Source == nimue.SourceFollows {
			meaning = "from " + setting.Follows + ": " + meaning
		}
		if len([]rune(label)) > indent {
			fmt.Fprintln(c.out, strings.TrimRight(label, " "))
			label = ""
		}
		for _, line := range wrap(meaning, max(c.width()-indent, 30)) {
			fmt.Fprintf(c.out, "%-*s%s\n", indent, label, s.faint(line))
			label = ""
		}
	}
}
