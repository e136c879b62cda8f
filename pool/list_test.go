package pool

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestList compares the list with a slice under random operations.
func TestList(t *testing.T) {
	type element struct{ link node[element] }
	rapid.Check(t, func(t *rapid.T) {
		var l list[element]
		var model []*element
		t.Repeat(map[string]func(*rapid.T){
			"front": func(*rapid.T) {
				e := &element{}
				e.link.of = e
				l.pushFront(&e.link)
				model = slices.Insert(model, 0, e)
			},
			"back": func(*rapid.T) {
				e := &element{}
				e.link.of = e
				l.pushBack(&e.link)
				model = append(model, e)
			},
			"after": func(t *rapid.T) {
				if len(model) == 0 {
					return
				}
				i := rapid.IntRange(0, len(model)-1).Draw(t, "i")
				e := &element{}
				e.link.of = e
				l.insertAfter(&e.link, &model[i].link)
				model = slices.Insert(model, i+1, e)
			},
			"remove": func(t *rapid.T) {
				if len(model) == 0 {
					return
				}
				i := rapid.IntRange(0, len(model)-1).Draw(t, "i")
				l.remove(&model[i].link)
				if model[i].link.in != nil {
					t.Fatal("a removed element says that it is in the list")
				}
				model = slices.Delete(model, i, i+1)
			},
			"": func(t *rapid.T) {
				var forward, backward []*element
				for n := l.front; n != nil; n = n.next {
					forward = append(forward, n.of)
				}
				for n := l.back; n != nil; n = n.prev {
					backward = append(backward, n.of)
				}
				slices.Reverse(backward)
				if !slices.Equal(forward, model) || !slices.Equal(backward, model) || l.len != len(model) {
					t.Fatalf("list %v / %v, model %v, length %d", forward, backward, model, l.len)
				}
			},
		})
	})
}
