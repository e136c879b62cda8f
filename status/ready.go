package status

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/nimue-go/nimue/pool"
)

// Readiness is what the readiness endpoint answers as JSON.
type Readiness struct {
	Health
	Pools []PoolHealth `json:"pools"`
}

// PoolHealth is a pool's name and health.
type PoolHealth struct {
	Name string `json:"name"`
	Health
}

// The states, from good to bad.
var states = []string{pool.Ready.String(), pool.Degraded.String(), pool.Down.String()}

// severity orders states; one that is not known is the worst.
func severity(state string) int {
	for i, s := range states {
		if s == state {
			return i
		}
	}
	return len(states)
}

// worst sums up the health of pools: the worst state and every reason.
func worst(pools []Pool) Health {
	h := Health{State: pool.Ready.String()}
	var reasons []string
	for _, p := range pools {
		if severity(p.Health.State) > severity(h.State) {
			h.State = p.Health.State
		}
		if p.Health.Reason != "" {
			reasons = append(reasons, p.Name+": "+p.Health.Reason)
		}
	}
	h.Reason = strings.Join(reasons, "; ")
	return h
}

// readiness asks the pools only how they are.
func readiness(pools []*pool.Pool, name string) Readiness {
	r := Readiness{Health: Health{State: pool.Ready.String()}, Pools: []PoolHealth{}}
	var healths []Pool
	for _, p := range pools {
		h := p.Health()
		health := Health{h.State.String(), h.Reason}
		healths = append(healths, Pool{Name: p.Name(), Health: health})
		r.Pools = append(r.Pools, PoolHealth{p.Name(), health})
	}
	if name != "" && len(pools) == 0 {
		r.Health = Health{pool.Down.String(), fmt.Sprintf("there is no open pool named %q", name)}
		return r
	}
	r.Health = worst(healths)
	return r
}

func (h *handler) ready(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("pool")
	ready := readiness(h.pools(name), name)
	code := http.StatusOK
	if severity(ready.State) >= severity(pool.Down.String()) {
		code = http.StatusServiceUnavailable
	}
	if strings.Contains(r.Header.Get("Accept"), "json") {
		writeJSON(w, code, ready)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, ready.text())
}

// text is the answer for people: the state on the first line, then that of each pool.
func (r Readiness) text() string {
	var b strings.Builder
	b.WriteString(r.State + "\n")
	if len(r.Pools) == 0 && r.Reason != "" {
		b.WriteString(oneLine(r.Reason) + "\n")
	}
	for _, p := range r.Pools {
		line := p.Name + ": " + p.State
		if p.Reason != "" {
			line += ": " + p.Reason
		}
		b.WriteString(oneLine(line) + "\n")
	}
	return b.String()
}

// oneLine keeps a reason with line breaks from looking like another pool's line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	_ = e.Encode(v) // the reader has gone; there is nobody to tell
}
