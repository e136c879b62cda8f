package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue"
)

// session is one run's database and what the application saw of it.
type session struct {
	db      *sql.DB
	driver  *testDriver
	ctx     context.Context
	through bool
	seen    []string
}

func (s *session) see(format string, args ...any) {
	s.seen = append(s.seen, fmt.Sprintf(format, args...))
}

// seeErr notes an error's text, type and identities.
func (s *session) seeErr(what string, err error) {
	line := fmt.Sprintf("%s: %T %v", what, err, err)
	for _, known := range []error{driver.ErrBadConn, driver.ErrSkip, driver.ErrRemoveArgument, context.Canceled,
		context.DeadlineExceeded, sql.ErrConnDone, sql.ErrTxDone, sql.ErrNoRows, errTest, errArgument} {
		if errors.Is(err, known) {
			line += fmt.Sprintf(", is %q", known)
		}
	}
	s.see("%s", line)
}

func (s *session) seeResult(what string, r sql.Result, err error) {
	s.seeErr(what, err)
	if err != nil {
		return
	}
	id, err := r.LastInsertId()
	s.seeErr(fmt.Sprintf("%s: id %d", what, id), err)
	n, err := r.RowsAffected()
	s.seeErr(fmt.Sprintf("%s: %d rows", what, n), err)
}

// seeRows reads everything that rows have to tell.
func (s *session) seeRows(what string, rows *sql.Rows, err error) {
	s.seeErr(what, err)
	if err != nil {
		return
	}
	synctest.Wait() // a context that has ended closes them from a goroutine
	for set := true; set; set = rows.NextResultSet() {
		types, err := rows.ColumnTypes()
		s.seeErr(what+": types", err)
		for _, ct := range types {
			length, hasLength := ct.Length()
			nullable, hasNullable := ct.Nullable()
			precision, scale, hasDecimal := ct.DecimalSize()
			s.see("%s: column %q %q %v, %d %t, %t %t, %d %d %t", what, ct.Name(), ct.DatabaseTypeName(), ct.ScanType(),
				length, hasLength, nullable, hasNullable, precision, scale, hasDecimal)
		}
		for rows.Next() {
			var set, row int
			var echo string
			err := rows.Scan(&set, &row, &echo)
			s.seeErr(fmt.Sprintf("%s: row %d %d %s", what, set, row, echo), err)
		}
	}
	s.seeErr(what+": end", rows.Err())
	s.seeErr(what+": close", rows.Close())
}

// operator is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type operator interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

func (s *session) execOn(on operator, query string, args ...any) {
	r, err := on.ExecContext(s.ctx, query, args...)
	s.seeResult("exec "+query, r, err)
}

func (s *session) queryOn(on operator, query string, args ...any) {
	rows, err := on.QueryContext(s.ctx, query, args...)
	s.seeRows("query "+query, rows, err)
}

func (s *session) exec(query string, args ...any)  { s.execOn(s.db, query, args...) }
func (s *session) query(query string, args ...any) { s.queryOn(s.db, query, args...) }

// prepared prepares on and hands the statement to use.
func (s *session) prepared(on operator, query string, use func(*sql.Stmt)) {
	st, err := on.PrepareContext(s.ctx, query)
	s.seeErr("prepare "+query, err)
	if err == nil {
		use(st)
		s.seeErr("close "+query, st.Close())
	}
}

func (s *session) stmtExec(st *sql.Stmt, args ...any) {
	r, err := st.ExecContext(s.ctx, args...)
	s.seeResult("stmt exec", r, err)
}

func (s *session) stmtQuery(st *sql.Stmt, args ...any) {
	rows, err := st.QueryContext(s.ctx, args...)
	s.seeRows("stmt query", rows, err)
}

// cancellable gives f a context that the driver's "is-cancelled" ends.
func (s *session) cancellable(f func(ctx context.Context, cancel context.CancelFunc)) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.driver.cancel = cancel
	f(ctx, cancel)
	synctest.Wait()
}

// held takes a *sql.Conn for f and makes an operation on it first, since nimue
// leases a connection no earlier.
func (s *session) held(f func(c *sql.Conn)) {
	c, err := s.db.Conn(s.ctx)
	s.seeErr("conn", err)
	if err != nil {
		return
	}
	s.execOn(c, "first")
	f(c)
	s.seeErr("close conn", c.Close())
}

// raw calls f with the inner connection.
func (s *session) raw(c *sql.Conn, f func(inner driver.Conn) error) error {
	if s.through {
		return nimue.Raw(c, f)
	}
	return c.Raw(func(dc any) error { return f(dc.(driver.Conn)) })
}

// begin opens a transaction for f, which ends it.
func (s *session) begin(ctx context.Context, opts *sql.TxOptions, f func(tx *sql.Tx)) {
	tx, err := s.db.BeginTx(ctx, opts)
	s.seeErr("begin", err)
	if err == nil {
		f(tx)
	}
}

// The application's argument types.
type (
	number    int8
	valuer    struct{ v any }
	nullable  struct{ n int64 } // its pointer is a Valuer by way of the value
	byPointer struct{ n int64 }
)

func (v valuer) Value() (driver.Value, error) {
	if err, ok := v.v.(error); ok {
		return nil, err
	}
	return v.v, nil
}

func (n nullable) Value() (driver.Value, error) { return n.n, nil }

func (p *byPointer) Value() (driver.Value, error) {
	if p == nil {
		return "a nil pointer that knows its value", nil
	}
	return p.n, nil
}

// ending is an argument that ends the operation's context while it is converted.
type ending struct{ driver *testDriver }

func (e ending) Value() (driver.Value, error) { e.driver.cancel(); return "ending", nil }

var five = 5

// arguments are tried one by one, in every way that takes arguments; args_test.go
// has many more.
var arguments = []any{
	int8(-3), uint64(math.MaxUint64), "text", nil, time.Unix(1, 2).UTC(), &five, valuer{errTest}, (*nullable)(nil),
	sql.Named("name", 11), []int{1}, int64(math.MaxInt32) + 1, counted{}, removed{}, refused{}, badOnce("exec"),
}

// json is bytes under another name.
type json []byte
