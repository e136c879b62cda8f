package pool

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"database/sql/driver"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// live is a change of a running pool and how it shows. Callers are sure that the
// old value ruled before.
type live struct {
	hooks  scripted.Hooks
	cfg    Config
	change func(*Config)
	before func(t *testing.T, p *Pool, d *scripted.Driver)
	after  func(t *testing.T, p *Pool, d *scripted.Driver)
}

// idles makes n connections idle, all of them used.
func idles(n int) func(*testing.T, *Pool, *scripted.Driver) {
	return func(t *testing.T, p *Pool, _ *scripted.Driver) { releaseAll(acquireN(t, p, n)) }
}

func wantIdle(n int) func(*testing.T, *Pool, *scripted.Driver) {
	return func(t *testing.T, p *Pool, _ *scripted.Driver) { t.Helper(); wantStats(t, p, n, 0, n) }
}

// lasts waits for something to end and compares the time that it took.
func lasts(t *testing.T, want time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if took := time.Since(start); took != want {
		t.Errorf("%v, want %v", took, want)
	}
}

var hangs = scripted.Hooks{
	Connect: func(ctx context.Context, n int) error {
		if n == 1 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	},
	Ping:  func(ctx context.Context, _ *scripted.Conn) error { <-ctx.Done(); return ctx.Err() },
	Reset: func(ctx context.Context, _ *scripted.Conn) error { <-ctx.Done(); return ctx.Err() },
}

// expired fails an acquire by its timeout.
func expired(want time.Duration) func(*testing.T, *Pool, *scripted.Driver) {
	return func(t *testing.T, p *Pool, _ *scripted.Driver) {
		l := mustAcquire(t, p)
		lasts(t, want, func() {
			if _, err := p.Acquire(t.Context()); !errors.Is(err, ErrAcquireTimeout) {
				t.Errorf("error %v", err)
			}
		})
		l.Release(Clean)
	}
}

func counts(what string, n int) func(*testing.T, *Pool, *scripted.Driver) {
	return func(t *testing.T, p *Pool, d *scripted.Driver) {
		t.Helper()
		mustAcquire(t, p).Release(Clean)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := d.Count(what); got != n {
			t.Errorf("%d times %q, want %d: %q", got, what, n, d.Log())
		}
	}
}

// slept lets time pass, and then checks.
func slept(d time.Duration, then func(*testing.T, *Pool, *scripted.Driver)) func(*testing.T, *Pool, *scripted.Driver) {
	return func(t *testing.T, p *Pool, driver *scripted.Driver) { t.Helper(); time.Sleep(d); then(t, p, driver) }
}

