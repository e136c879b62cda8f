package nimue

import (
	"context"
	"database/sql/driver"

	"github.com/nimue-go/nimue/internal/txguard"
)

// The operations of a handle. Each begins an inner call, which takes a connection if
// there is none, makes it, and ends it with what came of it.

// ExecContext runs a statement on the leased connection. driver.ErrSkip, where
// the inner driver wants the statement prepared first or has no Exec, is legal
// here and makes database/sql prepare it.
func (c *Conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.refusal(query); err != nil {
		return nil, err
	}
	if c.autoPrepares(query, args) {
		s := stmt{conn: c, text: query, auto: true}
		if result, err := s.ExecContext(ctx, args); err != errNotPrepared {
			return result, err
		}
	}
	defer c.unwind()
	for {
		inner, err := c.begin(ctx)
		if err != nil {
			return nil, err
		}
		execer, ok := execerOf(inner)
		if !ok {
			c.leave()
			return nil, driver.ErrSkip
		}
		converted := args
		if len(args) > 0 {
			if converted, err = c.convert(inner, nil, args); err != nil {
				return nil, err
			}
		}
		c.lease.Note(query)
		result, err := execer.ExecContext(ctx, query, converted)
		if err == nil {
			result = settled(result)
		}
		c.noteTx(query, err)
		if again, err := c.end(query, err); !again {
			return result, err
		}
	}
}

// QueryContext runs a query on the leased connection and returns the inner
// driver's rows as they are. driver.ErrSkip as in ExecContext.
func (c *Conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.refusal(query); err != nil {
		return nil, err
	}
	if c.autoPrepares(query, args) {
		s := stmt{conn: c, text: query, auto: true}
		if rows, err := s.QueryContext(ctx, args); err != errNotPrepared {
			return rows, err
		}
	}
	defer c.unwind()
	for {
		inner, err := c.begin(ctx)
		if err != nil {
			return nil, err
		}
		queryer, ok := queryerOf(inner)
		if !ok {
			c.leave()
			return nil, driver.ErrSkip
		}
		converted := args
		if len(args) > 0 {
			if converted, err = c.convert(inner, nil, args); err != nil {
				return nil, err
			}
		}
		c.lease.Note(query)
		rows, err := queryer.QueryContext(ctx, query, converted)
		c.noteTx(query, err)
		if err == nil {
			rows = c.opened(rows, nil, query)
		}
		if again, err := c.end(query, err); !again {
			return rows, err
		}
	}
}

// convert converts args in place for an operation, keeping them for a second
// beginning. Where that fails, the call that was begun is over.
func (c *Conn) convert(inner driver.Conn, s driver.Stmt, args []driver.NamedValue) ([]driver.NamedValue, error) {
	if len(c.saved) > 0 {
		copy(args, c.saved)
	} else if !c.use.touched || s != nil { // a statement may prove stale
		c.saved = append(c.saved, args...)
	}
	c.use.phase = converting
	converted, err := convertArgs(inner, s, args)
	c.use.phase = calling
	if err != nil {
		c.use.guard.Note(err)
		c.leave()
	}
	return converted, err
}

// noteTx remembers that SQL text begins or ends a transaction, so that one that
// is left open can be rolled back when the connection is returned. A failed BEGIN
// counts: a rollback too many does no harm. That anything was run at all makes a
// session that the application may rely on.
func (c *Conn) noteTx(query string, err error) {
	c.use.session = c.use.session || err != driver.ErrSkip
	c.look(query)
	if c.text.endsStmts && err == nil {
		c.lease.ForgetStmts()
	}
	if c.use.guard != nil && err == nil && rollsBackTo(query) {
		c.use.guard.Recover()
	}
	switch c.text.effect {
	case opensTx:
		c.use.rawTx = c.use.rawTx || err != driver.ErrSkip
	case opensTxOutside:
		c.use.rawTx = c.use.rawTx || err == nil && !c.use.tx
	case endsTx:
		c.use.rawTx = c.use.rawTx && err != nil
	}
}

// look reads the text of a statement, unless that is the latest one's again.
func (c *Conn) look(query string) {
	if query != c.text.query { // which compares pointers first
		c.text = readText(query)
	}
}

// PrepareContext prepares the query on the leased connection, or finds it
// prepared there already, and returns a statement that outlives the lease.
func (c *Conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.refusal(query); err != nil {
		return nil, err
	}
	defer c.unwind()
	for {
		if _, err := c.begin(ctx); err != nil {
			return nil, err
		}
		_, called, err := c.lease.Prepare(ctx, query)
		if err == nil && !called {
			c.leave()
			return &stmt{conn: c, text: query}, nil
		}
		if again, err := c.end(query, err); !again {
			if err != nil {
				return nil, err
			}
			return &stmt{conn: c, text: query}, nil
		}
	}
}

// Prepare is PrepareContext without a context, for callers of the old interface.
func (c *Conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// BeginTx begins a transaction on the leased connection and returns the inner
// driver's, unless somebody has to see its end. Options that an inner driver without
// BeginTx cannot honour are refused in database/sql's words.
func (c *Conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	defer c.unwind()
	for {
		inner, err := c.begin(ctx)
		if err != nil {
			return nil, err
		}
		tx, err := beginOn(ctx, inner, opts)
		if err == nil {
			c.use.tx, c.use.session, c.use.open = true, true, true
			c.use.guard = txguard.Claim(ctx)
			if c.heard {
				tx = &heardTx{tx, c.lease}
			}
			switch {
			case c.shares:
				tx = &sharedTx{tx, c, ctx}
			case ctx.Done() != nil && !keepsAfterRollback(inner):
				tx = &mortalTx{tx, c, ctx}
			}
		}
		if again, err := c.end("", err); !again {
			return tx, err
		}
	}
}

// Begin is BeginTx without a context, for callers of the old interface.
func (c *Conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// Ping leases a connection, so that it fails if none can be had, and pings the
// server if the inner driver can.
func (c *Conn) Ping(ctx context.Context) error {
	defer c.unwind()
	for {
		inner, err := c.begin(ctx)
		if err != nil {
			return err
		}
		pinger, ok := inner.(driver.Pinger)
		if !ok {
			c.leave()
			return nil
		}
		if again, err := c.end("", pinger.Ping(ctx)); !again {
			return err
		}
	}
}
