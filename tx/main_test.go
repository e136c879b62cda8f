package tx_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/go-sql-driver/mysql"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/pool"
	"go.uber.org/goleak"
)

// tests stops the shared servers before goleak looks for goroutines.
type tests struct{ *testing.M }

func (m tests) Run() int {
	defer servers.StopShared()
	_ = mysql.SetLogger(&mysql.NopLogger{}) // it would log every connection that a test breaks
	return m.M.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }

// state is an error with an SQLSTATE, as PostgreSQL's drivers have it.
type state string

func (s state) Error() string    { return "ERROR (SQLSTATE " + string(s) + ")" }
func (s state) SQLState() string { return string(s) }

const (
	conflict  state = "40001"
	integrity state = "23505"
)

var errTest = errors.New("test")

// bubble runs f with a scripted driver twice, plainly and with nimue between, on
// fake time.
func bubble(t *testing.T, hooks scripted.Hooks, f func(t *testing.T, db *sql.DB, d *scripted.Driver)) {
	for _, through := range []string{"plain", "nimue"} {
		t.Run(through, func(t *testing.T) { bubbleOn(t, through, hooks, f) })
	}
}

func bubbleOn(t *testing.T, through string, hooks scripted.Hooks, f func(t *testing.T, db *sql.DB, d *scripted.Driver)) {
	synctest.Test(t, func(t *testing.T) {
		d := scripted.New(hooks)
		var connector driver.Connector = d
		if through == "nimue" {
			c, err := nimue.NewConnector(d, pool.Config{})
			if err != nil {
				t.Fatal(err)
			}
			connector = c
		}
		db := sql.OpenDB(connector)
		f(t, db, d)
		if n := db.Stats().InUse; n != 0 {
			t.Errorf("%d connections are still in use", n)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// wantCalls compares what the driver was asked, in order, leaving aside how the
// connection was made and kept.
func wantCalls(t *testing.T, d *scripted.Driver, want ...string) {
	t.Helper()
	var got []string
	for _, call := range d.Log() {
		switch call {
		case "1 connect", "1 reset", "1 ping":
		default:
			got = append(got, call)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("calls %q, want %q", got, want)
	}
}

// insert is a function for Run that executes one statement.
func insert(ctx context.Context, t *sql.Tx) error {
	_, err := t.ExecContext(ctx, "INSERT")
	return err
}
