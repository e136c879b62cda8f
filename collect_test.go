package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
	_ "modernc.org/sqlite"
)

// collected keeps the events of rows that were collected.
type collected struct {
	mu     sync.Mutex
	events []pool.Event
}

func (l *collected) PoolEvent(e pool.Event) {
	if e.Kind == pool.EventRowsCollected {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.events = append(l.events, e)
	}
}

func (l *collected) all() []pool.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]pool.Event(nil), l.events...)
}

// leak begins a query and drops its rows.
func leak(db *sql.DB, query string) error {
	rows, err := db.QueryContext(context.Background(), query)
	if err == nil {
		rows.Next()
	}
	return err
}

// untilCollected collects garbage until something holds.
func untilCollected(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("not in a minute: %s", what)
		}
		runtime.GC()
		runtime.Gosched()
	}
}

// TestThousandLeakedRows: an application that never closes its rows goes on, with
// its whole capacity, and is told where it went wrong.
func TestThousandLeakedRows(t *testing.T) {
	const leaks, conns = 1000, 4
	told := &collected{}
	path := filepath.ToSlash(filepath.Join(t.TempDir(), "leaks.db"))
	connector, err := nimue.OpenConnector("sqlite:file:"+path+"?pool_max_conns=4", func(c *pool.Config) { c.Listener = told })
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	p := connector.Pool()
	for n := range leaks {
		if err := leak(db, "SELECT 1 UNION SELECT 'secret'"); err != nil {
			t.Fatal(err)
		}
		if n%conns == conns-1 { // all are out
			untilCollected(t, "the connections are back", func() bool { return p.Stats().InUse == 0 })
		}
	}
	s := p.Stats()
	if s.RowsCollected != leaks || s.InUse != 0 || s.Waiting != 0 {
		t.Errorf("%d collected, %d in use", s.RowsCollected, s.InUse)
	}
	for range conns { // the whole capacity
		conn := mustConn(t, db)
		defer conn.Close()
		if err := conn.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a report of each", func() bool { return len(told.all()) == leaks })
	if e := told.all()[0]; !strings.Contains(e.Statement, "UNION") || strings.Contains(e.Statement, "secret") {
		t.Errorf("%+v", e)
	}
}

// Rows that are dropped beside other work of a *sql.Conn are closed at its next
// statement, and the connection stays with its holder. (Those of a transaction are
// kept alive by database/sql until it ends.)
func TestLeakedRowsBesideOtherWork(t *testing.T) {
	d := scripted.New(scripted.Hooks{})
	db := sql.OpenDB(newConnector(t, d, pool.Config{MaxConns: 1}))
	defer db.Close()
	p := nimue.PoolOf(db)
	conn := mustConn(t, db)
	exec := func() {
		if _, err := conn.ExecContext(context.Background(), "work"); err != nil {
			t.Fatal(err)
		}
	}
	exec()
	if _, err := conn.QueryContext(context.Background(), "SELECT"); err != nil {
		t.Fatal(err)
	}
	untilCollected(t, "the rows are closed at the next statement", func() bool {
		exec()
		return p.Stats().RowsCollected == 1
	})
	if s := p.Stats(); s.InUse != 1 || d.Opened() != 1 {
		t.Errorf("%d in use, %d opened", s.InUse, d.Opened())
	}
	exec()
}

// A *sql.Conn that goes on after it dropped the rows of its only query is told.
func TestConnWhoseRowsWereCollected(t *testing.T) {
	db := sql.OpenDB(newConnector(t, scripted.New(scripted.Hooks{}), pool.Config{MaxConns: 1}))
	p := nimue.PoolOf(db)
	conn := mustConn(t, db)
	if _, err := conn.QueryContext(context.Background(), "SELECT"); err != nil {
		t.Fatal(err)
	}
	untilCollected(t, "the connection is back", func() bool { return p.Stats().InUse == 0 })
	if err := conn.PingContext(t.Context()); !errors.Is(err, pool.ErrRowsCollected) {
		t.Errorf("error %v", err)
	}
	other := mustConn(t, db)
	if err := other.PingContext(t.Context()); err != nil {
		t.Error(err)
	}
	_ = other.Close()
	_ = db.Close()
}

// Rows that are in use, or were closed, are left alone, however often garbage is
// collected.
func TestRowsInUseAreNotCollected(t *testing.T) {
	db := sql.OpenDB(newConnector(t, scripted.New(scripted.Hooks{}), pool.Config{MaxConns: 2}))
	defer db.Close()
	for range 20 {
		rows, err := db.Query("SELECT")
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		for rows.Next() {
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Error(err)
		}
		runtime.GC()
	}
	if s := nimue.PoolOf(db).Stats(); s.RowsCollected != 0 || s.Connects != 1 {
		t.Errorf("%d collected, %d connects", s.RowsCollected, s.Connects)
	}
}

// While the rows of a *sql.Conn's only query are being closed for it, since they were
// dropped, nothing else is sent on their connection: scripted connections panic where
// two calls overlap.
func TestNothingIsSentWhileCollectedRowsAreClosed(t *testing.T) {
	closing, closed := make(chan struct{}), make(chan struct{})
	d := scripted.New(scripted.Hooks{})
	inner := slowRows{d, closing, closed}
	db := sql.OpenDB(newConnector(t, inner, pool.Config{MaxConns: 1}))
	p := nimue.PoolOf(db)
	conn := mustConn(t, db)
	if _, err := conn.QueryContext(context.Background(), "SELECT"); err != nil {
		t.Fatal(err)
	}
	untilCollected(t, "the rows are being closed", func() bool {
		select {
		case <-closing:
			return true
		default:
			return false
		}
	})
	for range 3 {
		if err := conn.PingContext(t.Context()); !errors.Is(err, pool.ErrRowsCollected) {
			t.Errorf("error %v", err)
		}
	}
	if n := d.Count("ping"); n != 0 {
		t.Errorf("%d pings while the rows are being closed", n)
	}
	_ = conn.Raw(func(handle any) error {
		handle.(driver.Validator).IsValid() // as when the *sql.Conn is finished
		return nil
	})
	if s := p.Stats(); s.InUse != 1 {
		t.Errorf("%d in use", s.InUse)
	}
	close(closed)
	eventually(t, "the connection is back", func() bool { return p.Stats().InUse == 0 })
	if err := conn.PingContext(t.Context()); err != nil {
		t.Error(err)
	}
	_ = db.Close()
}

// slowRows is a connector of connections whose rows close when they are told to.
type slowRows struct {
	to              *scripted.Driver
	closing, closed chan struct{}
}

func (s slowRows) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := s.to.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return slowRowsConn{c.(*scripted.Conn), s}, nil
}

func (s slowRows) Driver() driver.Driver { return s.to.Driver() }

type slowRowsConn struct {
	*scripted.Conn
	by slowRows
}

func (c slowRowsConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.Conn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return &slowlyClosed{rows, c.by}, nil
}

type slowlyClosed struct {
	driver.Rows
	by slowRows
}

func (r *slowlyClosed) Close() error {
	close(r.by.closing)
	<-r.by.closed
	return r.Rows.Close()
}
