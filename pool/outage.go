package pool

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"strings"
	"time"
)

// An outage lasts from the first connect that fails until one succeeds. While it
// lasts, one prober dials, with exponential backoff and jitter. Callers wait for
// it, or for a connection to come back, and after Config.OutageGrace they fail at
// once where neither can be hoped for. Where the server refuses for good, they
// fail at once from the beginning.
type outage struct {
	failures  int           // probes that failed; 0: there is no outage
	since     time.Duration // when the first one did
	retryAt   time.Duration // no probe before then
	lastAt    time.Duration // when the last one failed
	permanent bool          // its error was
	early     bool          // connects succeed, but what they lead to dies at once
}

// The prober's backoff, and how often a server that refuses for good is asked
// again without a caller who wants to know: accounts get locked by less.
const (
	firstBackoff   = 10 * time.Millisecond
	lastBackoff    = 5 * time.Second
	permanentEvery = time.Minute
	// beforeGraceEnds is when the last probe inside the grace is made at the latest.
	beforeGraceEnds = 500 * time.Millisecond
)

// over tells whether callers with nothing else to hope for fail at once.
func (o *outage) over(now time.Duration, cfg *Config) bool {
	return o.permanent || now-o.since >= max(cfg.OutageGrace, 0)
}

// graceEnds is when waiting callers must be answered.
func (o *outage) graceEnds(cfg *Config) time.Duration {
	if o.failures == 0 || o.permanent {
		return never
	}
	return o.since + max(cfg.OutageGrace, 0)
}

// standing counts the connections that are there and could serve somebody.
func (p *Pool) standing() int { return p.idle.len + p.leasedN + p.verifyingN }

// answerHopeless ends the wait of every caller if there is an outage, its grace
// is over, and no connection is there that could come back.
func (p *Pool) answerHopeless(now time.Duration) {
	cfg := p.settings.Load()
	if p.outage.failures == 0 || p.queue.len == 0 || p.standing() > 0 || !p.outage.over(now, cfg) {
		return
	}
	atOnce := p.outage.permanent || cfg.OutageGrace <= 0
	if atOnce && p.connecting > 0 {
		return // that connect will answer them
	}
	for p.queue.len > 0 {
		w := p.queue.front.of
		p.counters.Failed++
		if atOnce {
			p.refuse(w, p.lastErr)
			continue
		}
		err := p.acquireError(ErrUnavailable, now-w.since, nil)
		err.Outage = now - p.outage.since
		err.Waiting--
		p.refuse(w, err)
	}
}

// probeFailed notes that a connect failed: an outage begins, or goes on.
func (p *Pool) probeFailed(err error, permanent bool) {
	if p.outage.failures == 0 {
		p.tell(Event{Kind: EventOutageBegan, Err: err})
	}
	p.outage.failedProbe(p.now(), p.settings.Load().OutageGrace, permanent, rand.N[time.Duration])
}

// outageEnded notes that a connect has led to a connection.
func (p *Pool) outageEnded() {
	if p.outage.failures > 0 {
		p.tell(Event{Kind: EventOutageEnded, Took: p.now() - p.outage.since})
	}
	p.outage, p.lastErr = outage{}, nil
}

// errDiedEarly is the cause of an outage where connects succeed.
var errDiedEarly = errors.New("a new connection died at its first use")

// diedEarly takes the death of a connection in its first lease for a connect that
// failed: so it is with a proxy that lets clients in and has no server for them.
func (p *Pool) diedEarly(c *conn) {
	if c.used > 1 || p.closed {
		return
	}
	if p.lastErr == nil {
		p.lastErr = errDiedEarly
	}
	p.outage.early = true
	p.probeFailed(p.lastErr, false)
}

// failedProbe accounts for a connect that failed. Connects that were under way
// together count once.
func (o *outage) failedProbe(now, grace time.Duration, permanent bool, jitter func(time.Duration) time.Duration) {
	if o.failures == 0 {
		o.since = now
	}
	o.permanent, o.lastAt = permanent, now
	if o.failures > 0 && now < o.retryAt {
		return
	}
	o.failures++
	backoff := min(firstBackoff<<min(o.failures-1, 16), lastBackoff)
	o.retryAt = now + backoff/2 + jitter(backoff/2+1)
	// The distances soon outgrow the grace. One probe comes right before its end, so
	// that a server that is back by then is not missed.
	if last := o.since + grace - min(grace/10, beforeGraceEnds); now < last && o.retryAt > last {
		o.retryAt = last
	}
}

// probeAt is when the prober may dial next.
func (o *outage) probeAt(wanted bool) time.Duration {
	if o.permanent && !wanted {
		return max(o.retryAt, o.lastAt+permanentEvery)
	}
	return o.retryAt
}

// permanentError judges a connect's error: first by Config.Permanent, then by
// what the SQL standard, PostgreSQL and TLS say. What is unknown may pass.
func (p *Pool) permanentError(err error) bool {
	if cfg := p.settings.Load(); cfg.Permanent != nil && cfg.Permanent(err) {
		return true
	}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		return true
	}
	if failed := new(ConnectError); errors.As(err, &failed) && failed.setup {
		return p.Classify(failed.Err) == Keep // the server answered, and will answer so again
	}
	return refusedForGood(err)
}

// refusedForGood applies the generic rules to an error and what it wraps. Where
// several were joined, as for a server with several addresses, all must be so.
func refusedForGood(err error) bool {
	switch e := err.(type) {
	case interface{ SQLState() string }:
		state := e.SQLState()
		return strings.HasPrefix(state, "28") || // invalid authorisation
			state == "3D000" || state == "3F000" || // no such database, schema
			state == "42501" || state == "42704" || state == "0A000" // not allowed, no such object, not supported
	case x509.UnknownAuthorityError, x509.HostnameError, x509.CertificateInvalidError, *tls.CertificateVerificationError:
		return true
	case interface{ Unwrap() error }:
		return refusedForGood(e.Unwrap())
	case interface{ Unwrap() []error }:
		branches := e.Unwrap()
		for _, branch := range branches {
			if !refusedForGood(branch) {
				return false
			}
		}
		return len(branches) > 0
	}
	return false
}
