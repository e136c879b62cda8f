package pool

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/nimue-go/nimue/conformance/scripted"
)

func mustAcquireFor(t *testing.T, p *Pool, key any) Lease {
	t.Helper()
	l, err := p.AcquireFor(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Each worker comes to a connection of its own, though they never work at the same
// time, and keeps it.
func TestAffinityGivesEachItsOwn(t *testing.T) {
	for _, order := range []Order{LIFO, FIFO} {
		inBubble(t, scripted.Hooks{}, Config{MaxConns: 3, Order: order}, func(t *testing.T, p *Pool, d *scripted.Driver) {
			keys := []string{"a", "b", "c"}
			for range 3 {
				for _, key := range keys {
					mustAcquireFor(t, p, key).Release(Clean)
					synctest.Wait()
				}
			}
			own := map[string]int{}
			for round := range 4 {
				for i := range keys {
					key := keys[(i+round)%3]
					l := mustAcquireFor(t, p, key)
					if own[key] == 0 {
						own[key] = id(l)
					}
					if id(l) != own[key] {
						t.Errorf("order %d: %s got connection %d, its own is %d", order, key, id(l), own[key])
					}
					l.Park(Clean)
				}
			}
			if own["a"] == own["b"] || own["b"] == own["c"] || own["a"] == own["c"] || d.Opened() != 3 {
				t.Errorf("order %d: %v, %d opened", order, own, d.Opened())
			}
		})
	}
}

func TestAffinityNeverWaits(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{MaxConns: 2}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		mine := mustAcquireFor(t, p, "a")
		other := mustAcquire(t, p)
		other.Release(Clean)
		second := mustAcquireFor(t, p, "a") // its own is out
		if id(second) == id(mine) {
			t.Error("one connection in two leases")
		}
		second.Release(Clean)
		mine.Release(Clean)
		if again := mustAcquireFor(t, p, "a"); id(again) != id(mine) {
			t.Errorf("connection %d, its own is %d", id(again), id(mine))
		} else {
			again.Release(Dead)
		}
		synctest.Wait()
		next := mustAcquireFor(t, p, "a") // its own is gone
		next.Release(Clean)
		if again := mustAcquireFor(t, p, "a"); id(again) != id(next) {
			t.Errorf("connection %d, its own is %d now", id(again), id(next))
		} else {
			again.Release(Clean)
		}
	})
}

// With more keys than connections the latest ones have their own, and nothing is
// dialled or kept beyond the limits.
func TestAffinityOfManyKeys(t *testing.T) {
	for _, cfg := range []Config{{MaxConns: 3}, {MaxConns: 5, MaxIdleConns: 2}, {MaxConns: 5, MaxIdleConns: None}} {
		inBubble(t, scripted.Hooks{}, cfg, func(t *testing.T, p *Pool, d *scripted.Driver) {
			const acquires = 200
			for i := range acquires {
				mustAcquireFor(t, p, i%10).Release(Clean)
				synctest.Wait()
			}
			p.locked(func() {
				if len(p.byKey) > len(p.all) {
					t.Errorf("%d keys for %d connections", len(p.byKey), len(p.all))
				}
			})
			limit := cfg.MaxConns
			if cfg.MaxIdleConns == None {
				limit = acquires // none is kept
			}
			if d.Opened() > limit {
				t.Errorf("%+v: %d opened", cfg, d.Opened())
			}
		})
	}
}

func TestAffinityKeyThatCannotBeCompared(t *testing.T) {
	inBubble(t, scripted.Hooks{}, Config{}, func(t *testing.T, p *Pool, d *scripted.Driver) {
		if _, err := p.AcquireFor(context.Background(), []int{1}); err == nil || !strings.Contains(err.Error(), "[]int") {
			t.Errorf("error %v", err)
		}
	})
}
