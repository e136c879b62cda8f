package conformance

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// trial is one case under way: its database, and where it reports to. Only
// Errorf and note may be called from other goroutines than the case's own.
type trial struct {
	reporter
	ctx    context.Context // ends with the case's time
	db     *sql.DB
	d      *Dialect
	target *Target

	prefix     string   // begins the names of the tables
	tables     []string // to be dropped
	unusable   bool     // the case closed the database
	losesConns bool     // the case makes database/sql lose count of its connections
	finished   bool     // the case came to its end

	mu     sync.Mutex // guards result
	result *CaseOutcome
}

// manyTimes is how often a case repeats what may lose a connection each time: more
// often than a pool under test has connections.
const manyTimes = 12

// querier is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// Errorf records a broken promise and goes on.
func (c *trial) Errorf(format string, args ...any) {
	c.Helper()
	text := c.normal(fmt.Sprintf(format, args...))
	c.mu.Lock()
	c.result.Failures = append(c.result.Failures, text)
	c.mu.Unlock()
	c.reporter.Error(text)
}

// Fatalf records a broken promise and ends the case.
func (c *trial) Fatalf(format string, args ...any) {
	c.Helper()
	c.Errorf(format, args...)
	c.reporter.FailNow()
}

// skipUnless ends the case if the dialect lacks what it is about.
func (c *trial) skipUnless(has bool, reason string) {
	c.Helper()
	if !has {
		c.result.Reason = c.d.Name + " " + reason
		c.reporter.Skip(c.result.Reason)
	}
}

// note records an observation. It must be the same in every run.
func (c *trial) note(format string, args ...any) {
	line := c.normal(fmt.Sprintf(format, args...))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Lines = append(c.result.Lines, line)
}

// noteErr records an error's text, and the types that it unwraps to: the text
// alone would not show that a wrapper lost the driver's own type.
func (c *trial) noteErr(what string, err error) {
	if err == nil {
		c.note("%s: no error", what)
		return
	}
	var types []string
	for e := err; e != nil; e = errors.Unwrap(e) {
		types = append(types, fmt.Sprintf("%T", e))
	}
	c.note("%s: %v [%s]", what, err, strings.Join(types, " > "))
}

// addresses are those of memory, which drivers print of arguments that they
// cannot encode.
var addresses = regexp.MustCompile(`0x[0-9a-f]{5,16}`)

func (c *trial) normal(line string) string {
	line = strings.ReplaceAll(line, c.prefix, "")
	line = addresses.ReplaceAllString(line, "0x...")
	if c.target.Normalize != nil {
		line = c.target.Normalize(line)
	}
	return line
}

// must ends the case if there is an error.
func (c *trial) must(what string, err error) {
	c.Helper()
	if err != nil {
		c.Fatalf("%s: %v", what, err)
	}
}

// refused records the error, and reports its absence.
func (c *trial) refused(what string, err error) {
	c.Helper()
	if err == nil {
		c.Errorf("%s: no error", what)
	}
	c.noteErr(what, err)
}

// wantErr records the error, and reports it if it is not the wanted one.
func (c *trial) wantErr(what string, err, want error) {
	c.Helper()
	if !errors.Is(err, want) {
		c.Errorf("%s: error %v, want %v", what, err, want)
	}
	c.noteErr(what, err)
}

// wantText is wantErr for database/sql's errors that have no variable.
func (c *trial) wantText(what string, err error, want string) {
	c.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		c.Errorf("%s: error %v, want %q", what, err, want)
	}
	c.noteErr(what, err)
}

// wantClass reports an error that is not of the class, for which it must lead to
// the driver's own type.
func (c *trial) wantClass(what string, err error, want ErrorClass) {
	c.Helper()
	if got := c.d.Classify(err); got != want {
		c.Errorf("%s: error %v is classified as %q, want %q", what, err, got, want)
	}
	c.noteErr(what, err)
}

// equal reports a value that is not the wanted one, and records it.
func equal[T comparable](c *trial, what string, got, want T) {
	c.Helper()
	if got != want {
		c.Errorf("%s: got %s, want %s", what, show(got), show(want))
	}
	c.note("%s: %s", what, show(got))
}

// eventually waits for what other goroutines bring about, as long as the case has
// time.
func (c *trial) eventually(what string, condition func() bool) {
	c.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-c.ctx.Done():
			c.Fatalf("%s: not before the case's time was over", what)
		}
	}
}