var liveChanges = map[string]live{
	"MaxConns":     {cfg: Config{MaxConns: 1, AcquireTimeout: time.Second}, before: expired(time.Second), change: func(c *Config) { c.MaxConns = 3 }, after: idles(3)},
	"MinConns":     {before: wantIdle(0), change: func(c *Config) { c.MinConns = 3 }, after: slept(0, wantIdle(3))},
	"MinIdleConns": {before: wantIdle(0), change: func(c *Config) { c.MinIdleConns = 2 }, after: slept(0, wantIdle(2))},
	"MaxIdleConns": {before: idles(4), change: func(c *Config) { c.MaxIdleConns = 1 }, after: wantIdle(1)},
	"MaxConnecting": {
		hooks:  scripted.Hooks{Connect: func(context.Context, int) error { time.Sleep(time.Second); return nil }},
		change: func(c *Config) { c.MaxConnecting, c.MinConns = 2, 6 },
		after: func(t *testing.T, p *Pool, _ *scripted.Driver) {
			if s := p.Stats(); s.Connecting != 2 {
				t.Errorf("%d connecting", s.Connecting)
			}
			time.Sleep(time.Minute)
		},
	},
	"MaxConnLifetime": { // of connections made from then on
		change: func(c *Config) { c.MaxConnLifetime, c.MaxConnLifetimeJitter = time.Minute, None },
		after: func(t *testing.T, p *Pool, _ *scripted.Driver) {
			idles(2)(t, p, nil)
			time.Sleep(time.Minute - 1)
			wantStats(t, p, 2, 0, 2)
			time.Sleep(time.Nanosecond)
			wantStats(t, p, 0, 0, 0)
		},
	},
	"MaxConnLifetimeJitter": {
		cfg:    Config{MaxConnLifetime: time.Minute, MaxConnLifetimeJitter: None},
		change: func(c *Config) { c.MaxConnLifetimeJitter = 10 * time.Minute },
		after: func(t *testing.T, p *Pool, _ *scripted.Driver) {
			idles(20)(t, p, nil)
			time.Sleep(time.Minute)
			if s := p.Stats(); s.Idle < 10 {
				t.Errorf("%d idle", s.Idle)
			}
		},
	},
	"MaxConnIdleTime": {before: idles(2), change: func(c *Config) { c.MaxConnIdleTime = time.Minute }, after: slept(time.Minute, wantIdle(0))},
	"MaxConnUses":     {before: idles(2), change: func(c *Config) { c.MaxConnUses = 1 }, after: func(t *testing.T, p *Pool, _ *scripted.Driver) { idles(2)(t, p, nil); wantStats(t, p, 0, 0, 0) }},
	"RecycleAt": {
		cfg:    Config{MaxConnLifetime: None, MaxConnIdleTime: None, MinConns: 1},
		change: func(c *Config) { c.RecycleAt = time.Now().Add(time.Hour).Format("15:04") },
		after: func(t *testing.T, p *Pool, d *scripted.Driver) {
			time.Sleep(time.Hour + time.Minute)
			if n := p.Stats().Retired[ReasonDrained]; n != 1 {
				t.Errorf("%d renewed", n)
			}
		},
	},
	"AcquireTimeout": {cfg: Config{MaxConns: 1, AcquireTimeout: time.Minute}, before: expired(time.Minute), change: func(c *Config) { c.AcquireTimeout = time.Second }, after: expired(time.Second)},
	"MaxWaiters": {
		cfg: Config{MaxConns: 1, AcquireTimeout: time.Second}, before: expired(time.Second),
		change: func(c *Config) { c.MaxWaiters = None },
		after: func(t *testing.T, p *Pool, _ *scripted.Driver) {
			l := mustAcquire(t, p)
			if _, err := p.Acquire(t.Context()); !errors.Is(err, ErrExhausted) {
				t.Errorf("error %v", err)
			}
			l.Release(Clean)
		},
	},
	"ConnectTimeout": {
		hooks: hangs, cfg: Config{OutageGrace: None, MaxConns: 2}, before: func(t *testing.T, p *Pool, _ *scripted.Driver) { mustAcquire(t, p).Release(Broken) },
		change: func(c *Config) { c.ConnectTimeout = 3 * time.Second },
		after: func(t *testing.T, p *Pool, _ *scripted.Driver) {
			lasts(t, 3*time.Second, func() {
				if _, err := p.Acquire(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
			})
		},
	},
	"OutageGrace": {
		hooks:  scripted.Hooks{Connect: func(context.Context, int) error { return errRefused }},
		change: func(c *Config) { c.OutageGrace = 2 * time.Second },
		after: func(t *testing.T, p *Pool, _ *scripted.Driver) {
			lasts(t, 2*time.Second, func() {
				if _, err := p.Acquire(t.Context()); !errors.Is(err, ErrUnavailable) {
					t.Errorf("error %v", err)
				}
			})
		},
	},
	"HealthCheckPeriod": {cfg: Config{HealthCheckPeriod: None, CheckOnAcquire: CheckNever}, before: counts("ping", 0), change: func(c *Config) { c.HealthCheckPeriod = 40 * time.Second }, after: counts("ping", 2)},
	"PingTimeout": {
		hooks: hangs, cfg: Config{HealthCheckPeriod: None, MaxConnecting: 1}, before: idles(1),
		change: func(c *Config) { c.PingTimeout = 700 * time.Millisecond },
		after: func(t *testing.T, p *Pool, _ *scripted.Driver) {
			lasts(t, 700*time.Millisecond, func() {
				if _, failed, err := p.Verify(t.Context()); failed != 1 || err != nil {
					t.Errorf("%d failed: %v", failed, err)
				}
			})
		},
	},
	"HealthQuery":    {cfg: Config{HealthCheckPeriod: 59 * time.Second}, before: counts("query", 0), change: func(c *Config) { c.HealthQuery = "SELECT 7" }, after: counts("query SELECT 7", 2)},
	"CheckOnAcquire": {cfg: Config{HealthCheckPeriod: None, CheckOnAcquire: CheckNever}, before: counts("ping", 0), change: func(c *Config) { c.CheckOnAcquire = CheckAlways }, after: counts("ping", 1)},
	"Order": {
		before: idles(2), change: func(c *Config) { c.Order = FIFO },
		after: func(t *testing.T, p *Pool, _ *scripted.Driver) {
			first := mustAcquire(t, p)
			first.Release(Clean)
			if next := mustAcquire(t, p); id(next) == id(first) {
				t.Error("the hottest one")
			} else {
				next.Release(Clean)
			}
		},
	},
	"InitSQL":     {before: idles(1), change: func(c *Config) { c.InitSQL = []string{"SET x"} }, after: func(t *testing.T, p *Pool, d *scripted.Driver) { idles(3)(t, p, d); counts("exec SET x", 2)(t, p, d) }},
	"ResetSQL":    {before: idles(1), change: func(c *Config) { c.ResetSQL = []string{"RESET x"} }, after: counts("exec RESET x", 1)},
	"StmtCache":   {before: preparing(1), change: func(c *Config) { c.StmtCache = None }, after: preparing(2)},
	"AutoPrepare": {change: func(c *Config) { c.AutoPrepare = true }, after: func(t *testing.T, p *Pool, _ *scripted.Driver) { wantTrue(t, p.AutoPrepare()) }},
	"LeakThreshold": {
		change: func(c *Config) { c.LeakThreshold = time.Minute },
		after: func(t *testing.T, p *Pool, _ *scripted.Driver) {
			l := mustAcquire(t, p)
			time.Sleep(time.Minute)
			synctest.Wait()
			wantTrue(t, p.Stats().Leaks == 1)
			l.Release(Clean)
		},
	},
	"LeakReclaim": {
		change: func(c *Config) { c.LeakReclaim = time.Minute },
		after: func(t *testing.T, p *Pool, _ *scripted.Driver) {
			l := mustAcquire(t, p)
			l.Leave()
			time.Sleep(time.Minute)
			synctest.Wait()
			wantTrue(t, p.Stats().LeaksTaken == 1)
			l.Release(Clean)
		},
	},
}

func wantTrue(t *testing.T, ok bool) {
	t.Helper()
	if !ok {
		t.Error("the new value does not rule")
	}
}

// preparing prepares a text twice, and wants it to have been prepared so many times
// at the server, ever.
func preparing(times int) func(*testing.T, *Pool, *scripted.Driver) {
	return func(t *testing.T, p *Pool, d *scripted.Driver) {
		t.Helper()
		for range 2 {
			l := mustAcquire(t, p)
			s, _, err := l.Prepare(t.Context(), "SELECT 1")
			if err != nil {
				t.Fatal(err)
			}
			l.Done(s, nil, NoRows)
			l.Release(Clean)
			synctest.Wait()
		}
		if n := d.Count("prepare SELECT 1"); n != times {
			t.Errorf("prepared %d times, want %d", n, times)
		}
	}
}

// fixedChanges are what Update refuses.
var fixedChanges = map[string]func(*Config){
	"Name":      func(c *Config) { c.Name = "another" },
	"InitConns": func(c *Config) { c.InitConns = 2 },
	"LeaseMode": func(c *Config) { c.LeaseMode = LeaseTransaction },
	"Listener":  func(c *Config) { c.Listener = &record{} },
	"Logger":    func(c *Config) { c.Logger = slog.Default() },
}

// TestEveryFieldCanBeChangedLive shows for each field of Config that a new value
// rules at once, or that Update refuses it by name and changes nothing.
func TestEveryFieldCanBeChangedLive(t *testing.T) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		change, fixed := fixedChanges[field.Name]
		if field.Type.Kind() == reflect.Func {
			fixed, change = true, func(c *Config) {
				reflect.ValueOf(c).Elem().FieldByIndex(field.Index).Set(reflect.MakeFunc(field.Type, func([]reflect.Value) []reflect.Value { panic("never called") }))
			}
		}
		t.Run(field.Name, func(t *testing.T) {
			if fixed {
				inBubble(t, scripted.Hooks{}, Config{}, func(t *testing.T, p *Pool, d *scripted.Driver) {
					err := p.Update(func(c *Config) { c.MaxConns = 7; change(c) })
					var invalid *ConfigError
					if !errors.As(err, &invalid) || len(invalid.Problems) != 1 || invalid.Problems[0].Field != field.Name || !strings.Contains(err.Error(), "cannot be changed in a running pool") {
						t.Errorf("error %v", err)
					}
					if p.Config().MaxConns != DefaultMaxConns {
						t.Error("the rest was changed")
					}
				})
				return
			}
			l, ok := liveChanges[field.Name]
			if !ok {
				t.Fatal("nothing shows that it can be changed, or that it cannot")
			}
			inBubble(t, l.hooks, l.cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
				if l.before != nil {
					l.before(t, p, d)
				}
				synctest.Wait()
				if err := p.Update(l.change); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				l.after(t, p, d)
			})
		})
	}
}

