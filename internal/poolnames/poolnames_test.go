package poolnames

import (
	"context"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, name string) *pool.Pool {
	t.Helper()
	p, err := pool.New(scripted.New(scripted.Hooks{}), pool.Config{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Shutdown(context.Background()) })
	return p
}

func wantLabels(t *testing.T, pools []*pool.Pool, want ...string) {
	t.Helper()
	var got []string
	for _, l := range Of(pools) {
		got = append(got, l.Label)
	}
	if !slices.Equal(got, want) {
		t.Errorf("labels %q, want %q", got, want)
	}
}

func TestPoolsOfOneNameAreToldApart(t *testing.T) {
	a, b, c := open(t, "orders"), open(t, "orders"), open(t, "orders#2")
	wantLabels(t, []*pool.Pool{a, b, c}, "orders", "orders#2", "orders#2#2")
	wantLabels(t, []*pool.Pool{c, b}, "orders#2#2", "orders#2")
}

// The label of a pool that is closed is not handed on to another that lives: its
// counters would seem to jump.
func TestALabelStaysForLife(t *testing.T) {
	a, b := open(t, "books"), open(t, "books")
	wantLabels(t, []*pool.Pool{a, b}, "books", "books#2")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	wantLabels(t, []*pool.Pool{a, b, nil}, "books#2")
	wantLabels(t, []*pool.Pool{open(t, "books"), b}, "books", "books#2")
}

func TestALabelIsValidUTF8(t *testing.T) {
	wantLabels(t, []*pool.Pool{open(t, "shop\xff")}, "shop�")
}