// sql is fmt.Sprintf with every question mark turned into a placeholder.
func (c *trial) sql(format string, args ...any) string {
	var b strings.Builder
	n := 0
	for _, r := range fmt.Sprintf(format, args...) {
		if r == '?' {
			n++
			b.WriteString(c.d.Placeholder(n))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// table makes a table and returns its full name, which records show without the
// random prefix.
func (c *trial) table(name, columns string) string {
	c.Helper()
	name = c.prefix + name
	_, err := c.db.ExecContext(c.ctx, fmt.Sprintf("CREATE TABLE %s (%s)", name, columns))
	c.must("CREATE TABLE", err)
	c.tables = append(c.tables, name)
	return name
}

// keyed makes a table with the columns id, a primary key, and v.
func (c *trial) keyed(name, columnType string) string {
	c.Helper()
	return c.table(name, fmt.Sprintf("id %s NOT NULL PRIMARY KEY, v %s", c.d.Types.Int, columnType))
}

// exec runs a statement that must work.
func (c *trial) exec(q querier, query string, args ...any) sql.Result {
	c.Helper()
	result, err := q.ExecContext(c.ctx, query, args...)
	c.must(query, err)
	return result
}

// insert adds a row to a keyed table.
func (c *trial) insert(q querier, table string, id int, v any) {
	c.Helper()
	c.exec(q, c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table), id, v)
}

// count is the number of rows in a table, as q sees it.
func (c *trial) count(q querier, table string) int {
	c.Helper()
	return one[int](c, q, "SELECT count(*) FROM "+table)
}

// one reads the single value of a query that must work.
func one[T any](c *trial, q querier, query string, args ...any) T {
	c.Helper()
	var value T
	c.must(query, q.QueryRowContext(c.ctx, query, args...).Scan(&value))
	return value
}

// column reads all the values of a query of one column that must work.
func column[T any](c *trial, rows *sql.Rows, err error) []T {
	c.Helper()
	c.must("query", err)
	defer rows.Close()
	var values []T
	for rows.Next() {
		var value T
		c.must("Scan", rows.Scan(&value))
		values = append(values, value)
	}
	c.must("Rows.Err", rows.Err())
	return values
}

// usable ends the case if the database does not answer two questions at once.
func (c *trial) usable(after string) {
	c.Helper()
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() {
			var n int
			if errs[i] = c.db.QueryRowContext(c.ctx, "SELECT 41 + 1").Scan(&n); errs[i] == nil && n != 42 {
				errs[i] = fmt.Errorf("got %d", n)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		c.Fatalf("after %s the database is not usable: %v", after, err)
	}
}

// checkUsable is the end of every case: all connections are back, and work.
func (c *trial) checkUsable() {
	c.Helper()
	if c.unusable {
		return
	}
	ctx, cancel := afterwards()
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for c.db.Stats().InUse > 0 && !c.losesConns {
		select {
		case <-ticker.C:
			continue
		case <-ctx.Done():
		}
		c.Errorf("%d connections are still in use after the case", c.db.Stats().InUse)
		return
	}
	if err := c.db.PingContext(ctx); err != nil {
		c.Errorf("Ping after the case: %v", err)
	}
}

func (c *trial) dropTables() {
	c.Helper()
	if c.unusable {
		return // closed by the case, which therefore makes no tables
	}
	ctx, cancel := afterwards()
	defer cancel()
	for _, name := range slices.Backward(c.tables) {
		if _, err := c.db.ExecContext(ctx, "DROP TABLE "+name); err != nil {
			c.Errorf("DROP TABLE: %v", err)
		}
	}
}

func (c *trial) close() {
	c.Helper()
	if err := c.db.Close(); err != nil {
		c.Errorf("Close: %v", err)
	}
}

// show writes a value the same way in every run, and long ones by their hash.
func show(v any) string {
	const limit = 80
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		if len(v) > limit {
			return fmt.Sprintf("%d bytes, hash %x", len(v), hash([]byte(v)))
		}
		return fmt.Sprintf("%q", v)
	case []byte:
		switch {
		case v == nil:
			return "nil"
		case len(v) > limit:
			return fmt.Sprintf("%d bytes, hash %x", len(v), hash(v))
		}
		return fmt.Sprintf("%q", v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano) + " in " + v.Location().String()
	}
	return fmt.Sprintf("%v", v)
}

func hash(b []byte) uint64 {
	h := fnv.New64a()
	h.Write(b) // never fails
	return h.Sum64()
}

// pin is for a case about the session of a held *sql.Conn.
func (c *trial) pin() {
	if c.target.Pin != nil {
		c.ctx = c.target.Pin(c.ctx)
	}
}
