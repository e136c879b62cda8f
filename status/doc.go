// Package status shows the pools of a process: a page for people, the same as
// JSON for programs, and a readiness endpoint for orchestrators. It is mounted on
// a debug mux, under any prefix that ends in a slash:
//
//	mux.Handle("/debug/nimue/", status.Handler())
//
// # What is served
//
//	…/             the page. It is complete without scripts; with them it updates
//	               itself every second while somebody looks. ?pool=name shows one
//	               pool; ?refresh=5 reloads every 5 s where scripts are off.
//	…/status.json  a [Report]. ?pool=name: of one pool.
//	…/ready        200 while every pool is ready or degraded, 503 when one is down,
//	               with the reason; text, or JSON where the request accepts that.
//	               ?pool=name: of one pool, which is down where there is none.
//	…/control      POST: what the page's buttons do, if [AllowControl] says so.
//
// Who holds a connection and with what statement is recorded only while somebody
// looks: a request for the page or for status.json has it recorded for the next
// seconds, so that leases begun before the first request show neither. A request
// for ready does not, however often it is made.
//
// # Who may see it
//
// The page shows no password, no argument of a statement and no literal in one.
// It does show table names, code and the shape of the load, so it belongs where
// profiles belong: on a listener of its own, or behind whatever authenticates
// operators. The handler authenticates nobody. Buttons are off unless the program
// asks for them; they are guarded against requests that other sites have a browser
// make, but whoever reaches the page can press them.
//
// # The JSON
//
// Its shape is [Report], and its version is in it. Within a version fields may be
// added; none is removed or changes its meaning. Durations are decimal numbers of
// seconds, exact to the nanosecond, and their names end in _seconds, as do those of
// objects that hold nothing else; times are as in RFC 3339. What is unknown or not
// there is left out.
package status
