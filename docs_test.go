package nimue

import (
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nimue-go/nimue/pool"
)

// sources calls f with every Go file of the repository, of all modules, and its
// directory; "nimue" is the root's.
func sources(t *testing.T, f func(dir, name string, file *ast.File)) {
	t.Helper()
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		file, err := goparser.ParseFile(set, path, nil, goparser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		if dir == "." {
			dir = "nimue"
		}
		f(dir, filepath.Base(path), file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var testName = regexp.MustCompile(`^(Test|Example|Fuzz)([^a-z].*)?$`)

// testsOfAll are the names of all tests, examples and fuzz tests, as pool.TestModel.
func testsOfAll(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	sources(t, func(dir, name string, file *ast.File) {
		if !strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && testName.MatchString(f.Name.Name) && f.Name.Name != "TestMain" {
				names[dir+"."+f.Name.Name] = true
			}
		}
	})
	return names
}

// A table of a page, by the heading above it, its rows without the first two.
type table struct {
	heading string
	rows    [][]string
}

func tablesOf(page string) []table {
	var tables []table
	heading, inTable := "", 0
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			heading = title
		}
		if !strings.HasPrefix(line, "|") {
			inTable = 0
			continue
		}
		switch inTable++; inTable {
		case 1:
			tables = append(tables, table{heading: heading})
		case 2:
		default:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			last := &tables[len(tables)-1]
			last.rows = append(last.rows, cells)
		}
	}
	return tables
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var code = regexp.MustCompile("`([^`]+)`")

// codes are the texts between backticks.
func codes(text string) []string {
	var all []string
	for _, match := range code.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

var behaviour = regexp.MustCompile(`Behaviour(\d+)`)

// TestSeeds holds docs/seeds.md to the code: no cell is empty, what is said to show
// something exists, and the tests that name a behaviour are those of its row. With
// -update they are written there; others in a row stay.
func TestSeeds(t *testing.T) {
	const path = "docs/seeds.md"
	page := mustRead(t, path)
	tests := testsOfAll(t)
	named := map[int][]string{}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		if match := behaviour.FindStringSubmatch(name); match != nil {
			n, _ := strconv.Atoi(match[1])
			named[n] = append(named[n], name)
		}
	}
	if *update {
		page = regexp.MustCompile(`(?m)^\| (\d+) \| (.*) \| ?(.*?) ?\|$`).ReplaceAllStringFunc(page, func(row string) string {
			cells := strings.Split(strings.Trim(row, "|"), "|")
			n, _ := strconv.Atoi(strings.TrimSpace(cells[0]))
			shown := slices.Clone(named[n])
			for _, name := range codes(cells[2]) {
				if !behaviour.MatchString(name) {
					shown = append(shown, name)
				}
			}
			return fmt.Sprintf("| %d |%s| `%s` |", n, cells[1], strings.Join(shown, "`, `"))
		})
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rows := map[string]int{}
	for _, table := range tablesOf(page) {
		for i, cells := range table.rows {
			rows[table.heading]++
			if len(cells) != 3 || slices.Contains(cells, "") {
				t.Errorf("%s, row %d: %d cells, or an empty one: %q", table.heading, i+1, len(cells), cells)
				continue
			}
			shown := codes(cells[2])
			if rest := strings.Trim(code.ReplaceAllString(cells[2], ""), ", "); rest != "" || len(shown) == 0 {
				t.Errorf("%s: shown by %q", cells[0], cells[2])
			}
			for _, name := range shown {
				if !tests[name] {
					t.Errorf("%s: there is no %s", cells[0], name)
				}
			}
			if table.heading != "Behaviours" {
				continue
			}
			if cells[0] != strconv.Itoa(i+1) || len(named[i+1]) == 0 {
				t.Errorf("behaviour %s stands in row %d, and %d tests name it", cells[0], i+1, len(named[i+1]))
			}
			for _, name := range named[i+1] {
				if !slices.Contains(shown, name) {
					t.Errorf("behaviour %d: %s is missing (go test -run TestSeeds -update)", i+1, name)
				}
			}
			for _, name := range shown {
				if behaviour.MatchString(name) && !slices.Contains(named[i+1], name) {
					t.Errorf("behaviour %d: %s is of another", i+1, name)
				}
			}
		}
	}
	if want := map[string]int{"Nimue": 11, "DBUtils": 12, "MimerPy": 7, "Nucleon": 4, "Behaviours": 28}; !maps.Equal(rows, want) {
		t.Errorf("the tables have %v rows, want %v", rows, want)
	}
	for n := range named {
		if n < 1 || n > 28 {
			t.Errorf("%v: there is no behaviour %d", named[n], n)
		}
	}
}

var programBlock = regexp.MustCompile("(?s)(<!-- program: ([^\n]*) -->\n```go\n)(.*?)(```\n)")

// programOf makes a program of a file that is one example.
func programOf(t *testing.T, path string) string {
	t.Helper()
	text := mustRead(t, path)
	before, output, ok := strings.Cut(text, "\t// Output:\n")
	if !ok || strings.Count(output, "\n}\n") != 1 || !strings.HasSuffix(output, "\n}\n") {
		t.Fatalf("%s does not end with an example's output", path)
	}
	before = regexp.MustCompile(`^package \w+\n`).ReplaceAllString(before, "package main\n")
	program := regexp.MustCompile(`\nfunc Example\w*\(\) \{\n`).ReplaceAllString(before, "\nfunc main() {\n") + "}\n"
	if strings.Count(program, "\nfunc main() {\n") != 1 {
		t.Fatalf("%s has not exactly one example", path)
	}
	return program
}

// TestComingFromPrograms: those in docs/coming-from.md are the examples that
// tests run.
func TestComingFromPrograms(t *testing.T) {
	const path = "docs/coming-from.md"
	page := mustRead(t, path)
	if n := strings.Count(page, "```go"); n != 4 || len(programBlock.FindAllString(page, -1)) != n {
		t.Errorf("%s has %d programs, want 4, and each below a comment", path, n)
	}
	updated := programBlock.ReplaceAllStringFunc(page, func(block string) string {
		match := programBlock.FindStringSubmatch(block)
		program := programOf(t, match[2])
		if match[3] != program && !*update {
			t.Errorf("%s: the program is not that of %s (go test -run TestComingFromPrograms -update)", path, match[2])
		}
		return match[1] + program + match[4]
	})
	if *update {
		if err := os.WriteFile(path, []byte(updated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// exported are the names that a package of the repository exports, as pool.Config,
// and methods and fields as pool.Config.MaxConns.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	add := func(parts ...string) { names[strings.Join(parts, ".")] = true }
	sources(t, func(dir, name string, file *ast.File) {
		if strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add(dir, d.Name.Name)
					continue
				}
				of := d.Recv.List[0].Type
				if star, ok := of.(*ast.StarExpr); ok {
					of = star.X
				}
				if index, ok := of.(*ast.IndexExpr); ok {
					of = index.X
				}
				add(dir, of.(*ast.Ident).Name, d.Name.Name)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						add(dir, s.Name.Name)
					case *ast.ValueSpec:
						for _, ident := range s.Names {
							add(dir, ident.Name)
						}
					}
				}
			}
		}
	})
	for _, field := range reflect.VisibleFields(reflect.TypeFor[pool.Config]()) {
		add("pool", "Config", field.Name)
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[pool.Stats]()) {
		add("pool", "Stats", field.Name)
	}
	return names
}

