package pool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing/synctest"
	"time"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// What the model demands of the pool after every step and at the end.

// settle waits for rest, takes in what the waiters got and checks the invariants.
func (m *model) settle() error {
	synctest.Wait()
	var waiting []modelWaiter
	for _, w := range m.waiters {
		select {
		case a := <-w.result:
			w.cancel()
			if a.err == nil {
				if len(waiting) > 0 {
					return errors.New("a waiter was served before an older one")
				}
				if m.suspended != running {
					return errors.New("a waiter was served while the pool was suspended")
				}
				m.got++
				m.leases = append(m.leases, m.held(a.lease, w.asked.Add(a.after)))
			} else {
				m.failed++
				if err := m.excuse(w, a); err != nil {
					return err
				}
			}
		default:
			if w.gone {
				return errors.New("a cancelled waiter still waits")
			}
			waiting = append(waiting, w)
		}
	}
	m.waiters = waiting
	for i := len(m.leases) - 1; i >= 0; i-- {
		if l := m.leases[i]; m.isTaken(l) {
			m.leases = append(m.leases[:i], m.leases[i+1:]...)
			m.taken = append(m.taken, l)
		}
	}
	inside := 0
	for _, l := range m.taken {
		if !l.left {
			inside++
		}
	}
	m.hanging = max(m.hanging, inside)
	if err := m.ended(); err != nil {
		return err
	}
	if m.broken != nil {
		return m.broken
	}
	return m.invariants()
}

// held is a lease that was given at some moment.
func (m *model) held(l Lease, since time.Time) modelLease {
	held := modelLease{Lease: l, since: since}
	m.pool.locked(func() { held.tracked = l.conn.track.on || l.conn.track.reclaimed })
	return held
}

func (m *model) isTaken(l modelLease) (taken bool) {
	m.pool.locked(func() { taken = l.conn.track.reclaimed })
	return taken
}

// excuse is nil where a waiter may have got what it got.
func (m *model) excuse(w modelWaiter, a acquired) error {
	switch {
	case w.gone, errors.Is(a.err, errRefused), errors.Is(a.err, errDiedEarly), errors.Is(a.err, ErrUnavailable):
	case errors.Is(a.err, ErrSuspended) && m.suspended == refusing:
	case errors.Is(a.err, ErrExhausted) && m.pool.Config().MaxWaiters > 0 && a.after == 0:
	case errors.Is(a.err, ErrAcquireTimeout) && w.timeout > 0 && a.after == w.timeout:
	default:
		return fmt.Errorf("a waiter got, after %v, %w", a.after, a.err)
	}
	return nil
}

// ended looks at the calls of Drain and Verify that have ended.
func (m *model) ended() error {
	oldest := math.MaxInt
	m.pool.locked(func() {
		for _, c := range m.pool.all {
			oldest = min(oldest, c.inner.(*scripted.Conn).ID)
		}
	})
	for i := len(m.drains) - 1; i >= 0; i-- {
		d := m.drains[i]
		select {
		case err := <-d.result:
			m.drained++
			if err == nil && oldest <= d.begun {
				err = fmt.Errorf("drained, and connection %d is still there", oldest)
			}
			if err != nil {
				return err
			}
			m.drains = append(m.drains[:i], m.drains[i+1:]...)
		default:
		}
	}
	for i := len(m.verifies) - 1; i >= 0; i-- {
		select {
		case err := <-m.verifies[i]:
			if err != nil {
				return err
			}
			m.verifies = append(m.verifies[:i], m.verifies[i+1:]...)
		default:
		}
	}
	return nil
}

