package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/servers"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Tests{M: m}) }

// result is what a run of the program came to.
type result struct {
	code          int
	out, messages string
}

// all is everything that was printed.
func (r result) all() string { return r.out + r.messages }

// program is one run to be.
type program struct {
	ctx   context.Context
	until string // a text; when it has been printed the program is interrupted
	stdin io.Reader
	env   map[string]string
}

func (p program) run(t testing.TB, args ...string) result {
	t.Helper()
	if p.ctx == nil {
		p.ctx = t.Context()
	}
	if p.stdin == nil {
		p.stdin = strings.NewReader("")
	}
	var messages bytes.Buffer
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	out := interrupting{until: p.until, interrupt: cancel}
	code := run(ctx, args, p.stdin, &out, &messages, func(name string) string { return p.env[name] })
	return result{code, out.String(), messages.String()}
}

// interrupting is an output that interrupts who has printed a text to it.
type interrupting struct {
	bytes.Buffer
	until     string
	interrupt func()
}

func (w *interrupting) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if w.until != "" && strings.Contains(w.String(), w.until) {
		w.interrupt()
	}
	return n, err
}

func runWith(t testing.TB, args ...string) result {
	t.Helper()
	return program{}.run(t, args...)
}

// wants checks the exit code and that texts are in what was printed.
func (r result) wants(t testing.TB, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	for _, text := range texts {
		if !strings.Contains(r.all(), text) {
			t.Errorf("%q is missing", text)
		}
	}
	if t.Failed() {
		t.Logf("standard output:\n%s\nstandard error:\n%s", r.out, r.messages)
	}
}

// decode reads the one JSON document that was printed, which may have no field that
// into has not.
func decode[T any](t testing.TB, r result) (into T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(r.out))
	d.DisallowUnknownFields()
	if err := d.Decode(&into); err != nil {
		t.Fatalf("%v in\n%s", err, r.out)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("something stands behind the document:\n%s", r.out)
	}
	if r.messages != "" {
		t.Errorf("beside the document: %s", r.messages)
	}
	return into
}

func TestHelp(t *testing.T) {
	for _, args := range []string{"help", "-h", "-help", "--help"} {
		r := runWith(t, args)
		r.wants(t, exitFine)
		if r.out != overview() || r.messages != "" {
			t.Errorf("%s prints\n%s%s", args, r.out, r.messages)
		}
	}
	for _, cmd := range commands() {
		r := runWith(t, "help", cmd.name)
		r.wants(t, exitFine, "usage: nimue "+cmd.name+" [flags] "+cmd.operand, "-json", "Exit code 1:")
		if again := runWith(t, cmd.name, "-h"); again != r {
			t.Errorf("nimue %s -h prints\n%s", cmd.name, again.all())
		}
		if r.messages != "" || !strings.Contains(overview(), cmd.brief) {
			t.Errorf("%s: help %q", cmd.name, r.messages)
		}
		for line := range strings.Lines(r.out) {
			if len(line) > 101 {
				t.Errorf("%s: a line of help is %d bytes long: %s", cmd.name, len(line), line)
			}
		}
	}
}

func TestUsageErrors(t *testing.T) {
	const secret = "hunter2"
	for _, test := range []struct {
		args []string
		says string
	}{
		{nil, "usage: nimue COMMAND"},
		{[]string{"pgx:postgres://u:" + secret + "@h/db"}, `nimue explain "DSN"`},
		{[]string{secret}, "no such command; there are explain, ping, bench, watch, help"},
		{[]string{"expl"}, "did you mean explain?"},
		{[]string{"benchmark"}, "did you mean bench?"},
		{[]string{"help", "nosuch"}, "no such command"},
		{[]string{"help", "ping", "bench"}, "one command at a time"},
		{[]string{"ping"}, "a DSN is missing"},
		{[]string{"watch"}, "a URL is missing"},
		{[]string{"ping", ""}, "the DSN is empty"},
		{[]string{"ping", "mysql:u:" + secret, "@tcp(h)/x"}, "there are 2 arguments where one DSN is expected; put it in quotes"},
		{[]string{"ping", "-"}, "the DSN on standard input: it is empty"},
		{[]string{"ping", "-timeuot", "3s", "sqlite::memory:"}, "there is no flag -timeuot"},
		{[]string{"ping", "-n"}, "-n: a value is missing"},
		{[]string{"ping", "-n", secret, "sqlite::memory:"}, "-n: want a number from 0 to 100000"},
		{[]string{"ping", "-n", "-1", "sqlite::memory:"}, "-n: want a number"},
		{[]string{"ping", "-timeout=" + secret, "sqlite::memory:"}, "-timeout: want a duration from 1ms to 1h0m0s, such as 10s"},
		{[]string{"ping", "-timeout", "2h", "sqlite::memory:"}, "-timeout: want a duration"},
		{[]string{"ping", "-json=" + secret, "sqlite::memory:"}, "-json: want true or false"},
		{[]string{"ping", "-pgx:postgres://u:" + secret + "@h/db"}, "one of the flags is not known"},
		{[]string{"ping", "---json"}, "one of the flags is not known"},
		{[]string{"ping", "sqlite::memory:", "-" + secret + "=" + secret}, "one of the flags is not known"},
		{[]string{"watch", "http://u:" + secret + "@h:%zz/"}, "the URL cannot be read"},
		{[]string{"watch", "ftp://u:" + secret + "@h/"}, "the URL is no http"},
		{[]string{"watch", "http:///x"}, "the URL is no http"},
	} {
		r := runWith(t, test.args...)
		if r.code != exitUsage || r.out != "" || !strings.Contains(r.messages, test.says) || strings.Contains(r.messages, secret) {
			t.Errorf("nimue %q: exit code %d, %q", test.args, r.code, r.all())
		}
	}
}

func TestUsageErrorNamesTheHelp(t *testing.T) {
	r := runWith(t, "ping")
	want := "nimue ping: a DSN is missing: give it in quotes, or in NIMUE_DSN, or - to read it from standard input\nRun \"nimue help ping\" for more.\n"
	if r.messages != want {
		t.Errorf("%q", r.messages)
	}
}

func TestDSNFromElsewhere(t *testing.T) {
	const dsn = "sqlite:file::memory:?pool_ping_timeout=3s"
	direct := runWith(t, "explain", dsn)
	direct.wants(t, exitFine, "pool_ping_timeout")
	for name, p := range map[string]program{
		"environment":    {env: map[string]string{"NIMUE_DSN": dsn}},
		"standard input": {stdin: strings.NewReader("  " + dsn + "\r\nrest")},
		"without an end": {stdin: strings.NewReader(dsn)},
	} {
		args := []string{"explain"}
		if p.stdin != nil {
			args = append(args, "-")
		}
		if r := p.run(t, args...); r != direct {
			t.Errorf("%s: %d\n%s", name, r.code, r.all())
		}
	}
	p := program{stdin: io.MultiReader(strings.NewReader(""), failing{})}
	p.run(t, "explain", "-").wants(t, exitUsage, "broken pipe")
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestFlagsMayFollowTheOperand(t *testing.T) {
	r := runWith(t, "ping", "-n", "2", "sqlite::memory:", "-json", "-timeout", "9s")
	if d := decode[pingDocument](t, r); d.Ping == nil || d.Ping.Count != 2 {
		t.Errorf("%s", r.out)
	}
	runWith(t, "ping", "-n=1", "--", "sqlite::memory:").wants(t, exitFine, "ping × 1")
}

// cancelled is a context that ends after a while.
func cancelled(t testing.TB, after time.Duration) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	time.AfterFunc(after, cancel)
	return ctx
}
