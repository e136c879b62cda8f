package nimue

import "database/sql/driver"

// result is an inner driver.Result whose values were taken while the lease was
// held: database/sql asks for them after it has given the connection back.
type result struct {
	id, rows       int64
	idErr, rowsErr error
}

// settled returns r with its values taken, or r itself where it is plain data.
func settled(r driver.Result) driver.Result {
	switch r.(type) {
	case nil, driver.RowsAffected:
		return r
	}
	if r == driver.ResultNoRows {
		return r
	}
	s := &result{}
	s.id, s.idErr = r.LastInsertId()
	s.rows, s.rowsErr = r.RowsAffected()
	return s
}

// LastInsertId returns what the inner result said.
func (r *result) LastInsertId() (int64, error) { return r.id, r.idErr }

// RowsAffected returns what the inner result said.
func (r *result) RowsAffected() (int64, error) { return r.rows, r.rowsErr }