func (m *model) invariants() error {
	ids := map[int]bool{}
	for _, l := range m.leases {
		if ids[id(l.Lease)] {
			return fmt.Errorf("connection %d is leased twice", id(l.Lease))
		}
		ids[id(l.Lease)] = true
	}
	if err := m.holders(); err != nil {
		return err
	}
	s := m.pool.Stats()
	if err := m.told.consistent(m, s); err != nil {
		return err
	}
	switch {
	case s.InUse != len(m.leases):
		return fmt.Errorf("%d in use, the model has %d", s.InUse, len(m.leases))
	case s.Waiting != len(m.waiters):
		return fmt.Errorf("%d waiting, the model has %d", s.Waiting, len(m.waiters))
	case s.Suspended != (m.suspended != running):
		return fmt.Errorf("suspended: %v", s.Suspended)
	case m.suspended != running: // nobody is served, and nothing is done for who waits
	case s.Waiting > 0 && s.Idle > 0 && s.Verifying == 0: // a verification gets a moment before another is begun
		return fmt.Errorf("%d wait while %d connections are idle", s.Waiting, s.Idle)
	case s.Waiting > 0 && s.Total < m.max && s.Connecting+s.Verifying == 0 && !m.refuse.Load() && s.LastConnectError == nil:
		return fmt.Errorf("%d wait and nothing is being done: %+v", s.Waiting, s)
	}
	switch {
	case m.driver.Most() > m.highest+m.hanging:
		return fmt.Errorf("%d connections at the server, the limit was never above %d", m.driver.Most(), m.highest)
	case s.Total != s.Idle+s.InUse+s.Connecting+s.Verifying+s.Closing:
		return fmt.Errorf("the states do not add up: %+v", s)
	}
	return nil
}

// holders compares what the pool knows of leases with the model: who is too long
// out has lost its connection, and nobody else has.
func (m *model) holders() error {
	cfg, infos := m.pool.Config(), map[uint64]ConnInfo{}
	for _, c := range m.pool.Conns() {
		infos[c.ID] = c
	}
	for _, l := range m.leases {
		held, c := time.Since(l.since), infos[l.conn.id]
		switch {
		case c.State != "leased":
			return fmt.Errorf("connection %d is %q, and leased", l.conn.id, c.State)
		case l.tracked && c.Held != held:
			return fmt.Errorf("connection %d is held for %v, the model says %v", c.ID, c.Held, held)
		case l.tracked && cfg.LeakReclaim > 0 && held >= cfg.LeakReclaim:
			return fmt.Errorf("connection %d is held for %v and was not taken back", c.ID, held)
		case l.tracked && c.Leaked != (cfg.LeakThreshold > 0 && held >= cfg.LeakThreshold) && !c.Leaked:
			return fmt.Errorf("connection %d is held for %v, and no leak", c.ID, held)
		}
	}
	for _, l := range m.taken {
		if l.Enter() && l.left || time.Since(l.since) < 5*time.Minute {
			return errors.New("a lease was taken away too early, or can still be used")
		}
	}
	return nil
}

// finish lets everything be well again: the whole capacity must be there, and
// nothing must be left after Shutdown.
func (m *model) finish() error {
	m.refuse.Store(false)
	m.sick.Store(-1)
	m.hung.Store(-1)
	m.demoted.Store(false)
	m.slow.Store(0)
	m.suspended = running
	m.pool.Resume()
	for len(m.taken) > 0 {
		m.late(0)
	}
	for len(m.waiters)+len(m.leases) > 0 {
		for len(m.leases) > 0 {
			m.release(0, Clean)
		}
		time.Sleep(time.Minute)
		if err := m.settle(); err != nil {
			return err
		}
	}
	time.Sleep(time.Minute)
	if err := m.settle(); err != nil {
		return err
	}
	if len(m.drains)+len(m.verifies) > 0 {
		return fmt.Errorf("%d drains and %d verifications have not ended: %+v", len(m.drains), len(m.verifies), m.pool.Stats())
	}
	for range m.max {
		l, err := m.pool.Acquire(context.Background())
		if err != nil {
			return err
		}
		m.got++
		m.leases = append(m.leases, m.held(l, time.Now()))
	}
	if err := m.settle(); err != nil {
		return err
	}
	for len(m.leases) > 0 {
		m.release(0, Clean)
	}
	if err := m.pool.Shutdown(context.Background()); err != nil {
		return err
	}
	synctest.Wait()
	if err := m.told.closed(); err != nil {
		return err
	}
	if n := m.driver.Open(); n != 0 {
		return fmt.Errorf("%d connections open after Shutdown", n)
	}
	return nil
}

// abandon ends everything after a failed check, so that the bubble can end too.
func (m *model) abandon() {
	m.told.hear()
	_ = m.pool.Close()
	synctest.Wait()
	for _, w := range m.waiters {
		select {
		case a := <-w.result:
			if a.err == nil {
				a.lease.Release(Clean)
			}
		default: // settle has had it
		}
	}
	for _, l := range append(m.leases, m.taken...) {
		l.Release(Clean)
	}
	_ = m.pool.Shutdown(context.Background())
}
