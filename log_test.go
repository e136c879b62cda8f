package nimue_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
)

// TestLogLevel shows that what pool_log_level lets through, and nothing else,
// reaches slog's default of the time, the pool's name first and no secret in it.
func TestLogLevel(t *testing.T) {
	for level, wants := range map[string][]string{
		"off":   nil,
		"error": {"connect failed"},
		"warn":  {"connect failed", "exhausted"},
		"info":  {"opened", "connect failed", "exhausted", "closed"},
		"debug": {"opened", "connect failed", "connected", "exhausted", "closed", "retired"},
	} {
		t.Run(level, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				old := slog.Default()
				slog.SetDefault(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
				defer slog.SetDefault(old)
				workAndFail(t, "pool_name=orders&pool_max_waiters=0&pool_max_conns=1&pool_log_level="+level)
				got := out.String()
				for _, msg := range []string{"opened", "connect failed", "connected", "exhausted", "closed", "retired"} {
					want := false
					for _, w := range wants {
						want = want || w == msg
					}
					if has := strings.Contains(got, msg+`" pool=orders`) || strings.Contains(got, "msg="+msg+" pool=orders"); has != want {
						t.Errorf("%q logged: %v, want %v; all of it:\n%s", msg, has, want, got)
					}
				}
				if strings.Contains(got, "hunter2") {
					t.Errorf("the password is in the log:\n%s", got)
				}
			})
		})
	}
}

// workAndFail has a pool fail to connect once, be exhausted once, and close.
func workAndFail(t *testing.T, settings string) {
	t.Helper()
	d := scripted.New(scripted.Hooks{Connect: func(_ context.Context, n int) error {
		if n == 1 {
			return errors.New(`cannot parse "app:hunter2@host"`)
		}
		return nil
	}})
	name := register("scripted-log", d.Driver())
	db, err := sql.Open("nimue", name+":app:hunter2@host?pool_outage_grace=0&"+settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Ping(); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Ping: %v", err)
	}
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "x")
	if err := db.Ping(); err == nil {
		t.Error("not exhausted")
	}
	conn.Close()
	p := nimue.PoolOf(db)
	db.Close()
	if err := p.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	synctest.Wait()
}

// A secret in SQL of the DSN must not come back in the database's complaint.
func TestInitSQLErrorCarriesNoSecret(t *testing.T) {
	d := scripted.New(scripted.Hooks{Exec: scriptedRefusal})
	name := register("scripted-initsecret", d.Driver())
	db := mustOpen(t, name+":x?pool_init_sql=SET+PASSWORD+%3D+%27hunter2%27")
	err := db.Ping()
	if !errors.Is(err, errRefusal) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
}

var errRefusal = errors.New(`syntax error near "SET PASSWORD = 'hunter2'"`)

func scriptedRefusal(context.Context, *scripted.Conn, string, []driver.NamedValue) error {
	return errRefusal
}

// TestStatementsInTheDebugLog: every statement shows, literals masked and with none
// of its arguments, however it is sent.
func TestStatementsInTheDebugLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		old := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
		defer slog.SetDefault(old)
		name := register("scripted-debuglog", scripted.New(scripted.Hooks{}).Driver())
		db, err := sql.Open("nimue", name+":x?pool_name=orders&pool_log_level=debug&pool_auto_prepare=on")
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		mustExec(t, db, "INSERT INTO a VALUES ('hunter2', $1)", "hunter3")
		rows, err := db.QueryContext(ctx, "SELECT 'hunter2' FROM b WHERE c = $1", []byte("hunter3"))
		if err != nil {
			t.Fatal(err)
		}
		rows.Close()
		stmt, err := db.PrepareContext(ctx, "DELETE FROM d WHERE e = 'hunter2' AND f = ?")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stmt.Exec("hunter3"); err != nil {
			t.Fatal(err)
		}
		stmt.Close()
		p := nimue.PoolOf(db)
		db.Close()
		if err := p.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		got := out.String()
		for _, text := range []string{"INSERT INTO a VALUES ('#####', $1)", "SELECT '#####' FROM b WHERE c = $1", "DELETE FROM d WHERE e = '#####' AND f = ?"} {
			if !strings.Contains(got, `msg=statement pool=orders connection=1 sql="`+text) {
				t.Errorf("not in the log: %s", text)
			}
		}
		if strings.Contains(got, "hunter") {
			t.Error("a literal or an argument is in the log")
		}
		if t.Failed() {
			t.Log(got)
		}
	})
}
