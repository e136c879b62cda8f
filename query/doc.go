// Package query declares queries once, with the type of their rows, and asks them
// anywhere:
//
//	type Customer struct {
//		ID    int
//		Name  string
//		Email *string // may be NULL
//	}
//
//	var (
//		customer  = query.Declare[Customer]("SELECT id, name, email FROM customers WHERE id = $1")
//		customers = query.Declare[Customer]("SELECT id, name, email FROM customers ORDER BY name")
//		howMany   = query.Declare[int]("SELECT count(*) FROM customers")
//		remove    = query.DeclareExec("DELETE FROM customers WHERE id = $1")
//	)
//
//	c, err := customer.Unique(ctx, db, 52)
//	all, err := customers.All(ctx, db)
//	n, err := howMany.Value(ctx, db)
//	removed, err := remove.Exec(ctx, db, 52)
//
// db is a *sql.DB, a *sql.Conn or a *sql.Tx, of nimue's or any other. The SQL text
// goes to the driver as it is, with the driver's own placeholders. A declaration may
// be used from any goroutine.
//
// # Rows
//
// T is a struct, a map[string]V, or a single value: a basic type, a []byte, a
// time.Time, a sql.Scanner, or a pointer to one of these, which is nil for NULL. The
// scanning is that of github.com/georgysavva/scany. A column goes to the field whose
// db tag it is, or whose name is the same in snake case: customer_id to CustomerID.
// Fields of a struct in a struct are reached by "outer.inner", those of an embedded
// one as if they were the outer's own. A column without a field is an error, even
// when there are no rows, and so are two columns of one name. A field without a
// column keeps its zero value.
//
// # Errors
//
// Each names the place of the declaration, such as customers.go:12, but neither the
// SQL text nor the arguments, where secrets may be. It unwraps to what the driver
// said, or to sql.ErrNoRows, [ErrTooManyRows], [ErrMismatch] or a [*ColumnError].
//
// How many arguments a text takes, only its database knows for certain: its own
// complaint is passed on, with the number that was given. More arguments than the
// text can have placeholders are refused before anything is sent, since SQLite
// ignores them.
package query