// What cannot be changed may be said again, and left out.
func TestUpdateWithAWholeConfiguration(t *testing.T) {
	cfg := Config{Name: "orders", InitConns: 2, Listener: &record{}, LeaseMode: LeaseTransaction, Redact: func(err error) error { return err }}
	inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 2 {
			if err := p.Update(func(c *Config) { *c = cfg }); err != nil {
				t.Error(err)
			}
			if err := p.Update(func(c *Config) { *c = Config{LeaseMode: LeaseTransaction, MaxConns: 9} }); err != nil {
				t.Error(err)
			}
		}
		if now := p.Config(); now.Name != "orders" || now.Listener == nil || now.Redact == nil || now.MaxConns != 9 {
			t.Errorf("%+v", now)
		}
	})
}

// Nobody who holds a Config can write into the pool's.
func TestSettingsShareNoMemory(t *testing.T) {
	given := []string{"SET a"}
	inBubble(t, scripted.Hooks{}, Config{InitSQL: given, MaxConns: 1}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		given[0] = "SET b"
		p.Config().InitSQL[0] = "SET c"
		kept := []string(nil)
		if err := p.Update(func(c *Config) { c.InitSQL[0], c.MaxConns = "SET d", -7 }); err == nil {
			t.Error("accepted")
		}
		mustAcquire(t, p).Release(Broken)
		if err := p.Update(func(c *Config) { c.InitSQL[0] = "SET e"; kept = c.InitSQL }); err != nil {
			t.Error(err)
		}
		kept[0] = "SET f"
		mustAcquire(t, p).Release(Clean)
		for _, text := range []string{"SET a", "SET e"} {
			if d.Count("exec "+text) != 1 {
				t.Errorf("%q", d.Log())
			}
		}
	})
}