var (
	parameterName = regexp.MustCompile(`\bpool_[a-z_]+`)
	goName        = regexp.MustCompile(`\b(nimue|pool|tx|query|status)((?:\.[A-Z]\w*)+)`)
	poolMethod    = regexp.MustCompile(`\bp\.([A-Z]\w*)(?:\(\)\.([A-Z]\w*))?`)
)

// TestComingFrom: no cell of docs/coming-from.md is empty, and what it names on
// nimue's side exists.
func TestComingFrom(t *testing.T) {
	page := mustRead(t, "docs/coming-from.md")
	names := exported(t)
	for _, table := range tablesOf(page) {
		theirs := map[string]bool{}
		for i, cells := range table.rows {
			if len(cells) != 2 && table.heading != "database/sql" || slices.Contains(cells, "") {
				t.Errorf("%s, row %d: %d cells, or an empty one: %q", table.heading, i+1, len(cells), cells)
				continue
			}
			if theirs[cells[0]] {
				t.Errorf("%s: %s stands there twice", table.heading, cells[0])
			}
			theirs[cells[0]] = true
			for _, text := range codes(strings.Join(cells[1:], " ")) {
				for _, key := range parameterName.FindAllString(text, -1) {
					if parameterByKey[key] == nil {
						t.Errorf("%s: there is no parameter %s", cells[0], key)
					}
				}
				for _, match := range goName.FindAllStringSubmatch(text, -1) {
					if !names[match[0]] {
						t.Errorf("%s: there is no %s", cells[0], match[0])
					}
				}
				for _, match := range poolMethod.FindAllStringSubmatch(text, -1) {
					if !names["pool.Pool."+match[1]] || match[1] == "Stats" && match[2] != "" && !names["pool.Stats."+match[2]] {
						t.Errorf("%s: there is no %s", cells[0], match[0])
					}
				}
			}
		}
	}
}

var pageLink = regexp.MustCompile(`\]\(([^)#:"\s]+)(?:#[^)]*)?\)`)

// TestLinksOfPages: what the pages refer to is there.
func TestLinksOfPages(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) < 4 {
		t.Fatalf("%v, %v", pages, err)
	}
	for _, page := range append(pages, "README.md") {
		for _, match := range pageLink.FindAllStringSubmatch(mustRead(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), match[1])); err != nil {
				t.Errorf("%s refers to %s: %v", page, match[1], err)
			}
		}
	}
}
