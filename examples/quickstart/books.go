package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// books are the totals as the database tells them.
type books struct {
	orders   int64 // rows
	numbers  int64 // different order numbers among them
	least    int64 // smallest order number
	greatest int64
	revenue  int64 // sum of the orders' totals
	lines    int64
	sold     int64 // sum of the lines' quantities
	worth    int64 // of what the lines sold
	stock    int64 // left
	astray   int64 // items whose stock and sales do not add up
}

// querier is a *sql.DB, *sql.Conn or *sql.Tx.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// readBooks adds everything up. SUM of a BIGINT is a NUMERIC in PostgreSQL,
// hence the casts.
func (s *shop) readBooks(ctx context.Context, q querier) (b books, err error) {
	for _, sum := range []struct {
		text string
		args []any
		into []any
	}{
		{
			`SELECT COUNT(*), COUNT(DISTINCT order_no), COALESCE(MIN(order_no), 0), COALESCE(MAX(order_no), 0),
			        CAST(COALESCE(SUM(total), 0) AS BIGINT) FROM @orders`,
			nil, []any{&b.orders, &b.numbers, &b.least, &b.greatest, &b.revenue},
		},
		{
			`SELECT COUNT(*), CAST(COALESCE(SUM(l.quantity), 0) AS BIGINT), CAST(COALESCE(SUM(l.quantity * i.price), 0) AS BIGINT)
			 FROM @lines l JOIN @items i ON i.item_no = l.item_no`,
			nil, []any{&b.lines, &b.sold, &b.worth},
		},
		{
			`SELECT CAST(SUM(stock) AS BIGINT) FROM @items`,
			nil, []any{&b.stock},
		},
		{
			`SELECT COUNT(*) FROM @items i
			 LEFT JOIN (SELECT item_no, SUM(quantity) AS sold FROM @lines GROUP BY item_no) s ON s.item_no = i.item_no
			 WHERE i.stock + COALESCE(s.sold, 0) <> CAST($1 AS BIGINT)`,
			[]any{startingStock}, []any{&b.astray},
		},
	} {
		if err := q.QueryRowContext(ctx, s.sql(sum.text), sum.args...).Scan(sum.into...); err != nil {
			return b, fmt.Errorf("reading the totals: %w", err)
		}
	}
	return b, nil
}

// balance checks that the books agree with themselves, which they must at every
// moment at which a transaction can look at them.
func (b books) balance() error {
	return errors.Join(
		same("different order numbers and orders", b.numbers, b.orders),
		same("order lines and two per order", b.lines, b.orders*linesPerOrder),
		same("worth of the lines and sum of the orders", b.worth, b.revenue),
		same("stock taken and quantity sold", itemCount*startingStock-b.stock, b.sold),
		same("items whose stock and sales differ and none", b.astray, 0),
	)
}

// complete checks that the books hold the orders 1 to n as they were made.
func (b books) complete(n int) error {
	var revenue, sold int64
	for no := 1; no <= n; no++ {
		o := makeOrder(no)
		revenue += int64(o.total())
		for _, l := range o.lines {
			sold += int64(l.quantity)
		}
	}
	return errors.Join(
		same("orders in the database and orders placed", b.orders, int64(n)),
		same("first order number and 1", b.least, 1),
		same("last order number and that of the last order", b.greatest, int64(n)),
		same("sum of the orders and of those placed", b.revenue, revenue),
		same("quantity sold and quantity ordered", b.sold, sold),
	)
}

func same(what string, got, want int64) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s differ: %d and %d", what, got, want)
}

const (
	reportHold  = 150 * time.Millisecond // how long a report keeps its transaction open
	reportPause = 350 * time.Millisecond // between two reports
)

// report holds one connection until done is closed, and on it, again and again, a
// read transaction that must see the same balanced books at its beginning and at
// its end. It returns how many reports it made.
func (s *shop) report(ctx context.Context, conn *sql.Conn, done <-chan struct{}) (reports int, err error) {
	for {
		if err := s.reportOnce(ctx, conn, done); err != nil {
			return reports, fmt.Errorf("report %d: %w", reports+1, err)
		}
		reports++
		if pause(reportPause, ctx.Done(), done) {
			return reports, nil
		}
	}
}

func (s *shop) reportOnce(ctx context.Context, conn *sql.Conn, done <-chan struct{}) error {
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() // a report changes nothing that could be committed
	before, err := s.readBooks(ctx, tx)
	if err != nil {
		return err
	}
	pause(reportHold, ctx.Done(), done)
	after, err := s.readBooks(ctx, tx)
	if err != nil {
		return err
	}
	if before != after {
		return fmt.Errorf("the books changed under a held transaction: %+v, then %+v", before, after)
	}
	return before.balance()
}

// pause waits for d, and reports whether one of the channels ended it early.
func pause(d time.Duration, a, b <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-a:
	case <-b:
	}
	return true
}
