package conformance

import (
	"bytes"
	"database/sql"
)

func blobCases() []testCase {
	return []testCase{
		{"blobs/bytes", blobsBytes},
		{"blobs/empty is not null", blobsEmpty},
		{"blobs/large", blobsLarge},
		{"blobs/scanned bytes are the caller's", blobsOwned},
		{"blobs/RawBytes", blobsRaw},
		{"blobs/RawBytes in a row", blobsRawRow},
	}
}

func everyByte() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func blobsBytes(c *trial) {
	roundTrip(c, c.d.Types.Blob, bytes.Equal, []byte("text"), []byte{0}, []byte("\xff\xfe\x00\x80"), everyByte())
}

func blobsEmpty(c *trial) {
	table := c.keyed("blobs", c.d.Types.Blob)
	c.insert(c.db, table, 1, []byte{})
	c.insert(c.db, table, 2, []byte(nil))
	query := c.sql("SELECT CASE WHEN v IS NULL THEN 'null' ELSE 'not null' END FROM %s WHERE id = ?", table)
	equal(c, "empty", one[string](c, c.db, query, 1), "not null")
	equal(c, "nil", one[string](c, c.db, query, 2), "null")
	if got := one[[]byte](c, c.db, c.sql("SELECT v FROM %s WHERE id = ?", table), 1); len(got) != 0 {
		c.Errorf("an empty blob came back as %q", got)
	} else {
		c.note("an empty blob comes back nil: %t", got == nil)
	}
}

func blobsLarge(c *trial) {
	roundTrip(c, c.d.Types.Blob, bytes.Equal, bytes.Repeat(everyByte(), 4096))
}

// fillBlobs makes a table of three blobs of different lengths.
func (c *trial) fillBlobs() (table string, want [][]byte) {
	c.Helper()
	table = c.keyed("blobs", c.d.Types.Blob)
	want = [][]byte{[]byte("first of all"), []byte("2nd"), []byte("the third")}
	for i, blob := range want {
		c.insert(c.db, table, i, blob)
	}
	return table, want
}

// What was scanned into a []byte must not change with the next row.
func blobsOwned(c *trial) {
	table, want := c.fillBlobs()
	rows, err := c.db.QueryContext(c.ctx, "SELECT v FROM "+table+" ORDER BY id")
	got := column[[]byte](c, rows, err)
	if len(got) != len(want) {
		c.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range want {
		equal(c, "kept bytes", string(got[i]), string(want[i]))
	}
}

// RawBytes are the driver's memory, good until the next call on the rows.
func blobsRaw(c *trial) {
	table, want := c.fillBlobs()
	c.insert(c.db, table, len(want), nil)
	rows, err := c.db.QueryContext(c.ctx, "SELECT v FROM "+table+" ORDER BY id")
	c.must("query", err)
	defer rows.Close()
	var raw sql.RawBytes
	for i := 0; rows.Next(); i++ {
		c.must("Scan", rows.Scan(&raw))
		switch {
		case i == len(want):
			if raw != nil {
				c.Errorf("NULL as RawBytes: %q, want nil", raw)
			}
		default:
			equal(c, "RawBytes", string(raw), string(want[i]))
		}
	}
	c.must("Rows.Err", rows.Err())
}

func blobsRawRow(c *trial) {
	table, _ := c.fillBlobs()
	var raw sql.RawBytes
	err := c.db.QueryRowContext(c.ctx, "SELECT v FROM "+table+" ORDER BY id").Scan(&raw)
	c.wantText("Row.Scan", err, "sql: RawBytes isn't allowed on Row.Scan")
}
