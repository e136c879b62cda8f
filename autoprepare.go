package nimue

import (
	"database/sql/driver"
	"errors"
	"strings"
	"time"
)

// This file decides which plain statements go through the statement cache when
// pool_auto_prepare is on: those of which a prepared execution is the same to the
// caller in everything but time. What is not certain stays plain.

// longestPrepared is the longest text that is prepared by itself. Longer ones are
// built for one use as a rule, and a cache full of them would be heavy.
const longestPrepared = 8 << 10

// errNotPrepared says that a statement cannot go through the cache this time, and
// that nothing has been executed.
var errNotPrepared = errors.New("not prepared")

// autoPrepares tells whether a plain statement is to go through the cache.
func (c *Conn) autoPrepares(query string, args []driver.NamedValue) bool {
	if len(args) == 0 || !c.pool.AutoPrepare() {
		return false
	}
	c.look(query)
	return c.text.single && plainArgs(args)
}

// plainArgs tells whether the arguments are values and nothing but values. A
// driver may take others for instructions, as pgx does its QueryExecMode, and only
// with plain statements.
func plainArgs(args []driver.NamedValue) bool {
	for i := range args {
		if args[i].Name != "" {
			return false
		}
		switch args[i].Value.(type) {
		case nil, bool, string, []byte, time.Time, driver.Valuer,
			int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
		default:
			return false
		}
	}
	return true
}

// isSingle tells whether the text is certainly one statement, of a kind that can
// be prepared anywhere.
func isSingle(query string) bool {
	if len(query) > longestPrepared {
		return false
	}
	i := skipBlank(query)
	end := i
	for end < len(query) && isLetter(query[end]) {
		end++
	}
	switch strings.ToUpper(query[i:end]) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "WITH", "VALUES":
	default:
		return false
	}
	// A semicolon may stand in a literal; then the statement stays plain.
	rest := query[end:]
	at := strings.IndexByte(rest, ';')
	return at < 0 || strings.TrimLeft(rest[at:], "; \t\r\n") == ""
}
