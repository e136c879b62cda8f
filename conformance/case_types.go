package conformance

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strings"
)

func typeCases() []testCase {
	return []testCase{
		{"types/integers", typesIntegers},
		{"types/unsigned", typesUnsigned},
		{"types/unsigned too large", typesUnsignedTooLarge},
		{"types/floats", typesFloats},
		{"types/bools", typesBools},
		{"types/strings", typesStrings},
		{"types/named types", typesNamed},
		{"types/pointers", typesPointers},
		{"types/valuer", typesValuer},
		{"types/valuer that fails", typesValuerFails},
		{"types/scan into other types", typesConversions},
	}
}

// roundTrip stores each value, once directly and once by a prepared statement,
// and expects to read it back. It records what the driver itself returned.
func roundTrip[T any](c *trial, columnType string, same func(a, b T) bool, values ...T) {
	c.Helper()
	table := c.keyed(fmt.Sprintf("trip%d", len(c.tables)), columnType)
	insert := c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table)
	query := c.sql("SELECT v FROM %s WHERE id = ?", table)
	stmt, err := c.db.PrepareContext(c.ctx, insert)
	c.must("Prepare", err)
	defer stmt.Close()
	for i, want := range values {
		c.exec(c.db, insert, 2*i, want)
		_, err := stmt.ExecContext(c.ctx, 2*i+1, want)
		c.must("Stmt.Exec", err)
		for id := 2 * i; id <= 2*i+1; id++ {
			if got := one[T](c, c.db, query, id); !same(got, want) {
				c.Errorf("%T: got %s, want %s", want, show(got), show(want))
			}
		}
		raw := one[any](c, c.db, query, 2*i)
		c.note("%T %s is stored as %T %s", want, show(want), raw, show(raw))
	}
}

func same[T comparable](a, b T) bool { return a == b }

func typesIntegers(c *trial) {
	roundTrip(c, c.d.Types.Int, same, 0, 1, -1, math.MinInt32, math.MaxInt32)
	roundTrip(c, c.d.Types.Int, same[int8], 0, math.MinInt8, math.MaxInt8)
	roundTrip(c, c.d.Types.Int, same[int16], 0, math.MinInt16, math.MaxInt16)
	roundTrip(c, c.d.Types.Int, same[int32], 0, math.MinInt32, math.MaxInt32)
	roundTrip(c, c.d.Types.Int, same[int64], 0, math.MinInt64, math.MaxInt64)
}

func typesUnsigned(c *trial) {
	roundTrip(c, c.d.Types.Int, same[uint], 0, math.MaxUint32)
	roundTrip(c, c.d.Types.Int, same[uint8], 0, math.MaxUint8)
	roundTrip(c, c.d.Types.Int, same[uint16], 0, math.MaxUint16)
	roundTrip(c, c.d.Types.Int, same[uint32], 0, math.MaxUint32)
	roundTrip(c, c.d.Types.Int, same[uint64], 0, math.MaxInt64)
}

// A number that the column cannot hold must not be stored as another one.
func typesUnsignedTooLarge(c *trial) {
	table := c.keyed("large", c.d.Types.Int)
	_, err := c.db.ExecContext(c.ctx, c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table), 1, uint64(math.MaxUint64))
	c.refused("uint64 with its high bit set", err)
	equal(c, "rows", c.count(c.db, table), 0)
}

func typesFloats(c *trial) {
	roundTrip(c, c.d.Types.Float, same, 0, 1.5, -2.25, math.Pi, 1e300, 1e-300)
	roundTrip(c, c.d.Types.Float, same[float32], 0, 0.1, math.MaxFloat32)
}

func typesBools(c *trial) {
	roundTrip(c, c.d.Types.Bool, same, true, false)
}

func typesStrings(c *trial) {
	roundTrip(c, c.d.Types.Text, same,
		"", " ", "plain", "it's \"quoted\" \\back\\", "tab\tline\nreturn\r", "% _ ? $1 :name @p -- /* ;",
		"naïve Ω 日本語 🦄 e\u0301", strings.Repeat("long ", 50_000))
}

type (
	count  int64
	ratio  float64
	word   string
	packet []byte
)

func typesNamed(c *trial) {
	roundTrip(c, c.d.Types.Int, same[count], 7, -7)
	roundTrip(c, c.d.Types.Float, same[ratio], 0.25)
	roundTrip(c, c.d.Types.Text, same[word], "", "a word")
	roundTrip(c, c.d.Types.Blob, func(a, b packet) bool { return string(a) == string(b) }, packet("\x00\xff"))
}

