package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/nimue-go/nimue/conformance/servers"
)

var update = flag.Bool("update", false, "rewrite the blocks of docs/command.md that the command prints")

const docPage = "../../docs/command.md"

// block is a fenced block below a comment.
var block = regexp.MustCompile("(?s)(<!-- ([^\n]*) -->\n```\n)(.*?\n)(```\n)")

// blocks are the fenced blocks of docs/command.md below a comment, by its text.
func blocks(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(docPage)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, match := range block.FindAllStringSubmatch(string(page), -1) {
		found[match[2]] = match[3]
	}
	return found
}

// TestDocumentedOutput holds the page to what the command prints.
func TestDocumentedOutput(t *testing.T) {
	want := map[string]string{"help": overview(), "sample: watch": wantSample}
	for _, cmd := range commands() {
		want["help: "+cmd.name] = cmd.help()
	}
	documented := blocks(t)
	for title := range documented {
		if line, ok := strings.CutPrefix(title, "run: explain "); ok {
			dsn := strings.Trim(line, `"`)
			want[title] = "$ nimue explain " + line + "\n" + runWith(t, "explain", dsn).all()
		}
	}
	lines := program{until: `pool="reports"`}.run(t, "watch", "-interval", "1h", serveSample(t, nil))
	want["sample: watch lines"] = lines.out
	if len(want) < 9 {
		t.Errorf("only %d blocks were found", len(want))
	}
	if *update {
		rewrite(t, want)
		return
	}
	for title, text := range want {
		if documented[title] != text {
			t.Errorf("docs/command.md, %s, has\n%s\nbut the command prints\n%s(go test ./cmd/nimue -run TestDocumentedOutput -update)", title, documented[title], text)
		}
	}
}

// rewrite puts what the command prints into the page.
func rewrite(t *testing.T, want map[string]string) {
	t.Helper()
	page, err := os.ReadFile(docPage)
	if err != nil {
		t.Fatal(err)
	}
	changed := block.ReplaceAllStringFunc(string(page), func(whole string) string {
		match := block.FindStringSubmatch(whole)
		if text, ok := want[match[2]]; ok {
			return match[1] + text + match[4]
		}
		return whole
	})
	if err := os.WriteFile(docPage, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocumentedRuns compares what can be compared of outputs that differ from run to
// run: their labels.
func TestDocumentedRuns(t *testing.T) {
	server := servers.SharedPostgres(t)
	dsn := "pgx:" + server.URL("postgres") + "&pool_max_conns=16"
	documented := blocks(t)
	for title, r := range map[string]result{
		"like: ping":  runWith(t, "ping", dsn),
		"like: bench": runWith(t, "bench", "-d", "50ms", "-c", "64", dsn),
	} {
		if got, want := fmt.Sprint(labels(r.out)), fmt.Sprint(labels(documented[title])); got != want || r.code != exitFine {
			t.Errorf("%s: %s, documented %s\n%s", title, got, want, r.all())
		}
	}
}

// labels are what the lines of an output begin with, but for the rows of a histogram.
func labels(text string) (list []string) {
	for line := range strings.Lines(text) {
		match := regexp.MustCompile(`^ +([a-zA-Z][a-zA-Z0-9/, ]*?)  `).FindStringSubmatch(line)
		if match != nil {
			list = append(list, match[1])
		}
	}
	return list
}

// TestDocumentedWarnings: the page's table has all codes.
func TestDocumentedWarnings(t *testing.T) {
	page, err := os.ReadFile(docPage)
	if err != nil {
		t.Fatal(err)
	}
	codes := append([]string{}, onServer...)
	for _, test := range offline {
		if test.code != "" {
			codes = append(codes, test.code)
		}
	}
	for _, code := range codes {
		if !strings.Contains(string(page), "| `"+code+"`") && !strings.Contains(string(page), ", `"+code+"` |") {
			t.Errorf("docs/command.md says nothing of %s", code)
		}
	}
}
