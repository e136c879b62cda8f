package servers

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// installation makes a folder with the programs in it.
func installation(t *testing.T, folder string, mode os.FileMode, programs ...string) string {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range programs {
		if err := os.WriteFile(filepath.Join(folder, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestFindProgramsPrefersThePathThenTheNewest(t *testing.T) {
	root := t.TempDir()
	onPath := installation(t, filepath.Join(root, "path"), 0o755, "a.exe", "b.exe", "a", "b")
	installation(t, filepath.Join(root, "lib/9.6/bin"), 0o755, "a.exe", "b.exe", "a", "b")
	newest := installation(t, filepath.Join(root, "lib/15/bin"), 0o755, "a.exe", "b.exe", "a", "b")
	installation(t, filepath.Join(root, "lib/16/bin"), 0o755, "a.exe", "a") // a client's package: half of it
	patterns := []string{filepath.Join(root, "none/*"), filepath.Join(root, "lib/*/bin")}

	for _, test := range []struct{ path, want string }{{onPath, onPath}, {root, newest}, {"", newest}} {
		t.Setenv("PATH", test.path)
		if got, ok := findPrograms(patterns, []string{"a", "b"}); !ok || got != test.want {
			t.Errorf("PATH=%s: found %q, %t, want %q", test.path, got, ok, test.want)
		}
	}
	if got, ok := findPrograms(patterns, []string{"a", "c"}); ok {
		t.Errorf("found a program that does not exist in %s", got)
	}
}

func TestVersionsAreOrderedAsNumbers(t *testing.T) {
	paths := []string{"/lib/10/bin", "/lib/9.6/bin", "/lib/bin", "/lib/9.10/bin"}
	slices.SortFunc(paths, compareVersions)
	want := []string{"/lib/bin", "/lib/9.6/bin", "/lib/9.10/bin", "/lib/10/bin"}
	if !slices.Equal(paths, want) {
		t.Errorf("sorted %q, want %q", paths, want)
	}
}

// fakeTB records what Require does with a test.
type fakeTB struct {
	testing.TB
	skipped, failed []any
}

func (f *fakeTB) Helper()           {}
func (f *fakeTB) Skip(args ...any)  { f.skipped = args }
func (f *fakeTB) Fatal(args ...any) { f.failed = args }

func TestRequireSkipsOnlyWhatIsNotInstalledAndNotRequired(t *testing.T) {
	_, missing := func() (*PostgresServer, error) {
		t.Setenv("PATH", t.TempDir())
		old := postgresFolders
		postgresFolders = nil
		defer func() { postgresFolders = old }()
		return StartPostgres(t.Context(), PostgresOptions{})
	}()
	if !errors.Is(missing, ErrNotInstalled) || !strings.Contains(missing.Error(), "install the package postgresql") {
		t.Fatalf("without binaries: %v", missing)
	}
	for _, test := range []struct {
		err             error
		required        string
		skipped, failed bool
	}{
		{nil, "1", false, false},
		{missing, "", true, false},
		{missing, "1", false, true},
		{errors.New("initdb: disk full"), "", false, true},
	} {
		t.Setenv(RequireEnv, test.required)
		var tb fakeTB
		Require(&tb, test.err)
		if (tb.skipped != nil) != test.skipped || (tb.failed != nil) != test.failed {
			t.Errorf("%v, %s=%q: skipped %v, failed %v", test.err, RequireEnv, test.required, tb.skipped, tb.failed)
		}
	}
}