func typesPointers(c *trial) {
	number, text := 42, "pointed at"
	pointer := &number
	table := c.keyed("pointers", c.d.Types.Int)
	c.insert(c.db, table, 1, pointer)
	c.insert(c.db, table, 2, &pointer)
	c.insert(c.db, table, 3, (*int)(nil))
	query := c.sql("SELECT v FROM %s WHERE id = ?", table)
	equal(c, "pointer", one[int](c, c.db, query, 1), number)
	equal(c, "pointer to pointer", one[int](c, c.db, query, 2), number)
	if got := one[*int](c, c.db, query, 3); got != nil {
		c.Errorf("a nil pointer came back as %d, want NULL", *got)
	}
	texts := c.keyed("texts", c.d.Types.Text)
	c.insert(c.db, texts, 1, &text)
	if got := one[*string](c, c.db, c.sql("SELECT v FROM %s", texts)); got == nil || *got != text {
		c.Errorf("scan into a *string: got %v, want %q", got, text)
	}
}

// label is stored as one text.
type label struct{ area, name string }

func (l label) Value() (driver.Value, error) { return l.area + "/" + l.name, nil }

func (l *label) Scan(src any) error {
	var text string
	switch src := src.(type) {
	case string:
		text = src
	case []byte:
		text = string(src)
	default:
		return fmt.Errorf("a label cannot be made of %T", src)
	}
	l.area, l.name, _ = strings.Cut(text, "/")
	return nil
}

func typesValuer(c *trial) {
	roundTrip(c, c.d.Types.Text, same, label{"north", "gate"}, label{"", ""})
	table := c.keyed("labels", c.d.Types.Text)
	c.insert(c.db, table, 1, &label{"south", "wall"})
	c.insert(c.db, table, 2, (*label)(nil)) // database/sql's special case: NULL, not a nil dereference
	query := c.sql("SELECT v FROM %s WHERE id = ?", table)
	equal(c, "pointer to a Valuer", one[label](c, c.db, query, 1), label{"south", "wall"})
	if got := one[*string](c, c.db, query, 2); got != nil {
		c.Errorf("a nil pointer to a Valuer came back as %q, want NULL", *got)
	}
}

var errValuer = errors.New("the valuer cannot")

type failingValuer struct{}

func (failingValuer) Value() (driver.Value, error) { return nil, errValuer }

type oddValuer struct{}

func (oddValuer) Value() (driver.Value, error) { return struct{ odd int }{1}, nil }

func typesValuerFails(c *trial) {
	table := c.keyed("labels", c.d.Types.Text)
	insert := c.sql("INSERT INTO %s (id, v) VALUES (?, ?)", table)
	_, err := c.db.ExecContext(c.ctx, insert, 1, failingValuer{})
	c.wantErr("a Valuer that returns an error", err, errValuer)
	_, err = c.db.ExecContext(c.ctx, insert, 2, oddValuer{})
	c.refused("a Valuer that returns what no driver.Value is", err)
	equal(c, "rows", c.count(c.db, table), 0)
	c.usable("a failing Valuer")
}

// typesConversions reads values into Go types that they do not have, which
// database/sql converts by itself.
func typesConversions(c *trial) {
	table := c.table("conversions", fmt.Sprintf("i %s, t %s, f %s", c.d.Types.Int, c.d.Types.Text, c.d.Types.Float))
	c.exec(c.db, c.sql("INSERT INTO %s (i, t, f) VALUES (?, ?, ?)", table), 17, "23", 2.5)
	equal(c, "integer as string", one[string](c, c.db, "SELECT i FROM "+table), "17")
	equal(c, "integer as bytes", string(one[[]byte](c, c.db, "SELECT i FROM "+table)), "17")
	equal(c, "integer as float64", one[float64](c, c.db, "SELECT i FROM "+table), 17)
	equal(c, "integer as uint8", one[uint8](c, c.db, "SELECT i FROM "+table), 17)
	equal(c, "text as int", one[int](c, c.db, "SELECT t FROM "+table), 23)
	equal(c, "text as bytes", string(one[[]byte](c, c.db, "SELECT t FROM "+table)), "23")
	equal(c, "float as string", one[string](c, c.db, "SELECT f FROM "+table), "2.5")
}
