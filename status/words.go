package status

// Holder names the function that took a leased connection and says where it is, as
// file:line: the first that belongs neither to database/sql nor to nimue. Both are
// empty where that is not known.
func (c Conn) Holder() (function, place string) { return holder(c.Stack) }

// Words says what is known of an event, beside its kind and time, in a line.
func (e Event) Words() string { return describe(e) }

// Grave tells that somebody should look at an event.
func (e Event) Grave() bool { return bad[e.Kind] == "bad" || bad[e.Kind] == "worse" }
