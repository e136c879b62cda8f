package pool

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// forgetful takes a lease and does not give it back.
func forgetful(t *testing.T, p *Pool) Lease {
	l := mustAcquire(t, p)
	l.Note("SELECT * FROM t WHERE name = 'Alice'")
	return l
}

func TestLeakIsReportedOnceWithItsHolder(t *testing.T) {
	listened(t, scripted.Hooks{}, Config{MaxConns: 2, LeakThreshold: time.Minute}, func(t *testing.T, p *Pool, d *scripted.Driver, r *record) {
		l := forgetful(t, p)
		time.Sleep(time.Minute - time.Nanosecond)
		if p.Stats().Leaks != 0 {
			t.Error("reported before its time")
		}
		time.Sleep(time.Nanosecond)
		e := r.last(t, EventLeakFound)
		if !strings.Contains(e.Stack, "forgetful") || e.Took != time.Minute || e.Statement != "SELECT * FROM t WHERE name = '#####'" {
			t.Errorf("%+v", e)
		}
		if h := p.Health(); h.State != Degraded || !strings.Contains(h.Reason, "a connection has been held for longer than 1m0s") {
			t.Errorf("%+v", h)
		}
		time.Sleep(10 * time.Minute) // and not so long that the connection has had its time
		if s := p.Stats(); s.Leaks != 1 || s.InUse != 1 {
			t.Errorf("%d leaks, %d in use", s.Leaks, s.InUse)
		}
		l.Release(Clean)
		if e := r.last(t, EventLeakReturned); e.Took != 11*time.Minute {
			t.Errorf("%+v", e)
		}
		if s := p.Stats(); s.LeaksReturned != 1 || s.Idle != 1 {
			t.Errorf("%+v", s)
		}
		if h := p.Health(); h.State != Ready {
			t.Errorf("%+v", h)
		}
	})
}

// A lease that is taken back leaves its holder an error and the pool its capacity,
// whether the holder is inside a driver call or not.
func TestLeakIsTakenBack(t *testing.T) {
	for _, inside := range []bool{false, true} {
		cfg := Config{MaxConns: 1, LeakThreshold: time.Minute, LeakReclaim: 2 * time.Minute, AcquireTimeout: time.Hour}
		listened(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver, r *record) {
			l := forgetful(t, p)
			if !inside && !l.Leave() {
				t.Fatal("the lease is over")
			}
			start := time.Now()
			next, err := p.Acquire(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < 2*time.Minute || took > 2*time.Minute+closeTimeout {
				t.Errorf("inside %v: the next caller waited %v", inside, took)
			}
			if e := r.last(t, EventLeakReclaimed); !strings.Contains(e.Stack, "forgetful") {
				t.Errorf("%+v", e)
			}
			if !inside && l.Enter() {
				t.Error("the holder goes on")
			}
			if err := p.Update(func(c *Config) { c.LeakReclaim = None }); err != nil { // and the error is of before
				t.Fatal(err)
			}
			var reclaimed *ReclaimedError
			if err := l.Err(); !errors.Is(err, ErrReclaimed) || !errors.As(err, &reclaimed) || reclaimed.After != 2*time.Minute {
				t.Errorf("error %v", err)
			}
			l.Release(Clean) // the holder comes back after all
			l.Park(Clean)
			next.Release(Clean)
			synctest.Wait()
			if s := p.Stats(); s.LeaksTaken != 1 || s.Total != 1 || s.Idle != 1 || d.Open() != 1 {
				t.Errorf("inside %v: %d taken, %d in all, %d idle, %d open", inside, s.LeaksTaken, s.Total, s.Idle, d.Open())
			}
		})
	}
}

// Without a threshold nobody is recorded, until somebody looks.
func TestObserveRecordsHolders(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		first := forgetful(t, p)
		if c := p.Conns()[0]; c.State != "leased" || c.Held != 0 || c.Stack != "" || c.Uses != 1 {
			t.Errorf("%+v", c)
		}
		p.Observe(time.Minute)
		second := forgetful(t, p)
		time.Sleep(10 * time.Second)
		c := p.Conns()[1]
		if c.Held != 10*time.Second || !strings.Contains(c.Stack, "forgetful") || !strings.Contains(c.Statement, "'#####'") {
			t.Errorf("%+v", c)
		}
		if !strings.HasPrefix(c.Stack, "github.com/nimue-go/nimue/pool_test.") && strings.Contains(c.Stack, "database/sql.") {
			t.Errorf("the stack begins with what is not the application's:\n%s", c.Stack)
		}
		first.Release(Clean)
		second.Park(Clean)
		time.Sleep(2 * time.Minute)
		second = mustReacquire(t, p, second)
		if c := p.Conns(); c[0].Stack+c[1].Stack != "" || p.tracking.Load() {
			t.Errorf("still recorded: %+v", c)
		}
		second.Park(Clean)
		second = mustReacquire(t, p, second)
		for _, c := range p.Conns() {
			if c.State == "leased" && c.ID != uint64(id(second)) {
				t.Errorf("%+v", c)
			}
		}
		second.Park(Clean)
		synctest.Wait()
		for _, c := range p.Conns() {
			if c.State != "idle" {
				t.Errorf("a parked connection is %s", c.State)
			}
		}
	})
}