// A borrower's ResetSession is bounded by the PingTimeout of its own moment, on
// connections that were there before too.
func TestResetSessionFollowsTheSettings(t *testing.T) {
	hooks := scripted.Hooks{}
	slow := false
	hooks.Reset = func(ctx context.Context, _ *scripted.Conn) error {
		if !slow {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
	inBubble(t, hooks, Config{MaxConns: 1, CheckOnAcquire: CheckNever}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		for range 2 {
			mustAcquire(t, p).Release(Clean)
		}
		if err := p.Update(func(c *Config) { c.PingTimeout = time.Second }); err != nil {
			t.Fatal(err)
		}
		slow = true
		lasts(t, time.Second, func() { mustAcquire(t, p).Release(Clean) })
	})
}

// A Redact function that panics, or wraps nothing, changes no verdict.
func TestRedactThatIsNoHelp(t *testing.T) {
	cfg := Config{MaxConns: 2, OutageGrace: None, CheckRole: func(context.Context, driver.Conn) (bool, error) { return true, nil },
		Redact: func(error) error { panic("a mistake") }}
	hooks := scripted.Hooks{
		Connect: func(_ context.Context, n int) error {
			if n == 3 {
				return errRefused
			}
			return nil
		},
		Ping: func(context.Context, *scripted.Conn) error { return errors.New("sick") },
	}
	listened(t, hooks, cfg, func(t *testing.T, p *Pool, d *scripted.Driver, r *record) {
		mustAcquire(t, p).Release(RoleDoubt)
		r.last(t, EventDemoted)
		mustAcquire(t, p).Release(Clean)
		if _, failed, err := p.Verify(t.Context()); failed != 1 || err != nil {
			t.Errorf("%d failed: %v", failed, err)
		}
		time.Sleep(time.Second)
	})
}
