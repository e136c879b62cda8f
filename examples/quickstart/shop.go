package main

import (
	"cmp"
	"context"
	crand "crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	itemCount     = 200
	linesPerOrder = 2
	mostQuantity  = 5
	mostOrders    = 10_000_000
	mostWorkers   = 100_000
	startingStock = mostOrders * linesPerOrder * mostQuantity // of every item: never sold out
	dropPatience  = 10 * time.Second
)

// shop is a database with three tables, and the statements that serve them.
type shop struct {
	db     *sql.DB
	prefix string // of the tables' names, so that they are nobody else's

	insertOrder, insertLine, takeStock, readOrder *sql.Stmt
}

// openShop makes the tables, puts the items on the shelf and prepares the
// statements. If it fails it leaves nothing behind.
func openShop(ctx context.Context, db *sql.DB) (_ *shop, err error) {
	s := &shop{db: db, prefix: "nimue_quickstart_" + strings.ToLower(crand.Text()[:12])}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.drop(ctx))
		}
	}()
	// orders has no unique key on purpose: an order that was sent twice shall be
	// found by counting, not be prevented.
	for _, text := range []string{
		`CREATE TABLE @items (item_no BIGINT PRIMARY KEY, price BIGINT NOT NULL, stock BIGINT NOT NULL)`,
		`CREATE TABLE @orders (order_no BIGINT NOT NULL, worker BIGINT NOT NULL, total BIGINT NOT NULL)`,
		`CREATE INDEX @orders_by_no ON @orders (order_no)`,
		`CREATE TABLE @lines (order_no BIGINT NOT NULL, item_no BIGINT NOT NULL, quantity BIGINT NOT NULL)`,
	} {
		if _, err := db.ExecContext(ctx, s.sql(text)); err != nil {
			return nil, fmt.Errorf("creating the tables: %w", err)
		}
	}
	if err := s.stock(ctx); err != nil {
		return nil, fmt.Errorf("filling the shelves: %w", err)
	}
	return s, s.prepare(ctx)
}

// sql puts the tables' prefix in the place of every @.
func (s *shop) sql(text string) string { return strings.ReplaceAll(text, "@", s.prefix+"_") }

func (s *shop) stock(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // without effect after Commit
	for item := range itemCount {
		_, err := tx.ExecContext(ctx, s.sql(`INSERT INTO @items (item_no, price, stock) VALUES ($1, $2, $3)`),
			item, priceOf(item), startingStock)
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (s *shop) prepare(ctx context.Context) error {
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&s.insertOrder, `INSERT INTO @orders (order_no, worker, total) VALUES ($1, $2, $3)`},
		{&s.insertLine, `INSERT INTO @lines (order_no, item_no, quantity) VALUES ($1, $2, $3)`},
		{&s.takeStock, `UPDATE @items SET stock = stock - $1 WHERE item_no = $2`},
		{&s.readOrder, `SELECT worker, total FROM @orders WHERE order_no = $1`},
	} {
		stmt, err := s.db.PrepareContext(ctx, s.sql(p.text))
		if err != nil {
			return fmt.Errorf("preparing the statements: %w", err)
		}
		*p.stmt = stmt
	}
	return nil
}

// drop closes the statements and drops the tables, even when ctx has ended.
func (s *shop) drop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropPatience)
	defer cancel()
	var errs []error
	for _, stmt := range []*sql.Stmt{s.insertOrder, s.insertLine, s.takeStock, s.readOrder} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	for _, table := range []string{"@lines", "@orders", "@items"} {
		if _, err := s.db.ExecContext(ctx, s.sql("DROP TABLE IF EXISTS "+table)); err != nil {
			errs = append(errs, fmt.Errorf("dropping %s: %w", s.sql(table), err))
		}
	}
	return errors.Join(errs...)
}

// order is what a customer wants.
type order struct {
	no    int
	lines [linesPerOrder]line
}

type line struct{ item, quantity int }

// makeOrder makes the order of that number: the same one in every run, so that
// all do the same work.
func makeOrder(no int) order {
	rng := rand.New(rand.NewPCG(1, uint64(no)))
	o := order{no: no}
	first := rng.IntN(itemCount)
	for i := range o.lines {
		o.lines[i] = line{item: (first + i) % itemCount, quantity: 1 + rng.IntN(mostQuantity)}
	}
	// Everybody takes stock in the same order of items: otherwise two orders
	// could wait for each other's row.
	slices.SortFunc(o.lines[:], func(a, b line) int { return cmp.Compare(a.item, b.item) })
	return o
}

func priceOf(item int) int { return 100 + 7*item }

func (o order) total() (total int) {
	for _, l := range o.lines {
		total += l.quantity * priceOf(l.item)
	}
	return total
}

// place records an order in one transaction.
func (s *shop) place(ctx context.Context, worker int, o order) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("order %d: begin: %w", o.no, err)
	}
	defer tx.Rollback() // without effect after Commit
	if _, err := tx.StmtContext(ctx, s.insertOrder).ExecContext(ctx, o.no, worker, o.total()); err != nil {
		return fmt.Errorf("order %d: %w", o.no, err)
	}
	insertLine, takeStock := tx.StmtContext(ctx, s.insertLine), tx.StmtContext(ctx, s.takeStock)
	for _, l := range o.lines {
		if _, err := insertLine.ExecContext(ctx, o.no, l.item, l.quantity); err != nil {
			return fmt.Errorf("order %d, item %d: %w", o.no, l.item, err)
		}
		if err := one(takeStock.ExecContext(ctx, l.quantity, l.item)); err != nil {
			return fmt.Errorf("order %d, stock of item %d: %w", o.no, l.item, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("order %d: commit: %w", o.no, err)
	}
	return nil
}

func one(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("%d rows changed, not 1", n))
	}
	return nil
}

// confirm reads an order back, as its customer would.
func (s *shop) confirm(ctx context.Context, worker int, o order) error {
	var by, total int
	if err := s.readOrder.QueryRowContext(ctx, o.no).Scan(&by, &total); err != nil {
		return fmt.Errorf("order %d: reading it back: %w", o.no, err)
	}
	if by != worker || total != o.total() {
		return fmt.Errorf("order %d: read back as worker %d's of %d, placed as worker %d's of %d", o.no, by, total, worker, o.total())
	}
	return nil
}