func TestLeakSettingsThatContradict(t *testing.T) {
	err := Config{LeakThreshold: time.Minute, LeakReclaim: time.Second}.Validate()
	if err == nil || !strings.Contains(err.Error(), "LeakReclaim") {
		t.Errorf("error %v", err)
	}
}

func TestMaskSQL(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT * FROM t1 WHERE name = 'Alice' AND age > 30":      "SELECT * FROM t1 WHERE name = '#####' AND age > #",
		"INSERT INTO t VALUES ('it''s', -1.5e-3, 0xFF)":           "INSERT INTO t VALUES ('#####', -#, #)",
		"SELECT $1, ?, :name, @p1, ?2":                            "SELECT $1, ?, :name, @p1, ?2",
		`SELECT "id", "it's a secret", "Name" FROM "Orders"`:      `SELECT "id", '#####', "Name" FROM "Orders"`,
		"SELECT E'a\\nb', N'x', X'ff', b'01' -- the secret\n, 1":  "SELECT '#####', '#####', '#####', '#####'  \n, #",
		"SELECT $$body 'x'$$, $tag$ $$ secret $tag$, $1":          "SELECT '#####', '#####', $1",
		"SELECT /* secret */ 1 /* a /* nested */ secret */":       "SELECT   #  ",
		`SELECT 'C:\' AND name = 'Bob'`:                           "SELECT '#####'",
		`SELECT 'it\'s secret', 'two'`:                            "SELECT '#####'",
		"SELECT 'never ends":                                      "SELECT '#####'",
		"SELECT a.b, `c`, t2.x1 FROM t2 LIMIT 10":                 "SELECT a.b, `c`, t2.x1 FROM t2 LIMIT #",
		"SELECT x::int, now() - interval '1 day', data #>> '{a}'": "SELECT x::int, now() - interval '#####', data #>> '#####'",
		"SELECT 1 # a comment with a secret\nFROM t":              "SELECT #  \nFROM t",
		"": "",
	} {
		if got := MaskSQL(sql); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
}

// FuzzMaskSQL hides a secret in a literal of each kind, with any text around it.
func FuzzMaskSQL(f *testing.F) {
	f.Add("SELECT ", " FROM t WHERE a = 'x'")
	f.Add("SELECT 'a', \"b\" -- ", "\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		MaskSQL(before) // whatever comes, it returns
		for _, literal := range []string{"'hunter2'", "'it''s hunter2'", "'\\' hunter2'", "$q$hunter2$q$", "/* hunter2 */"} {
			masked := MaskSQL("SELECT " + literal + " " + strings.ReplaceAll(after, "hunter2", ""))
			if strings.Contains(masked, "hunter2") {
				t.Fatalf("%q shows the secret of %q", masked, literal)
			}
		}
	})
}

// Callers who get nothing because of leaks are told of as well as what they lack.
func TestHealthNamesLeaksBeforeThoseWhoSuffer(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 1, AcquireTimeout: 2 * time.Second, LeakThreshold: time.Second}, func(t *testing.T, p *Pool, _ *scripted.Driver) {
		l := mustAcquire(t, p)
		if _, err := p.Acquire(context.Background()); !errors.Is(err, ErrAcquireTimeout) {
			t.Fatal(err)
		}
		h := p.Health()
		leak, failure := strings.Index(h.Reason, "a connection has been held for longer than 1s; "), strings.Index(h.Reason, "no connection after 2s (1 in use")
		if h.State != Degraded || leak != 0 || failure < 0 {
			t.Errorf("%+v", h)
		}
		l.Release(Clean)
		if h := p.Health(); h.State != Degraded || strings.Contains(h.Reason, "held for") || !strings.Contains(h.Reason, "no connection after 2s") {
			t.Errorf("%+v", h)
		}
	})
}
