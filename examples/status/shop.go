package main

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// shop is the load: workers who look for items and buy some.
type shop struct {
	db             *sql.DB
	placed, failed atomic.Int64
}

func (s *shop) create(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, `
		CREATE TABLE items (item_no INTEGER PRIMARY KEY, name TEXT, stock INTEGER);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
		INSERT INTO items SELECT i, 'item ' || i, 1000000 FROM n`)
	return err
}

// work runs the workers until ctx ends, and returns when all have ended.
func (s *shop) work(ctx context.Context, workers int, leak bool) {
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for ctx.Err() == nil {
				s.visit(ctx)
			}
		})
	}
	if leak {
		working.Go(func() { s.forget(ctx) })
	}
	working.Wait()
}

// visit is one customer's: a look around, a pause, and perhaps an order.
func (s *shop) visit(ctx context.Context) {
	err := s.browse(ctx)
	if err == nil && rand.N(4) == 0 {
		if err = s.checkout(ctx); err == nil {
			s.placed.Add(1)
		}
	}
	if err != nil && ctx.Err() == nil {
		s.failed.Add(1)
	}
	pause(ctx, rand.N(25*time.Millisecond))
}

func (s *shop) browse(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, `SELECT item_no, name FROM items WHERE name LIKE $1 ORDER BY stock DESC LIMIT 20`, "item 1%")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var number int
		var name string
		if err := rows.Scan(&number, &name); err != nil {
			return err
		}
		pause(ctx, rand.N(2*time.Millisecond)) // the reader is slow, and its connection leased
	}
	return rows.Err()
}

func (s *shop) checkout(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // without effect after Commit
	if _, err := tx.ExecContext(ctx, `UPDATE items SET stock = stock - $1 WHERE item_no = $2`, 1+rand.N(3), 1+rand.N(500)); err != nil {
		return err
	}
	return tx.Commit()
}

// forget takes a connection every twenty seconds and has the mistake in it that the
// page is to show: defer gives them back when the function ends, not each time round.
func (s *shop) forget(ctx context.Context) {
	for pause(ctx, 20*time.Second) {
		conn, err := s.db.Conn(ctx)
		if err != nil {
			continue
		}
		defer conn.Close()
		var stock int
		_ = conn.QueryRowContext(ctx, `SELECT stock FROM items WHERE name = 'item 17'`).Scan(&stock)
	}
}

// pause reports whether d passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
