package rows

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

// noop is an inner driver whose every call returns at once, so that what is
// measured is the pools and nothing else. Like the drivers of real databases it
// has ExecerContext, SessionResetter and Validator.
type noop struct{}

func (noop) Connect(context.Context) (driver.Conn, error) { return noopConn{}, nil }
func (noop) Driver() driver.Driver                        { return nil }

type noopConn struct{}

func (noopConn) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }
func (noopConn) Close() error                        { return nil }
func (noopConn) Begin() (driver.Tx, error)           { return nil, driver.ErrSkip }
func (noopConn) ResetSession(context.Context) error  { return nil }
func (noopConn) IsValid() bool                       { return true }
func (noopConn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, nil
}

// overConnector opens a contender that works on any inner driver.
func overConnector(b *testing.B, contender string, inner driver.Connector, cfg pool.Config) *sql.DB {
	b.Helper()
	if contender == Nimue {
		c, err := nimue.NewConnector(inner, cfg)
		if err != nil {
			b.Fatal(err)
		}
		return sql.OpenDB(c)
	}
	db := sql.OpenDB(inner)
	switch contender {
	case SQLDefault:
	case SQLTuned:
		tune(db, Conns)
	case SQLWide:
		tune(db, cfg.MaxConns)
	default:
		b.Fatalf("%s cannot be opened on a driver.Connector", contender)
	}
	return db
}

// tune gives database/sql a limit, and has it keep as many connections as that.
func tune(db *sql.DB, conns int) {
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
}

func noopSerial(b *testing.B, contender string, _ int)    { noopBy(b, contender, 1) }
func noopContended(b *testing.B, contender string, _ int) { noopBy(b, contender, 32) }

func noopBy(b *testing.B, contender string, workers int) {
	db := overConnector(b, contender, noop{}, pool.Config{MaxConns: Conns})
	defer db.Close()
	inParallel(b, workers, func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, "x")
		return err
	})
}

func growthGoroutines(b *testing.B, contender string, n int) { noopBy(b, contender, n) }
