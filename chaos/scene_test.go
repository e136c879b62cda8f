package chaos

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// backend is a database server that a test may do anything to. What it does goes
// over connections of its own, past any proxy.
type backend interface {
	words() dialect
	address() string
	// target is where application app connects to, by way of an address.
	target(tb testing.TB, address, app string) target
	// admit prepares the server for an application of that name.
	admit(tb testing.TB, app string)
	exec(tb testing.TB, query string)
	rows(tb testing.TB, table string) map[row]int
	// sessions are the ids by which the server knows the application's connections.
	sessions(tb testing.TB, app string) []int
	// terminate ends sessions, and returns when the application's sockets know.
	terminate(tb testing.TB, ids ...int)
}

// path is what lies between the application and the server.
type path int

const (
	direct path = iota
	viaRelay
	viaToxic
)

// scene is one contender's turn at one fault.
type scene struct {
	testing.TB
	backend backend
	app     string // by which the server knows this contender's sessions
	c       *contender
	load    *load
	relay   *relay
	toxic   *toxic
	cutAt   time.Time // by then all that was in flight had broken; see cut
	remark  string    // for the table, beside errors and waits
	outlast bool      // the outage has lasted so long that nimue may have told callers of it
}

// fault is something that goes wrong under load, and passes.
type fault struct {
	name     string
	deadline time.Duration // of every statement; 10 s if not set
	workers  int           // 32 if not set
	path     path
	params   string            // of nimue's, beyond its defaults
	cold     bool              // nothing is opened before the load is
	before   func(s *scene)    // what is done before the load, while all connections are warm and idle
	strike   func(s *scene)    // brings the fault about and ends it, while the load flows
	capacity int               // what the application can have afterwards; 16 if not set
	allowed  int               // how many failures nimue's application may see
	kinds    func(string) bool // which; broken ones, begun before the cut, if not set
	after    func(s *scene, r *report)
}

// run has each contender suffer the fault in turn.
func (f fault) run(t *testing.T, section string, b backend, contenders []opener) {
	t.Run(slug(f.name), func(t *testing.T) {
		each(t, contenders, func(t *testing.T, o opener) { f.runOne(t, section, b, o) })
	})
}

func (f fault) runOne(t *testing.T, section string, b backend, o opener) {
	s, r, again := f.play(t, b, o)
	text := cell(r)
	if s.remark != "" {
		text += "; " + s.remark
	}
	books := reconcile(b.rows(t, s.table()), r)
	if books != "" {
		text += "; " + books
	}
	if !again {
		text += "; not well afterwards"
	}
	results.add(section, f.name, o.name, text)
	t.Logf("%s: %s; %d writes acknowledged, %d reads", o.name, text, len(r.acknowledged), r.reads)
	if o.name != isNimue {
		return
	}
	if !again {
		t.Errorf("not every worker was well again within %v%s%s", patience, r.errorTexts(), poolState(s.c))
	}
	if books != "" {
		t.Errorf("the books: %s", books)
	}
	f.judge(t, s, r)
	if f.after != nil {
		f.after(s, r)
	}
	verifyAtRest(t, s.c)
	n := f.capacity
	if n == 0 {
		n = conns
	}
	verifyCapacity(t, s.c, n)
	verifyAtRest(t, s.c)
}

// end closes the contender, nimue while its connections still suffer what they do:
// its Close waits for no silent one. Of nimue, nothing must be left behind.
func (s *scene) end(name string, base baseline) {
	if name == isNimue {
		s.c.close()
	}
	if s.relay != nil {
		s.relay.heal() // so that what hangs can end
	}
	s.c.close()
	if name != isNimue {
		return
	}
	if !eventually(func() bool { return len(s.backend.sessions(s, s.app)) == 0 }) {
		s.Errorf("%d sessions are left at the server", len(s.backend.sessions(s, s.app)))
	}
	base.verify(s)
}

