//lint:file-ignore SA1019 inner drivers may have only the old interfaces

package pool

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
)

// This file holds every call that the pool itself makes into a driver. Each
// catches panics and none is made under Pool.mu.

func connect(ctx context.Context, connector driver.Connector) (inner driver.Conn, err error) {
	defer catch("Connect", &err)
	inner, err = connector.Connect(ctx)
	if err == nil && inner == nil {
		err = errors.New("the driver returned neither a connection nor an error")
	}
	return inner, err
}

func closeInner(inner driver.Conn) (err error) {
	defer catch("Close", &err)
	return inner.Close()
}

func closeStmt(s driver.Stmt) (err error) {
	defer catch("Stmt.Close", &err)
	return s.Close()
}

func resetSession(ctx context.Context, r driver.SessionResetter) (err error) {
	defer catch("ResetSession", &err)
	return r.ResetSession(ctx)
}

func closeSafely(closeRows func() error) (err error) {
	defer catch("Rows.Close", &err)
	return closeRows()
}

func isValid(v driver.Validator) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return v.IsValid()
}

func ping(ctx context.Context, p driver.Pinger) (err error) {
	defer catch("Ping", &err)
	return p.Ping(ctx)
}

func health(ctx context.Context, cfg *Config, inner driver.Conn) (err error) {
	defer catch("Health", &err)
	return cfg.Health(ctx, inner)
}

// beforeConnect returns the connector for one connect.
func beforeConnect(ctx context.Context, cfg *Config, connector driver.Connector) (c driver.Connector, err error) {
	if cfg.BeforeConnect == nil {
		return connector, nil
	}
	defer catch("BeforeConnect", &err)
	c, err = cfg.BeforeConnect(ctx, connector)
	if err == nil && c == nil {
		err = errors.New("BeforeConnect returned neither a connector nor an error")
	}
	return c, err
}

// prepare is database/sql's own fallback for drivers without PrepareContext.
func prepare(ctx context.Context, inner driver.Conn, query string) (driver.Stmt, error) {
	if p, ok := inner.(driver.ConnPrepareContext); ok {
		return p.PrepareContext(ctx, query)
	}
	s, err := inner.Prepare(query)
	if err == nil {
		select {
		default:
		case <-ctx.Done():
			_ = closeStmt(s) // the caller has gone; its error is the context's
			return nil, ctx.Err()
		}
	}
	return s, err
}

// exec runs a statement without arguments on a connection of any driver.
func exec(ctx context.Context, inner driver.Conn, query string) (err error) {
	defer catch("Exec", &err)
	err = driver.ErrSkip
	switch e := inner.(type) {
	case driver.ExecerContext:
		_, err = e.ExecContext(ctx, query, nil)
	case driver.Execer:
		_, err = e.Exec(query, nil)
	}
	if err != driver.ErrSkip {
		return err
	}
	s, err := prepare(ctx, inner, query)
	if err != nil {
		return err
	}
	if sc, ok := s.(driver.StmtExecContext); ok {
		_, err = sc.ExecContext(ctx, nil)
	} else {
		_, err = s.Exec(nil)
	}
	return errors.Join(err, closeStmt(s))
}

// query runs a query without arguments and reads its rows to the end.
func query(ctx context.Context, inner driver.Conn, text string) (err error) {
	defer catch("Query", &err)
	var rows driver.Rows
	err = driver.ErrSkip
	switch q := inner.(type) {
	case driver.QueryerContext:
		rows, err = q.QueryContext(ctx, text, nil)
	case driver.Queryer:
		rows, err = q.Query(text, nil)
	}
	if err == nil {
		return drain(rows)
	}
	if err != driver.ErrSkip {
		return err
	}
	s, err := prepare(ctx, inner, text)
	if err != nil {
		return err
	}
	if sc, ok := s.(driver.StmtQueryContext); ok {
		rows, err = sc.QueryContext(ctx, nil)
	} else {
		rows, err = s.Query(nil)
	}
	if err == nil {
		err = drain(rows)
	}
	return errors.Join(err, closeStmt(s))
}

func drain(rows driver.Rows) error {
	row := make([]driver.Value, len(rows.Columns()))
	var err error
	for err == nil {
		err = rows.Next(row)
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, rows.Close())
}

// verifyInner asks the server for a sign of life: by Health or HealthQuery if
// there is one, else by the driver's Ping, else by ResetSession. A driver with none of them
// counts as healthy. ResetSession comes first where a new borrower is due one.
func (p *Pool) verifyInner(ctx context.Context, c *conn, cfg *Config, reset bool) error {
	c.noticed.says(cfg.HealthQuery)
	if reset && c.resetter != nil && !c.clean {
		if err := resetSession(ctx, c.resetter); err != nil {
			return fmt.Errorf("ResetSession: %w", err)
		}
		c.clean = true
	}
	if cfg.Health != nil {
		return health(ctx, cfg, c.inner)
	}
	if cfg.HealthQuery != "" {
		return query(ctx, c.inner, cfg.HealthQuery)
	}
	if pinger, ok := c.inner.(driver.Pinger); ok {
		return ping(ctx, pinger)
	}
	if c.resetter != nil && !c.clean {
		err := resetSession(ctx, c.resetter)
		c.clean = err == nil
		return err
	}
	return nil
}

// canVerify tells whether verifyInner would do anything.
func (c *conn) canVerify(cfg *Config) bool {
	if cfg.Health != nil || cfg.HealthQuery != "" || c.resetter != nil {
		return true
	}
	_, ok := c.inner.(driver.Pinger)
	return ok
}

// rollback ends a transaction that a borrower left open. A driver that answers
// that there is none has told us what we wanted to know.
func rollback(ctx context.Context, inner driver.Conn) error {
	err := exec(ctx, inner, "ROLLBACK")
	if err == nil {
		return nil
	}
	for _, none := range []string{
		"no transaction is active",               // SQLite
		"has no corresponding BEGIN TRANSACTION", // SQL Server
		"there is no transaction in progress",    // CockroachDB and others, as an error
	} {
		if strings.Contains(err.Error(), none) {
			return nil
		}
	}
	return fmt.Errorf("ROLLBACK: %w", err)
}

// initialise makes a new connection's session what the configuration says.
func (p *Pool) initialise(ctx context.Context, inner driver.Conn, cfg *Config, heard *noticed) (err error) {
	for i, sql := range cfg.InitSQL {
		heard.says(sql)
		if err := exec(ctx, inner, sql); err != nil {
			return &ConnectError{Pool: p.name, Step: fmt.Sprintf("InitSQL statement %d of %d", i+1, len(cfg.InitSQL)), Err: err, setup: true}
		}
	}
	heard.says("")
	if err := afterConnect(ctx, cfg, inner); err != nil {
		return &ConnectError{Pool: p.name, Step: "AfterConnect", Err: err, setup: true}
	}
	return nil
}

func afterConnect(ctx context.Context, cfg *Config, inner driver.Conn) (err error) {
	if cfg.AfterConnect == nil {
		return nil
	}
	defer catch("AfterConnect", &err)
	return cfg.AfterConnect(ctx, inner)
}
