package conformance

import "sync"

func loadCases() []testCase {
	return []testCase{
		{"load/transactions add up", loadTransactions},
		{"load/mixed work", loadMixed},
	}
}

const (
	loadWorkers = 8
	loadRounds  = 20
)

// workers runs the function on many goroutines at once and reports their errors.
func (c *trial) workers(do func(worker int) error) {
	c.Helper()
	var wg sync.WaitGroup
	for worker := range loadWorkers {
		wg.Go(func() {
			if err := do(worker); err != nil {
				c.Errorf("worker %d: %v", worker, err)
			}
		})
	}
	wg.Wait()
}

// Every transaction adds one to a common counter and one to its worker's; every
// third is rolled back. A lost, doubled or half-done one makes the sums wrong.
func loadTransactions(c *trial) {
	table := c.keyed("counters", c.d.Types.Int)
	const common = 100
	c.insert(c.db, table, common, 0)
	for worker := range loadWorkers {
		c.insert(c.db, table, worker, 0)
	}
	c.db.SetMaxOpenConns(loadWorkers / 2)
	update := c.sql("UPDATE %s SET v = v + 1 WHERE id = ?", table)
	c.workers(func(worker int) error {
		for i := range loadRounds {
			tx, err := c.db.BeginTx(c.ctx, nil)
			if err != nil {
				return err
			}
			defer tx.Rollback()
			for _, id := range []int{common, worker} {
				if _, err := tx.ExecContext(c.ctx, update, id); err != nil {
					return err
				}
			}
			end := tx.Commit
			if i%3 == 2 {
				end = tx.Rollback
			}
			if err := end(); err != nil {
				return err
			}
		}
		return nil
	})
	const each = loadRounds - loadRounds/3
	equal(c, "common counter", one[int](c, c.db, c.sql("SELECT v FROM %s WHERE id = ?", table), common), loadWorkers*each)
	rows, err := c.db.QueryContext(c.ctx, c.sql("SELECT v FROM %s WHERE id < ?", table), common)
	for _, n := range column[int](c, rows, err) {
		equal(c, "worker's counter", n, each)
	}
}

// Readers, writers and prepared statements share few connections, and every
// answer is the right one.
func loadMixed(c *trial) {
	_, query := c.tens()
	log := c.keyed("log", c.d.Types.Int)
	c.db.SetMaxOpenConns(loadWorkers / 2)
	stmt := c.prepare(c.db, query)
	defer stmt.Close()
	insert := c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", log)
	read := func(round, id int) (got int, err error) {
		switch round % 3 {
		case 0:
			err = stmt.QueryRowContext(c.ctx, id).Scan(&got)
			return got, err
		case 1:
			err = c.db.QueryRowContext(c.ctx, query, id).Scan(&got)
			return got, err
		}
		conn, err := c.db.Conn(c.ctx)
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		err = conn.QueryRowContext(c.ctx, query, id).Scan(&got)
		return got, err
	}
	c.workers(func(worker int) error {
		for i := range loadRounds {
			id := (worker + i) % 10
			got, err := read(i, id)
			if err != nil {
				return err
			}
			if got != 10*id {
				c.Errorf("asked for %d, got %d", 10*id, got)
			}
			if _, err := c.db.ExecContext(c.ctx, insert, worker*1000+i, got); err != nil {
				return err
			}
		}
		return nil
	})
	equal(c, "written", c.count(c.db, log), loadWorkers*loadRounds)
	equal(c, "sum", one[int](c, c.db, "SELECT sum(v) FROM "+log), loadWorkers*loadRounds*45)
}
