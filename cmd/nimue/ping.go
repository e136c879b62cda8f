package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
	"github.com/nimue-go/nimue/status"
)

var pingCommand = &command{
	name:    "ping",
	operand: "DSN",
	brief:   "connect, ask the server what it is, and time it",
	about: `
Connects through nimue, with all that the DSN says but over one connection only, asks
the server what it is, and pings it a few times. Times are those of the connect
(name lookup, TLS, login and pool_init_sql included), of the first query, and the
least, the median and the most of the pings. Drivers whose connections have nothing
to ping answer at once.

The JSON document has the fields dsn, driver, adapter, connect_seconds,
query_seconds, ping (count, min_seconds, median_seconds, max_seconds), server
(product, version, tls, role, limits), and error and problems where it failed.

Exit code 1: the DSN has a mistake, or something failed or took longer than -timeout.
`,
	prepare: func(f *flags) action {
		count := f.number("n", 5, 0, 100_000, "`number` of pings")
		timeout := f.duration("timeout", 10*time.Second, time.Millisecond, time.Hour, "`time` that all of it may take")
		asJSON := f.toggle("json", false, "print a JSON document")
		return func(ctx context.Context, c *console, dsn string) error {
			return ping(ctx, c, dsn, pingOptions{*count, *timeout, *asJSON})
		}
	},
}

type pingOptions struct {
	count   int
	timeout time.Duration
	json    bool
}

// pingDocument is what ping -json prints.
type pingDocument struct {
	subject
	Connect status.Seconds `json:"connect_seconds,omitempty"`
	Query   status.Seconds `json:"query_seconds,omitempty"`
	Ping    *pingTimes     `json:"ping,omitempty"`
	Server  *serverFacts   `json:"server,omitempty"`
}

type pingTimes struct {
	Count  int            `json:"count"`
	Min    status.Seconds `json:"min_seconds"`
	Median status.Seconds `json:"median_seconds"`
	Max    status.Seconds `json:"max_seconds"`
}

func ping(ctx context.Context, c *console, dsn string, o pingOptions) error {
	e, err := nimue.Explain(dsn)
	if err != nil {
		return c.failed(o.json, pingDocument{subject: subjectOf(nil, err)}, err)
	}
	d := pingDocument{}
	err = measure(ctx, e, &d, o)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.subject = subjectOf(e, err)
	if o.json {
		if printing := c.printJSON(d); printing != nil || err == nil {
			return printing
		}
		return errBad
	}
	if d.Connect > 0 {
		showPing(c, &d)
	}
	return err
}

// measure fills in the document, as far as it gets.
func measure(ctx context.Context, e *nimue.Explanation, d *pingDocument, o pingOptions) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	one, err := openOne(e, o.timeout)
	if err != nil {
		return err
	}
	defer one.close()
	conn, err := one.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT 1"); err != nil { // the first operation is what connects
		return err
	}
	d.Query = status.Seconds(time.Since(one.ready))
	d.Connect = status.Seconds(one.ready.Sub(one.began))
	if d.Server, err = ask(ctx, conn, e); err != nil {
		return err
	}
	times := make([]time.Duration, 0, o.count)
	for range o.count {
		began := time.Now()
		if err := conn.PingContext(ctx); err != nil {
			return fmt.Errorf("ping %d of %d: %w", len(times)+1, o.count, err)
		}
		times = append(times, time.Since(began))
	}
	if len(times) > 0 {
		slices.Sort(times)
		d.Ping = &pingTimes{len(times), status.Seconds(times[0]), status.Seconds(times[len(times)/2]), status.Seconds(times[len(times)-1])}
	}
	return nil
}

// time notes when the first connect begins and ends. Whoever has used its connection
// may read both: later connects leave them alone.
func (s *single) time(c *pool.Config) {
	c.BeforeConnect = func(_ context.Context, inner driver.Connector) (driver.Connector, error) {
		if s.ready.IsZero() {
			s.began = time.Now()
		}
		return inner, nil
	}
	c.AfterConnect = func(context.Context, driver.Conn) error {
		if s.ready.IsZero() {
			s.ready = time.Now()
		}
		return nil
	}
}

// showPing prints as much as was measured: a connect at least.
func showPing(c *console, d *pingDocument) {
	fmt.Fprintf(c.out, "%s\n\n", c.style(c.out).bold(d.DSN))
	fmt.Fprintf(c.out, "  connect       %s\n", threeDigits(d.Connect.Duration()))
	fmt.Fprintf(c.out, "  first query   %s\n", threeDigits(d.Query.Duration()))
	if p := d.Ping; p != nil {
		label := fmt.Sprintf("ping × %d", p.Count)
		fmt.Fprintf(c.out, "  %-14smin %s, median %s, max %s\n", label, threeDigits(p.Min.Duration()), threeDigits(p.Median.Duration()), threeDigits(p.Max.Duration()))
	}
	if d.Server != nil {
		showServer(c, d.Server, 16)
	}
}

// threeDigits writes a duration in as many digits as anybody reads.
func threeDigits(d time.Duration) string {
	for unit := time.Duration(1); unit < time.Second; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Second).String()
}
