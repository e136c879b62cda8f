package pool

import (
	"context"
	"time"
)

// Conns describes every connection there is, in the order in which they were made.
func (p *Pool) Conns() []ConnInfo { return nil }

// History returns samples of the last ten minutes, oldest first.
func (p *Pool) History() []Sample { return nil }

// RecentEvents returns the latest events but those of single leases and waits, oldest first.
func (p *Pool) RecentEvents() []Event { return nil }

// Health says in a word how the pool is.
func (p *Pool) Health() Health { return Health{} }

// Observe has holders and statements recorded for some time, for Conns.
func (p *Pool) Observe(d time.Duration) {}

// Suspend has callers wait, or refuses them, until Resume.
func (p *Pool) Suspend(refuse bool) {}

// Resume ends Suspend.
func (p *Pool) Resume() {}

// Drain renews every connection, a few at a time.
func (p *Pool) Drain(ctx context.Context) error { return nil }

// Verify verifies every idle connection now and returns how many there were and failed.
func (p *Pool) Verify(ctx context.Context) (verified, failed int, err error) { return 0, 0, nil }

// Pools returns the pools of the process that are not closed, by name.
func Pools() []*Pool { return nil }
