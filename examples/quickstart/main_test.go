package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue/conformance/servers"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runWith runs the program with a temporary directory of its own, which must be
// empty afterwards.
func runWith(t *testing.T, ctx context.Context, args ...string) (code int, out, messages string) {
	t.Helper()
	temp := t.TempDir()
	for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(name, temp)
	}
	var o, m bytes.Buffer
	code = run(ctx, args, &o, &m, false)
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
	return code, o.String(), m.String()
}

// holdsUp checks what a successful run of 300 orders prints.
func holdsUp(t *testing.T, code int, out, messages string) {
	t.Helper()
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, messages)
	}
	for _, pattern := range []string{
		`(?m)^ +orders +300$`,
		`(?m)^ +different order numbers +300$`,
		`(?m)^ +order lines +600$`,
		`(?m)^ +connects +\d+ \(0 failed\), \d seen at a time, of 8 allowed$`,
		`(?m)^ +statement cache +[1-9]\d* hits, [1-9]\d* misses$`,
		`(?m)^ +reports +[1-9]`,
		`(?m)^ +nimue +300 .* 0$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("nothing matches %s in\n%s", pattern, out)
		}
	}
}

func TestSQLite(t *testing.T) {
	code, out, messages := runWith(t, t.Context(), "-orders", "300", "-workers", "16")
	holdsUp(t, code, out, messages)
	for _, way := range []string{"default settings", "8 open, 8 idle"} {
		if !strings.Contains(out, "database/sql, "+way) {
			t.Errorf("%q is missing in\n%s", way, out)
		}
	}
}

func TestSQLiteWithoutComparison(t *testing.T) {
	file := filepath.ToSlash(filepath.Join(t.TempDir(), "own.db"))
	dsn := "sqlite:file:" + file + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate&pool_max_conns=8"
	code, out, messages := runWith(t, t.Context(), "-orders", "300", "-workers", "16", "-compare=false", "-dsn", dsn)
	holdsUp(t, code, out, messages)
	if strings.Contains(out, "database/sql") {
		t.Errorf("compared though told not to:\n%s", out)
	}
	if n := countTables(t, "sqlite", "file:"+file, `SELECT COUNT(*) FROM sqlite_master`); n != 0 {
		t.Errorf("%d tables and indexes left", n)
	}
}

func TestPostgres(t *testing.T) {
	url := servers.Postgres(t).URL("postgres")
	code, out, messages := runWith(t, t.Context(), "-orders", "300", "-workers", "16", "-dsn", "pgx:"+url+"&pool_max_conns=8")
	holdsUp(t, code, out, messages)
	if n := countTables(t, "pgx", url, `SELECT COUNT(*) FROM pg_tables WHERE tablename LIKE 'nimue%'`); n != 0 {
		t.Errorf("%d tables left", n)
	}
}

func countTables(t *testing.T, driver, dsn, query string) (n int) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	code, _, messages := runWith(t, ctx, "-orders", fmt.Sprint(mostOrders))
	if code != exitInterrupted || messages != "quickstart: interrupted\n" {
		t.Errorf("exit code %d, %q", code, messages)
	}
}

func TestBadInputIsOneLine(t *testing.T) {
	for _, test := range []struct {
		arg, value string
		code       int
		says       string
	}{
		{"-dsn", "nosuch:somewhere", exitUsage, "nosuch"},
		{"-dsn", "sqlite:file:a.db?pool_max_cons=8", exitUsage, "pool_max_conns"},
		{"-dsn", "sqlite:file:a.db?pool_max_conns=1", exitUsage, "want 2 or more"},
		{"-dsn", "postgres://app@db/shop", exitUsage, "pgx:"},
		{"-dsn", "pgx:postgres://app:hidden@127.0.0.1:1/shop?pool_acquire_timeout=1s", exitFailed, "refused"},
		{"-dsn", "sqlite:file:no/such/directory/a.db?pool_acquire_timeout=1s", exitFailed, "unable to open"},
		{"-orders", "0", exitUsage, "-orders 0: want 1"},
		{"-workers", "many", exitUsage, "-workers"},
		{"-colour", "red", exitUsage, "-colour"},
	} {
		code, _, messages := runWith(t, t.Context(), test.arg, test.value)
		if code != test.code || !strings.Contains(messages, test.says) || strings.Count(messages, "\n") != 1 {
			t.Errorf("%s %s: exit code %d, want %d; says %q, want one line with %q", test.arg, test.value, code, test.code, messages, test.says)
		}
		if strings.Contains(messages, "hidden") {
			t.Errorf("the password is in %q", messages)
		}
	}
}

// TestFaultsAreFound damages a shop in every way that the books should show.
func TestFaultsAreFound(t *testing.T) {
	const orders = 5
	for _, test := range []struct{ name, damage, says string }{
		{"nothing", ``, ""},
		{"an order twice", `INSERT INTO @orders SELECT * FROM @orders WHERE order_no = 2`, "different order numbers and orders differ: 5 and 6"},
		{"an order lost", `DELETE FROM @orders WHERE order_no = 5`, "orders in the database and orders placed differ: 4 and 5"},
		{"a number for another", `UPDATE @orders SET order_no = 9 WHERE order_no = 5`, "last order number"},
		{"a line lost", `DELETE FROM @lines WHERE order_no = 3`, "order lines and two per order differ: 8 and 10"},
		{"a sum changed", `UPDATE @orders SET total = total + 1 WHERE order_no = 1`, "sum of the orders"},
		{"a quantity changed", `UPDATE @lines SET quantity = quantity + 1 WHERE order_no = 1`, "stock taken and quantity sold"},
		{"stock of the wrong item", `UPDATE @items SET stock = stock + 1 - 2 * item_no WHERE item_no IN (0, 1)`,
			"items whose stock and sales differ and none differ: 2 and 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			db, tally, err := throughNimue.open(sqliteDSN(filepath.Join(t.TempDir(), "a.db")))
			if err != nil {
				t.Fatal(err)
			}
			defer tally.close()
			s, err := openShop(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			for no := 1; no <= orders; no++ {
				if err := s.place(t.Context(), 0, makeOrder(no)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.Exec(s.sql(test.damage)); err != nil {
				t.Fatal(err)
			}
			r := result{planned: orders, outcome: outcome{placed: orders}, audited: true}
			if r.booked, err = s.readBooks(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := r.fault(); err != nil {
				got = oneLine(err)
			}
			if (test.says == "") != (got == "") || !strings.Contains(got, test.says) {
				t.Errorf("found %q, want %q", got, test.says)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	var sorted []time.Duration
	if got := percentile(sorted, 99); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for i := range 200 {
		sorted = append(sorted, time.Duration(i)*time.Millisecond)
	}
	for p, want := range map[int]time.Duration{0: 0, 50: 100 * time.Millisecond, 99: 198 * time.Millisecond, 100: 199 * time.Millisecond} {
		if got := percentile(sorted, p); got != want {
			t.Errorf("%d: %v, want %v", p, got, want)
		}
	}
}
