package chaos

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nimue-go/nimue/conformance/servers"
)

// postgres is a PostgreSQL server as a backend.
type postgres struct{ *servers.PostgresServer }

// startPostgres starts one for a test. Its commits reach the operating system
// before they are acknowledged: these tests kill the server, and look afterwards
// whether what was acknowledged is there.
func startPostgres(tb testing.TB, options servers.PostgresOptions) postgres {
	tb.Helper()
	settings := map[string]string{"synchronous_commit": "on"}
	for name, value := range options.Settings {
		settings[name] = value
	}
	options.Settings = settings
	server, err := servers.StartPostgres(tb.Context(), options)
	servers.Require(tb, err)
	tb.Cleanup(server.Stop)
	return postgres{server}
}

func (p postgres) words() dialect { return postgresSQL }

func (p postgres) address() string { return net.JoinHostPort(p.Host(), strconv.Itoa(p.Port())) }

func (p postgres) target(tb testing.TB, address, app string) target {
	return target{driver: "pgx", dsn: withSettings(tb, at(tb, p.URL("postgres"), address), "application_name", app)}
}

func (p postgres) admit(testing.TB, string) {}

// do calls f with a connection of its own.
func (p postgres) do(tb testing.TB, f func(ctx context.Context, c *pgx.Conn) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	err = f(ctx, c)
	if err := errors.Join(err, c.Close(ctx)); err != nil {
		tb.Fatal(err)
	}
}

func (p postgres) exec(tb testing.TB, query string) {
	tb.Helper()
	p.do(tb, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, query)
		return err
	})
}

func (p postgres) rows(tb testing.TB, table string) map[row]int {
	tb.Helper()
	found := make(map[row]int)
	p.do(tb, func(ctx context.Context, c *pgx.Conn) error {
		var r row
		rows, err := c.Query(ctx, "SELECT worker, seq FROM "+table)
		if err != nil {
			return err
		}
		_, err = pgx.ForEachRow(rows, []any{&r.worker, &r.seq}, func() error { found[r]++; return nil })
		return err
	})
	return found
}

// sessions lists the application's backends, the one that was quiet longest first.
func (p postgres) sessions(tb testing.TB, app string) (pids []int) {
	tb.Helper()
	p.do(tb, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, "SELECT pid FROM pg_stat_activity WHERE application_name = $1 ORDER BY state_change", app)
		if err != nil {
			return err
		}
		pids, err = pgx.CollectRows(rows, pgx.RowTo[int])
		return err
	})
	return pids
}

// terminate ends backends, and waits for the processes to be gone: from then on
// this machine's kernel has told the other end of every socket.
func (p postgres) terminate(tb testing.TB, pids ...int) {
	tb.Helper()
	p.do(tb, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid", pids)
		return err
	})
	waitGone(tb, pids)
}

// waitGone waits until none of the processes runs any more.
func waitGone(tb testing.TB, pids []int) {
	tb.Helper()
	for _, pid := range pids {
		mustBecome(tb, "the end of backend "+strconv.Itoa(pid), func() bool {
			return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
		})
	}
}

func (p postgres) signalBackend(tb testing.TB, pid int, signal syscall.Signal) {
	tb.Helper()
	if err := p.SignalBackend(pid, signal); err != nil {
		tb.Fatal(err)
	}
}

func (p postgres) signalAll(tb testing.TB, signal syscall.Signal) {
	tb.Helper()
	if err := p.SignalAll(signal); err != nil {
		tb.Fatal(err)
	}
}

func (p postgres) shutdown(tb testing.TB, mode servers.StopMode) {
	tb.Helper()
	if err := p.Shutdown(mode); err != nil {
		tb.Fatal(err)
	}
}

func (p postgres) start(tb testing.TB) {
	tb.Helper()
	if err := p.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

// outcome is what a few callers saw.
type outcome struct {
	failures []error
	longest  time.Duration
}

// ask has callers ask one question each, all at once, with a deadline each.
func ask(c *contender, callers int, deadline time.Duration) outcome {
	var (
		work sync.WaitGroup
		mu   sync.Mutex
		seen outcome
	)
	for range callers {
		work.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), deadline)
			defer cancel()
			began := time.Now()
			_, err := c.count(ctx, "SELECT 1")
			mu.Lock()
			defer mu.Unlock()
			seen.longest = max(seen.longest, time.Since(began))
			if err != nil {
				seen.failures = append(seen.failures, err)
			}
		})
	}
	work.Wait()
	return seen
}

// askInTurn has one caller ask again and again.
func askInTurn(c *contender, times int, deadline time.Duration) (seen outcome) {
	for range times {
		one := ask(c, 1, deadline)
		seen.failures = append(seen.failures, one.failures...)
		seen.longest = max(seen.longest, one.longest)
	}
	return seen
}

// report makes a report of it, for the table.
func (o outcome) report() *report {
	r := &report{longest: o.longest}
	for _, err := range o.failures {
		r.failures = append(r.failures, failure{kind: kindOf(err), err: err})
	}
	return r
}
