// Package txguard lets a transaction of tx.Run learn from nimue's handle, beneath
// database/sql, what became of its statements, and has the handle refuse further
// ones once one has failed.
//
// The two meet in the context of BeginTx, which database/sql and wrappers around
// drivers pass on: package tx puts a [Guard] there, the handle claims it.
package txguard

import (
	"context"
	"sync"
)

// Guard is one transaction's. The methods may be called from any goroutine, and
// those that a handle calls also on nil, which is a transaction without a guard.
type Guard struct {
	refuse func(cause error) error

	mu      sync.Mutex // guards what is below
	claimed bool
	ended   bool
	cause   error
}

// New returns a guard; refuse makes the error of a statement that is refused
// because an earlier one failed with cause.
func New(refuse func(cause error) error) *Guard { return &Guard{refuse: refuse} }

type key struct{}

// With returns a context for BeginTx, and for nothing else: transactions within
// the transaction are not the guard's.
func With(ctx context.Context, g *Guard) context.Context {
	return context.WithValue(ctx, key{}, g)
}

// Claim is how a handle that has begun a transaction takes the context's guard;
// nil if there is none.
func Claim(ctx context.Context) *Guard {
	g, _ := ctx.Value(key{}).(*Guard)
	if g != nil {
		g.mu.Lock()
		g.claimed = true
		g.mu.Unlock()
	}
	return g
}

// Claimed tells whether a handle watches over the transaction.
func (g *Guard) Claimed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.claimed
}

// Note remembers that a statement failed. Of several failures the first counts.
func (g *Guard) Note(err error) {
	if g == nil || err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended && g.cause == nil {
		g.cause = err
	}
}

// Recover forgets the failure: the transaction was rolled back to a savepoint.
func (g *Guard) Recover() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cause = nil
}

// Cause is the failure that the transaction has not recovered from, or nil.
func (g *Guard) Cause() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause
}

// Refusal is the error with which a statement must be refused, or nil.
func (g *Guard) Refusal() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended || g.cause == nil {
		return nil
	}
	return g.refuse(g.cause)
}

// End says that the transaction is over: what the session does from here on is
// none of the guard's business.
func (g *Guard) End() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
}
