package conformance

import (
	"database/sql"
	"errors"
	"fmt"
)

func argumentCases() []testCase {
	return []testCase{
		{"arguments/positional", argumentsPositional},
		{"arguments/named", argumentsNamed},
		{"arguments/named where there are none", argumentsNamedUnsupported},
		{"arguments/too few", argumentsTooFew},
		{"arguments/too many", argumentsTooMany},
		{"arguments/unsupported types", argumentsUnsupported},
	}
}

// pair makes a table of two text columns and the statement that inserts both.
func (c *trial) pair() (table, insert string) {
	c.Helper()
	table = c.table("pairs", fmt.Sprintf("a %s, b %s", c.d.Types.Text, c.d.Types.Text))
	return table, c.sql("INSERT INTO %s (a, b) VALUES (?, ?)", table)
}

func argumentsPositional(c *trial) {
	table, insert := c.pair()
	c.exec(c.db, insert, "first", "second")
	rows, err := c.db.QueryContext(c.ctx, c.sql("SELECT b FROM %s WHERE a = ? AND b <> ?", table), "first", "other")
	got := column[string](c, rows, err)
	if len(got) != 1 || got[0] != "second" {
		c.Errorf("got %q, want the second argument in the second column", got)
	}
	c.note("%q", got)
}

func argumentsNamed(c *trial) {
	c.skipUnless(c.d.Named != nil, "has no named parameters")
	table, _ := c.pair()
	insert := fmt.Sprintf("INSERT INTO %s (a, b) VALUES (%s, %s)", table, c.d.Named("alpha"), c.d.Named("beta"))
	// In the other order, so that a driver that goes by position is found out.
	c.exec(c.db, insert, sql.Named("beta", "of beta"), sql.Named("alpha", "of alpha"))
	equal(c, "a", one[string](c, c.db, "SELECT a FROM "+table), "of alpha")
	equal(c, "b", one[string](c, c.db, "SELECT b FROM "+table), "of beta")

	stmt, err := c.db.PrepareContext(c.ctx, fmt.Sprintf("SELECT b FROM %s WHERE a = %s", table, c.d.Named("wanted")))
	c.must("Prepare", err)
	defer stmt.Close()
	var got string
	c.must("Stmt.QueryRow", stmt.QueryRowContext(c.ctx, sql.Named("wanted", "of alpha")).Scan(&got))
	equal(c, "prepared", got, "of beta")

	_, err = c.db.ExecContext(c.ctx, insert, sql.Named("beta", 1), sql.Named("gamma", 2))
	c.refused("a name that the statement lacks", err)
	_, err = c.db.ExecContext(c.ctx, insert, sql.Named("1", 1), sql.Named("beta", 2))
	c.refused("a name that is none", err)
}

// A driver without named parameters may refuse a named argument or take it by
// its position. Which of them is up to the driver; it is recorded.
func argumentsNamedUnsupported(c *trial) {
	c.skipUnless(c.d.Named == nil, "has named parameters")
	table, insert := c.pair()
	_, err := c.db.ExecContext(c.ctx, insert, sql.Named("a", "of a"), sql.Named("b", "of b"))
	c.noteErr("Exec", err)
	c.note("rows: %d", c.count(c.db, table))
	_, err = c.db.ExecContext(c.ctx, insert, sql.Named("1", "of 1"), sql.Named("b", "of b"))
	c.refused("a name that is none", err)
	c.usable("named arguments")
}

func argumentsTooFew(c *trial) { c.argumentCount(true, "one") }

func argumentsTooMany(c *trial) {
	refuses := !c.d.ExtraArgumentsIgnored
	c.argumentCount(refuses, "one", "two", "three")
	table := c.keyed("plain", c.d.Types.Text)
	_, err := c.db.ExecContext(c.ctx, "DELETE FROM "+table, "one")
	if refuses && err == nil {
		c.Errorf("an argument for no parameter: no error")
	}
	c.noteErr("Exec without parameters", err)
}

// argumentCount sends a wrong number of arguments every way there is.
func (c *trial) argumentCount(refuses bool, args ...any) {
	table, insert := c.pair()
	query := c.sql("SELECT a FROM %s WHERE a = ? AND b = ?", table)
	check := func(what string, err error) {
		if refuses && (err == nil || errors.Is(err, sql.ErrNoRows)) {
			c.Errorf("%s with %d arguments for 2 parameters: %v", what, len(args), err)
		}
		c.noteErr(what, err)
	}
	_, err := c.db.ExecContext(c.ctx, insert, args...)
	check("Exec", err)
	check("QueryRow", c.db.QueryRowContext(c.ctx, query, args...).Scan(new(string)))

	stmt := c.prepare(c.db, insert)
	defer stmt.Close()
	_, err = stmt.ExecContext(c.ctx, args...)
	check("Stmt.Exec", err)
	ask := c.prepare(c.db, query)
	defer ask.Close()
	check("Stmt.QueryRow", ask.QueryRowContext(c.ctx, args...).Scan(new(string)))

	if refuses {
		equal(c, "rows", c.count(c.db, table), 0)
	}
	c.usable("the wrong number of arguments")
}

func argumentsUnsupported(c *trial) {
	table := c.keyed("unsupported", c.d.Types.Text)
	insert := c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table)
	stmt, err := c.db.PrepareContext(c.ctx, insert)
	c.must("Prepare", err)
	defer stmt.Close()
	for _, arg := range []any{
		make(chan int),
		func() {},
		complex(1, 2),
	} {
		_, err := c.db.ExecContext(c.ctx, insert, 1, arg)
		c.refused(fmt.Sprintf("Exec with a %T", arg), err)
		_, err = stmt.ExecContext(c.ctx, 1, arg)
		c.refused(fmt.Sprintf("Stmt.Exec with a %T", arg), err)
	}
	equal(c, "rows", c.count(c.db, table), 0)
	c.usable("an unsupported argument")
}
