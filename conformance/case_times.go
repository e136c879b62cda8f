package conformance

import (
	"database/sql"
	"time"
)

func timeCases() []testCase {
	return []testCase{
		{"times/instants", timesInstants},
		{"times/zones", timesZones},
		{"times/comparison in the database", timesCompared},
	}
}

// sameInstant compares to the precision of the database's type.
func (c *trial) sameInstant(a, b time.Time) bool {
	return a.Truncate(c.d.TimePrecision).Equal(b.Truncate(c.d.TimePrecision))
}

func timesInstants(c *trial) {
	roundTrip(c, c.d.Types.Time, c.sameInstant,
		time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC),
		time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC),
		time.Date(2038, 1, 19, 3, 14, 8, 123456000, time.UTC),
		time.Date(2001, 9, 9, 1, 46, 40, 1000, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
	)
}

// An instant must survive whatever zone it was written in.
func timesZones(c *trial) {
	var values []time.Time
	for _, minutes := range []int{0, 60, -300, 330, 845, -570} {
		zone := time.FixedZone("", minutes*60)
		values = append(values, time.Date(2024, 10, 27, 1, 30, 0, 250000000, zone))
	}
	roundTrip(c, c.d.Types.Time, c.sameInstant, values...)
	roundTrip(c, c.d.Types.Time, func(a, b sql.NullTime) bool {
		return a.Valid == b.Valid && c.sameInstant(a.Time, b.Time)
	}, sql.NullTime{Time: values[3], Valid: true}, sql.NullTime{})
}

// A time as an argument must compare as the instant it is.
func timesCompared(c *trial) {
	table := c.keyed("moments", c.d.Types.Time)
	noon := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	for i := range 5 {
		c.insert(c.db, table, i, noon.Add(time.Duration(i)*time.Hour))
	}
	query := c.sql("SELECT count(*) FROM %s WHERE v >= ?", table)
	equal(c, "at or after 14:00", one[int](c, c.db, query, noon.Add(2*time.Hour)), 3)
	equal(c, "at or after 17:00", one[int](c, c.db, query, noon.Add(5*time.Hour)), 0)
}
