package pool

import (
	"time"
)

// What is counted and kept for Stats beyond Counters. All of it is guarded by
// Pool.mu, but for the histograms, which count by themselves.
type observed struct {
	wait, hold, connect, verify histogram

	peakTotal, peakInUse, peakWaiting peak
	errs                              [NumErrorKinds]lastError
}

// peak is the highest value of something, and when it was first reached.
type peak struct {
	n  int
	at time.Duration
}

func (k *peak) reach(n int, p *Pool) {
	if n > k.n {
		k.n, k.at = n, p.now()
	}
}

func (k peak) shown(p *Pool) Peak {
	if k.n == 0 {
		return Peak{}
	}
	return Peak{k.n, p.epoch.Add(k.at)}
}

type lastError struct {
	err error
	at  time.Duration
}

// failed keeps an error as the latest of its kind.
func (p *Pool) failed(kind ErrorKind, err error) {
	if err != nil {
		p.seen.errs[kind] = lastError{err, p.now()}
	}
}

// busiest notes how many connections are in use. Parked ones are not, though the
// books count them so; they are looked at only where that could matter.
func (p *Pool) busiest() {
	if p.leasedN > p.seen.peakInUse.n {
		var none Counters
		p.seen.peakInUse.reach(p.leasedN-p.parkedNow(&none), p)
	}
}

// Every lease of a connection is timed up to exactLeases; of the later ones one in
// exactLeases is, and stands for as many. Reading the clock twice costs more than
// lending.
const exactLeases = 64

// timesAll tells whether every lease is timed: where holders are tracked, and where a
// listener is to be told how long each was.
func (p *Pool) timesAll() bool { return p.tracking.Load() || p.bulletin.listener != nil }

// itsTurn tells whether a lease is timed in any case.
func (c *conn) itsTurn() bool { return c.used <= exactLeases || c.used%exactLeases == 0 }

// timeLease begins to time a lease of c, which its caller holds.
func (p *Pool) timeLease(c *conn) { c.timed, c.heldSince = true, p.now() }

// leaseTimed ends it, and returns how long it was; 0 where nobody knows.
func (p *Pool) leaseTimed(c *conn) time.Duration {
	if !c.timed {
		return 0
	}
	c.timed = false
	held := p.now() - c.heldSince
	times := uint64(1)
	if c.used > exactLeases && !p.timesAll() {
		times = exactLeases
	}
	p.seen.hold.record(held, times)
	return held
}

// sample is what History keeps of a moment.
const (
	sampleEvery = 5 * time.Second
	mostSamples = 120 // ten minutes
)

// takeSample keeps a sample at the keeper's rounds, if the last one is old enough.
func (p *Pool) takeSample(now time.Duration) {
	if len(p.samples) > 0 && now-p.sampledAt < sampleEvery {
		return
	}
	p.sampledAt = now
	p.samples = append(p.samples, p.sample())
	if len(p.samples) > mostSamples {
		p.samples = append(p.samples[:0], p.samples[len(p.samples)-mostSamples:]...)
	}
}

func (p *Pool) sample() Sample {
	counters := p.counters
	parked := p.parkedNow(&counters)
	return Sample{At: p.epoch.Add(p.now()), Total: p.total(), Idle: p.idle.len + parked, InUse: p.leasedN - parked,
		Waiting: p.queue.len, Acquires: counters.Acquires, Waits: counters.Waits, Timeouts: counters.Timeouts,
		Connects: counters.Connects, ConnectErrors: counters.ConnectErrors, WaitTime: counters.WaitTime}
}

// History returns samples of the last ten minutes, oldest first, and the present
// moment last. They are five seconds apart or more: a pool in which nothing happens
// is not woken up to be looked at, so that between two samples far apart it was
// much as in the first one.
func (p *Pool) History() []Sample {
	p.mu.Lock()
	defer p.mu.Unlock()
	samples := make([]Sample, 0, len(p.samples)+1)
	oldest := time.Now().Add(-mostSamples * sampleEvery)
	for _, s := range p.samples {
		if s.At.After(oldest) {
			samples = append(samples, s)
		}
	}
	return append(samples, p.sample())
}
