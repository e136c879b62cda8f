// Package poolnames gives every pool of the process a label of its own, for those
// who show several pools beside each other. Two pools may have the same name, and
// metrics that tell them apart by it would collide.
package poolnames

import (
	"fmt"
	"strings"
	"sync"
	"weak"

	"github.com/nimue-go/nimue/pool"
)

// labels holds the label of every pool that was seen. A pool keeps its label for
// as long as it lives, so that no counter of one ever goes on as another's; and
// all who show pools show the same. Its keys keep no pool alive.
var (
	mu     sync.Mutex
	labels = map[weak.Pointer[pool.Pool]]string{}
)

// Labelled is a pool with its label.
type Labelled struct {
	Label string
	Pool  *pool.Pool
}

// Of labels those pools that are not closed. The label is the pool's name; that of
// a further pool of the same name has #2, #3 … appended, in the order in which they
// were seen. It is valid UTF-8.
func Of(pools []*pool.Pool) []Labelled {
	mu.Lock()
	defer mu.Unlock()
	forget()
	all := make([]Labelled, 0, len(pools))
	for _, p := range pools {
		if p != nil && !p.Closed() {
			all = append(all, Labelled{labelOf(p), p})
		}
	}
	return all
}

// forget frees the labels of pools that are gone.
func forget() {
	for key := range labels {
		if p := key.Value(); p == nil || p.Closed() {
			delete(labels, key)
		}
	}
}

func labelOf(p *pool.Pool) string {
	key := weak.Make(p)
	if label, ok := labels[key]; ok {
		return label
	}
	name := strings.ToValidUTF8(p.Name(), "�")
	label := name
	for n := 2; taken(label); n++ {
		label = fmt.Sprintf("%s#%d", name, n)
	}
	labels[key] = label
	return label
}

func taken(label string) bool {
	for _, other := range labels {
		if other == label {
			return true
		}
	}
	return false
}
