package pool

import (
	"fmt"
	"slices"
	"testing"
)

func TestListenersAreToldInTurn(t *testing.T) {
	var told []string
	listener := func(name string, fails bool) Listener {
		return ListenerFunc(func(e Event) {
			told = append(told, fmt.Sprint(name, " ", e.Kind))
			if fails {
				panic(name)
			}
		})
	}
	all := Listeners(listener("first", false), nil, listener("second", true), listener("third", false))
	func() {
		defer func() {
			if v := recover(); v != "second" {
				t.Errorf("recovered %v", v)
			}
		}()
		all.PoolEvent(Event{Kind: EventDied})
	}()
	if want := []string{"first died", "second died", "third died"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestListenersOfNone(t *testing.T) {
	if l := Listeners(nil, nil); l != nil {
		t.Errorf("a listener %v of nothing, which would switch events on", l)
	}
	one := ListenerFunc(func(Event) {})
	if _, ok := Listeners(nil, one).(ListenerFunc); !ok {
		t.Error("a listener alone is wrapped")
	}
}
