package status

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newPool makes a pool over a driver that does what hooks say. The test ends it.
func newPool(t *testing.T, hooks scripted.Hooks, cfg pool.Config) *pool.Pool {
	t.Helper()
	p, err := pool.New(scripted.New(hooks), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return p
}

// only has a handler show these pools.
func only(pools ...*pool.Pool) Option {
	return Pools(func() []*pool.Pool { return pools })
}

// get asks a handler and returns its answer.
func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	return send(t, h, httptest.NewRequest(http.MethodGet, path, nil))
}

func send(t *testing.T, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// form is a POST as a browser sends a form of the page.
func form(path string, fields url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}
