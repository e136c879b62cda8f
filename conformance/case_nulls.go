package conformance

import (
	"database/sql"
	"time"
)

func nullCases() []testCase {
	return []testCase{
		{"nulls/Null types", nullsClassic},
		{"nulls/sql.Null", nullsGeneric},
		{"nulls/pointers", nullsPointers},
		{"nulls/into plain types", nullsIntoPlain},
	}
}

func nullsClassic(c *trial) {
	t := &c.d.Types
	roundTrip(c, t.Text, same, sql.NullString{String: "text", Valid: true}, sql.NullString{Valid: true}, sql.NullString{})
	roundTrip(c, t.Int, same, sql.NullInt64{Int64: -5, Valid: true}, sql.NullInt64{})
	roundTrip(c, t.Int, same, sql.NullInt32{Int32: -5, Valid: true}, sql.NullInt32{})
	roundTrip(c, t.Int, same, sql.NullInt16{Int16: -5, Valid: true}, sql.NullInt16{})
	roundTrip(c, t.Int, same, sql.NullByte{Byte: 5, Valid: true}, sql.NullByte{})
	roundTrip(c, t.Float, same, sql.NullFloat64{Float64: 0.5, Valid: true}, sql.NullFloat64{})
	roundTrip(c, t.Bool, same, sql.NullBool{Bool: true, Valid: true}, sql.NullBool{Valid: true}, sql.NullBool{})
}

func nullsGeneric(c *trial) {
	t := &c.d.Types
	roundTrip(c, t.Text, same, sql.Null[string]{V: "text", Valid: true}, sql.Null[string]{})
	roundTrip(c, t.Int, same, sql.Null[int64]{V: 9, Valid: true}, sql.Null[int64]{})
	roundTrip(c, t.Float, same, sql.Null[float64]{V: 0.5, Valid: true}, sql.Null[float64]{})
	roundTrip(c, t.Bool, same, sql.Null[bool]{V: true, Valid: true}, sql.Null[bool]{})
	moment := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	roundTrip(c, t.Time, func(a, b sql.Null[time.Time]) bool {
		return a.Valid == b.Valid && c.sameInstant(a.V, b.V)
	}, sql.Null[time.Time]{V: moment, Valid: true}, sql.Null[time.Time]{})
}

func nullsPointers(c *trial) {
	table := c.keyed("pointers", c.d.Types.Text)
	text := "there"
	c.insert(c.db, table, 1, &text)
	c.insert(c.db, table, 2, nil)
	rows, err := c.db.QueryContext(c.ctx, "SELECT v FROM "+table+" ORDER BY id")
	got := column[*string](c, rows, err)
	if len(got) != 2 || got[0] == nil || *got[0] != text || got[1] != nil {
		c.Errorf("got %v, want a pointer to %q and nil", got, text)
	}
	if raw := one[any](c, c.db, c.sql("SELECT v FROM %s WHERE id = ?", table), 2); raw != nil {
		c.Errorf("NULL as any: %T, want nil", raw)
	}
	bytes := one[[]byte](c, c.db, c.sql("SELECT v FROM %s WHERE id = ?", table), 2)
	if bytes != nil {
		c.Errorf("NULL as []byte: %q, want nil", bytes)
	}
}

// A NULL has no place in a plain type, and must not become its zero value.
func nullsIntoPlain(c *trial) {
	table := c.keyed("nulls", c.d.Types.Text)
	c.insert(c.db, table, 1, nil)
	query := "SELECT v FROM " + table
	var (
		text   string
		number int
		yes    bool
		moment time.Time
	)
	c.refused("into string", c.db.QueryRowContext(c.ctx, query).Scan(&text))
	c.refused("into int", c.db.QueryRowContext(c.ctx, query).Scan(&number))
	c.refused("into bool", c.db.QueryRowContext(c.ctx, query).Scan(&yes))
	c.refused("into time.Time", c.db.QueryRowContext(c.ctx, query).Scan(&moment))
}
