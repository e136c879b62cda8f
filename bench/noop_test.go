package bench

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"
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

// contenders are the pools that stand side by side in every benchmark here.
var contenders = []struct {
	name string
	open func(b *testing.B, inner driver.Connector, conns int) *sql.DB
}{
	{"sql-default", func(b *testing.B, inner driver.Connector, conns int) *sql.DB {
		return sql.OpenDB(inner)
	}},
	{"sql-tuned", func(b *testing.B, inner driver.Connector, conns int) *sql.DB {
		db := sql.OpenDB(inner)
		db.SetMaxOpenConns(conns)
		db.SetMaxIdleConns(conns)
		return db
	}},
	{"nimue", func(b *testing.B, inner driver.Connector, conns int) *sql.DB {
		c, err := nimue.NewConnector(inner, pool.Config{MaxConns: conns})
		if err != nil {
			b.Fatal(err)
		}
		return sql.OpenDB(c)
	}},
}

// BenchmarkNoop is the cost of the pools themselves: a statement on a driver that
// does nothing, in one goroutine and in 32 that share 16 connections.
func BenchmarkNoop(b *testing.B) {
	for _, workers := range []int{1, 32} {
		for _, c := range contenders {
			name := map[int]string{1: "serial/", 32: "32on16/"}[workers] + c.name
			b.Run(name, func(b *testing.B) {
				db := c.open(b, noop{}, 16)
				defer db.Close()
				inParallel(b, workers, func(ctx context.Context) error {
					_, err := db.ExecContext(ctx, "x")
					return err
				})
			})
		}
	}
}

// inParallel shares b.N operations out among a number of goroutines.
func inParallel(b *testing.B, workers int, op func(context.Context) error) {
	ctx := b.Context()
	if err := op(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range workers {
		n := b.N / workers
		if w < b.N%workers {
			n++
		}
		wg.Go(func() {
			for range n {
				if err := op(ctx); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