// play lets the load run through the fault. again says whether every worker was
// well afterwards.
func (f fault) play(t *testing.T, b backend, o opener) (s *scene, r *report, again bool) {
	s = &scene{TB: t, backend: b, app: nextApp()}
	address := b.address()
	switch f.path {
	case viaRelay:
		s.relay = newRelay(t, address)
		address = s.relay.address()
	case viaToxic:
		s.toxic = newToxic(t, address)
		address = s.toxic.address()
	}
	b.admit(t, s.app)
	b.exec(t, fmt.Sprintf(b.words().create, s.table()))
	to := b.target(t, address, s.app)
	to.params = f.params
	base := takeBaseline(t)
	s.c = o.open(t, to)
	t.Cleanup(func() { s.end(o.name, base) }) // before the proxies go
	if !f.cold {
		s.warmUp()
	}
	if f.before != nil {
		f.before(s)
	}
	deadline, n := f.deadline, f.workers
	if deadline == 0 {
		deadline = 10 * time.Second
	}
	if n == 0 {
		n = workers
	}
	defer watchTotal(t, s.c)()
	s.load = startLoad(s.c, b.words(), s.table(), n, deadline)
	defer s.load.stop() // where the test ends in between
	if !s.load.flows(10) {
		t.Errorf("the load did not flow before the fault%s%s", s.load.report.errorTexts(), poolState(s.c))
	}
	f.strike(s)
	again = s.load.flows(10)
	return s, s.load.stop(), again
}

// warmUp has all connections open and used twice: drivers treat one that was never
// used before in another way.
func (s *scene) warmUp() {
	s.Helper()
	for range 2 {
		if err := holdAll(s.c, conns); err != nil {
			s.Fatal(err)
		}
	}
}

// table is the contender's own.
func (s *scene) table() string { return "rows_of_" + s.app }

// cut notes that everything that was in flight has broken by now. What fails of
// what was begun later is the outage itself, which nimue does not show.
func (s *scene) cut() { s.cutAt = time.Now() }

// judge holds nimue to what its application may see.
func (f fault) judge(t *testing.T, s *scene, r *report) {
	t.Helper()
	failures := r.failures
	if s.outlast {
		t.Log("the machine is slow: the outage lasted about as long as nimue's grace, or longer")
		failures = slices.DeleteFunc(slices.Clone(failures), func(failed failure) bool { return noConnection(failed.kind) })
	}
	if len(failures) > f.allowed {
		t.Errorf("%d failures, of at most %d: %s%s%s", len(failures), f.allowed, describe(r.kinds()), r.errorTexts(), poolState(s.c))
	}
	for _, failed := range failures {
		switch {
		case f.kinds != nil && f.kinds(failed.kind):
		case f.kinds == nil && broken(failed.kind) && failed.began.Before(s.cutAt):
		default:
			t.Errorf("failed otherwise than allowed, %v after the cut: %v (%s)", failed.began.Sub(s.cutAt), failed.err, failed.kind)
			return
		}
	}
}

// reconcile compares what the application was told with what is in the table, and
// returns the differences in words: none is the empty text. A row whose write
// failed may be there or not, but nothing may be there twice.
func reconcile(rows map[row]int, r *report) string {
	lost, twice := 0, 0
	for acknowledged := range r.acknowledged {
		if rows[acknowledged] == 0 {
			lost++
		}
	}
	for _, n := range rows {
		if n > 1 {
			twice++
		}
	}
	var differences []string
	if lost > 0 {
		differences = append(differences, fmt.Sprintf("%d acknowledged rows LOST", lost))
	}
	if twice > 0 {
		differences = append(differences, fmt.Sprintf("%d rows applied TWICE", twice))
	}
	return strings.Join(differences, ", ")
}

var apps atomic.Int64

// nextApp is a name that no other contender in this process has had.
func nextApp() string { return fmt.Sprintf("chaos_%d_%d", os.Getpid(), apps.Add(1)) }

// slug makes a subtest's name out of a title.
func slug(title string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.':
			return r
		case r == ',', r == ':':
			return -1
		}
		return '-'
	}, title), "-")
}
