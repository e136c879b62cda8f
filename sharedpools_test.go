package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	_ "modernc.org/sqlite"
)

func TestPoolNameShares(t *testing.T) {
	d := scripted.New(scripted.Hooks{})
	name := register("scripted-share", d.Driver())
	dsn := name + ":x?pool_name=shared&pool_max_conns=3"
	first := mustOpen(t, dsn)
	second := mustOpen(t, name+":x?pool_max_conns=3&pool_name=shared") // in other words
	p := nimue.PoolOf(first)
	if p != nimue.PoolOf(second) {
		t.Fatal("two pools")
	}
	if _, err := sql.Open("nimue", name+":y?pool_name=shared"); err == nil || !strings.Contains(err.Error(), "shared") {
		t.Errorf("another DSN of that name: %v", err)
	}
	first.Close()
	if err := second.Ping(); err != nil {
		t.Errorf("after the first Close: %v", err)
	}
	second.Close()
	if !p.Closed() {
		t.Error("the last Close left the pool open")
	}
	third := mustOpen(t, dsn)
	if nimue.PoolOf(third) == p {
		t.Error("a closed pool was shared")
	}
	if err := third.Ping(); err != nil {
		t.Error(err)
	}
	if unnamed := mustOpen(t, name+":x"); nimue.PoolOf(unnamed) == nimue.PoolOf(mustOpen(t, name+":x")) {
		t.Error("pools without a name are shared")
	}
}

func TestDriverOpenSharesOnePoolPerDSN(t *testing.T) {
	// A wrapper that hides driver.DriverContext makes database/sql open every
	// connection by Driver.Open.
	d := scripted.New(scripted.Hooks{})
	name := register("scripted-old", d.Driver())
	inner := mustOpen(t, "").Driver()
	later := register("hides-context", struct{ driver.Driver }{inner})
	db, err := sql.Open(later, name+":x?pool_max_conns=2")
	if err != nil {
		t.Fatal(err)
	}
	conns := make([]*sql.Conn, 2)
	for i := range conns {
		if conns[i], err = db.Conn(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustExec(t, conns[i], "x")
	}
	ctx, cancel := context.WithCancel(t.Context())
	third, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := third.ExecContext(ctx, "x"); err == nil {
		t.Error("a third connection of two")
	}
	third.Close()
	for _, c := range conns {
		c.Close()
	}
	db.Close()
	if d.Opened() != 2 {
		t.Errorf("%d opened, want 2", d.Opened())
	}
}

func TestSameNameAndAnotherPassword(t *testing.T) {
	name := register("scripted-passwords", scripted.New(scripted.Hooks{}).Driver())
	mustOpen(t, name+":postgres://a:hunter2@h/d?pool_name=passwords")
	_, err := sql.Open("nimue", name+":postgres://a:hunter3@h/d?pool_name=passwords")
	if err == nil || !strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "hunter") {
		t.Errorf("error %v", err)
	}
}
