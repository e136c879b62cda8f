package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nimue-go/nimue"
)

func TestExplain(t *testing.T) {
	r := runWith(t, "explain", "pgx:postgres://app:hunter2@db.internal/shop?sslmode=verify-full&pool_max_conns=8&pool_init_sql=SET+x%3D'hunter2'")
	r.wants(t, exitFine,
		"pgx:postgres://app:xxxxx@db.internal/shop?sslmode=verify-full&pool_max_conns=8",
		"  inner driver  pgx\n  adapter       pgx\n",
		"\nGiven in the DSN\n\n  pool_max_conns  8             most connections",
		"SET x='xxxxx  SQL for every new connection",
		"from pool_max_conns: idle connections",
		"\nDefaults\n\n  pool_min_conns ",
		"pool_health_query         –  ")
	if strings.Contains(r.out, "Warnings") || r.messages != "" {
		t.Errorf("warnings:\n%s", r.all())
	}
	for line := range strings.Lines(r.out) {
		if n := len([]rune(line)); n > widthUnknown+1 && !strings.HasPrefix(line, "pgx:") || strings.HasSuffix(line, " \n") {
			t.Errorf("line of %d characters: %q", n, line)
		}
	}
}

func TestExplainKeepsToColumns(t *testing.T) {
	r := program{env: map[string]string{"COLUMNS": "72"}}.run(t, "explain", "sqlite:file:a.db?pool_acquire_timeout=0")
	for line := range strings.Lines(r.out) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 72 {
			t.Errorf("line of %d characters: %q", n, line)
		}
	}
	r.wants(t, exitFine, "\n  ! pool_acquire_timeout: there is no limit: a caller whose context")
}

func TestExplainNamesTheAdaptersSettings(t *testing.T) {
	runWith(t, "explain", "sqlite::memory:").wants(t, exitFine, "\nSet by the adapter sqlite\n\n  pool_max_conns                 1 ")
}

func TestExplainJSON(t *testing.T) {
	const dsn = "pgx:postgres://app:hunter2@db.internal/shop?pool_max_conns=8&pool_acquire_timeout=0"
	r := runWith(t, "explain", "-json", dsn)
	d := decode[explainDocument](t, r)
	e, err := nimue.Explain(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if d.DSN != e.DSN.Redacted() || d.Driver != "pgx" || d.Adapter != "pgx" || d.Server != nil || d.Error != "" || len(d.Settings) != len(e.Settings) {
		t.Errorf("%s", r.out)
	}
	for i, s := range e.Settings {
		if nimue.Setting(d.Settings[i]) != s {
			t.Errorf("%+v, want %+v", d.Settings[i], s)
		}
	}
	if len(d.Warnings) != 1 || d.Warnings[0].Code != "no_acquire_timeout" || d.Warnings[0].Setting != "pool_acquire_timeout" || d.Warnings[0].Text == "" {
		t.Errorf("warnings %+v", d.Warnings)
	}
	wantKeys(t, r.out, "dsn", "driver", "adapter", "settings", "warnings")
	wantKeys(t, string(field(t, field(t, []byte(r.out), "settings"), "0")), "name", "value", "source", "follows", "meaning")
}

// field takes a value out of a JSON object, or the first out of a list.
func field(t *testing.T, document []byte, name string) []byte {
	t.Helper()
	if name == "0" {
		var list []json.RawMessage
		if err := json.Unmarshal(document, &list); err != nil || len(list) == 0 {
			t.Fatalf("%v in %s", err, document)
		}
		return list[0]
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(document, &object); err != nil {
		t.Fatal(err)
	}
	return object[name]
}

// wantKeys holds an object to its documented fields.
func wantKeys(t *testing.T, document string, keys ...string) {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(document), &object); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	var got []string
	for key := range object {
		got = append(got, key)
	}
	slices.Sort(got)
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		t.Errorf("fields %v, want %v", got, keys)
	}
}

func TestExplainTellsAllMistakes(t *testing.T) {
	const dsn = "pgx:postgres://app:hunter2@h/db?pool_max_con=3&pool_order=up"
	r := runWith(t, "explain", dsn)
	r.wants(t, exitBad, "nimue explain: invalid DSN: 2 problems:", "did you mean pool_max_conns", "pool_order=up: want lifo or fifo")
	if r.out != "" {
		t.Errorf("on standard output: %s", r.out)
	}
	r = runWith(t, "explain", "-json", dsn)
	d := decode[explainDocument](t, r)
	if r.code != exitBad || len(d.Problems) != 2 || d.Problems[1].Setting != "pool_order" || d.Problems[1].Value != "up" || d.Error == "" || d.Warnings == nil {
		t.Errorf("%d %+v", r.code, d)
	}
}

func TestUnknownDriver(t *testing.T) {
	runWith(t, "ping", "sqlserver:server=x").wants(t, exitBad, `unknown driver "sqlserver"`, "mysql, pgx, pgx/v5, ", "cmd/nimue/drivers.go")
}

func TestExplainRefusedByTheAdapter(t *testing.T) {
	runWith(t, "explain", "sqlite::memory:?pool_max_conns=3").wants(t, exitBad, "pool_max_conns=3: want 1: a private database")
}

func TestStrict(t *testing.T) {
	for args, code := range map[string]int{
		"sqlite:a.db?pool_acquire_timeout=0":         exitFine,
		"-strict sqlite:a.db?pool_acquire_timeout=0": exitBad,
		"-strict sqlite:a.db":                        exitFine,
	} {
		r := runWith(t, append([]string{"explain"}, strings.Fields(args)...)...)
		r.wants(t, code)
		if r.messages != "" {
			t.Errorf("%s: %s", args, r.messages)
		}
	}
}
