package conformance_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance"
)

// way is one way to a database: a driver registered with database/sql, and what
// makes a DSN for it of the database's own.
type way struct {
	name   string
	driver string
	dsn    func(own string) string
	pin    func(context.Context) context.Context
	differ []string // the cases in which it is meant to differ from the first way
}

func direct(driver string) way {
	return way{name: "direct", driver: driver, dsn: unchanged}
}

// neverLeased: a handle that was never used has leased no connection by the time
// the database is closed.
const neverLeased = "close/with a Conn held that was never used"

// throughNimue is the way to the same database through nimue, with settings.
func throughNimue(name, driver, settings string, differ ...string) way {
	return way{name: name, driver: "nimue", differ: append(differ, neverLeased), dsn: func(own string) string {
		mark := "?"
		if strings.Contains(own, "?") {
			mark = "&"
		}
		return driver + ":" + own + mark + settings
	}}
}

// sharing is a way whose held connections share sessions, unless pinned.
func sharing(w way) way {
	w.pin = nimue.Pin
	return w
}

func unchanged(own string) string { return own }

// hold puts the suite to every way to one database, and compares each with the
// first. own returns a DSN of the first way's driver; of one that differs from
// call to call, every case gets a database of its own.
func hold(t *testing.T, dialect conformance.Dialect, own func(tb testing.TB) string, ways ...way) {
	outcomes := make([]*conformance.Outcome, len(ways))
	for i, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			outcomes[i] = conformance.Run(t, conformance.Target{
				Name:    w.name,
				Open:    func(tb testing.TB) *sql.DB { return open(tb, w.driver, w.dsn(own(tb))) },
				Dialect: dialect,
				Pin:     w.pin,
			})
		})
	}
	for i, outcome := range outcomes {
		if i > 0 && outcome != nil && outcomes[0] != nil {
			t.Run("compare "+ways[i].name, func(t *testing.T) { conformance.Compare(t, outcomes[0], outcome, ways[i].differ...) })
		}
	}
}

func open(tb testing.TB, driver, dsn string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}
