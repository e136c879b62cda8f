package rows

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "modernc.org/sqlite"
)

// keys is how many rows the tables have that are queried by key.
const keys = 1000

func textOf(key int) string { return fmt.Sprintf("item %d", key) }

// byKey returns an operation that looks the next key up and compares its text.
func byKey(query func(ctx context.Context, key int) *sql.Row) func(context.Context) error {
	key := 0
	return func(ctx context.Context) error {
		key = key%keys + 1
		var text string
		if err := query(ctx, key).Scan(&text); err != nil {
			return err
		}
		if text != textOf(key) {
			return fmt.Errorf("key %d has the text %q", key, text)
		}
		return nil
	}
}

// makeItems makes the table that is queried by key.
func makeItems(b *testing.B, driver, dsn, create string) {
	b.Helper()
	db := openSQL(b, driver, dsn)
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(create); err != nil {
		b.Fatal(err)
	}
	for key := 1; key <= keys; key++ {
		if _, err := tx.Exec("replace into item (id, text) values (?, ?)", key, textOf(key)); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}

// openStatements opens a contender of the rows about single statements.
func openStatements(b *testing.B, contender, driver, dsn string) *sql.DB {
	b.Helper()
	pooled := driver + ":" + withParameters(dsn, fmt.Sprintf("pool_max_conns=%d", Conns))
	switch contender {
	case SQLDefault:
		return openSQL(b, driver, dsn)
	case SQLTuned, SQLPrepared:
		db := openSQL(b, driver, dsn)
		tune(db, Conns)
		return db
	case SQLInterpolate:
		db := openSQL(b, driver, withParameters(dsn, "interpolateParams=true"))
		tune(db, Conns)
		return db
	case Nimue:
		return openSQL(b, "nimue", pooled)
	case NimueAuto:
		return openSQL(b, "nimue", withParameters(pooled, "pool_auto_prepare=on"))
	}
	b.Fatalf("no contender %s", contender)
	return nil
}

const itemByKey = "select text from item where id = ?"

func sqlitePoint(b *testing.B, contender string, _ int) {
	dsn := "file:" + filepath.ToSlash(filepath.Join(b.TempDir(), "items.db")) + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)"
	makeItems(b, "sqlite", dsn, "create table item (id integer primary key, text text not null)")
	db := openStatements(b, contender, "sqlite", dsn)
	defer db.Close()
	query := func(_ context.Context, key int) *sql.Row { return db.QueryRow(itemByKey, key) }
	if contender == SQLPrepared {
		stmt, err := db.Prepare(itemByKey)
		if err != nil {
			b.Fatal(err)
		}
		defer stmt.Close()
		query = func(_ context.Context, key int) *sql.Row { return stmt.QueryRow(key) }
	}
	inParallel(b, 1, byKey(query))
}

func mysqlNetwork(b *testing.B, contender string, _ int) {
	dsn := mariadbDSN(b)
	makeItems(b, "mysql", dsn, "create table if not exists item (id int primary key, text varchar(20) not null)")
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		b.Fatal(err)
	}
	r := startRelay(b, cfg.Addr, 2*time.Millisecond, newMySQLParser)
	cfg.Addr = r.address()
	db := openStatements(b, contender, "mysql", cfg.FormatDSN())
	defer db.Close()
	op := byKey(func(ctx context.Context, key int) *sql.Row { return db.QueryRowContext(ctx, itemByKey, key) })
	for range 2 { // what is done once per connection is not what is compared
		if err := op(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	before := r.seen()
	b.ResetTimer()
	for range b.N {
		if err := op(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	seen := r.seen().since(before)
	perOp := func(n int) float64 { return float64(n) / float64(b.N) }
	b.ReportMetric(perOp(seen.turns), "turns/op")
	b.ReportMetric(perOp(seen.messages[mysqlPrepare]), "prepares/op")
	b.ReportMetric(perOp(seen.messages[mysqlClose]), "closes/op")
}

// prepareReuse reports means over the operations, each with a database of its own.
func prepareReuse(b *testing.B, contender string, _ int) {
	server, err := url.Parse(postgresURL(b))
	if err != nil {
		b.Fatal(err)
	}
	r := startRelay(b, server.Host, 0, newPgParser)
	server.Host = r.address()
	for range b.N {
		prepareOnce(b, openPostgres(b, contender, server.String()))
	}
	seen := r.seen()
	parsed := float64(seen.messages[pgParse])
	b.ReportMetric(parsed/float64(b.N), "prepares/op")
	b.ReportMetric(float64(seen.conns)/float64(b.N), "conns/op")
	b.ReportMetric(parsed/float64(seen.conns), "prepares/conn")
}

func prepareOnce(b *testing.B, c *client) {
	b.Helper()
	defer c.close()
	stmt, err := c.db.PrepareContext(b.Context(), echo)
	if err != nil {
		b.Fatal(err)
	}
	defer stmt.Close()
	const uses, workers = 500, 32
	failed := make(chan error, workers)
	for w := range workers {
		go func() { failed <- useStatement(b.Context(), stmt, w, uses, workers) }()
	}
	for range workers {
		if err := <-failed; err != nil {
			b.Error(err)
		}
	}
}

// useStatement does every workers-th of the uses, beginning with the first one.
func useStatement(ctx context.Context, stmt *sql.Stmt, first, uses, workers int) error {
	for n := first; n < uses; n += workers {
		var got int
		if err := stmt.QueryRowContext(ctx, n).Scan(&got); err != nil {
			return err
		}
		if got != n {
			return fmt.Errorf("asked for %d, got %d", n, got)
		}
	}
	return nil
}
