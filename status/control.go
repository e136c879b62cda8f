package status

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// controlWithin is how long the answer to a button may take. What a button began
// goes on without the answer.
const controlWithin = 6 * time.Second

// mostForm bounds a form's size: its fields are short.
const mostForm = 16 << 10

// action is one thing that an operator did, and what came of it.
type action struct {
	At     time.Time
	Pool   string
	Did    string
	Failed bool
}

// actionLog keeps the latest actions for everybody who looks.
type actionLog struct {
	mu     sync.Mutex
	latest []action // newest first
}

// mostActions is how many actions the page shows.
const mostActions = 8

func (l *actionLog) add(a action) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest = append([]action{a}, l.latest...)
	l.latest = l.latest[:min(len(l.latest), mostActions)]
}

func (l *actionLog) list() []action {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]action(nil), l.latest...)
}

// controls are what a form's button can ask for. Each returns what it did.
var controls = map[string]func(context.Context, *pool.Pool, *http.Request) (string, error){
	"suspend-wait": func(_ context.Context, p *pool.Pool, _ *http.Request) (string, error) {
		p.Suspend(false)
		return "suspended: callers wait", nil
	},
	"suspend-refuse": func(_ context.Context, p *pool.Pool, _ *http.Request) (string, error) {
		p.Suspend(true)
		return "suspended: callers are refused", nil
	},
	"resume": func(_ context.Context, p *pool.Pool, _ *http.Request) (string, error) {
		p.Resume()
		return "resumed", nil
	},
	"drain": func(ctx context.Context, p *pool.Pool, _ *http.Request) (string, error) {
		err := p.Drain(ctx)
		if err != nil && ctx.Err() != nil { // leases may last, and who pressed the button may go
			return "drain has begun, and goes on as connections come back", nil
		}
		return "drained: every connection is new", err
	},
	"verify": func(ctx context.Context, p *pool.Pool, _ *http.Request) (string, error) {
		n, failed, err := p.Verify(ctx)
		return fmt.Sprintf("verified %s, %d failed", plural(n, "idle connection"), failed), err
	},
	"reset": func(_ context.Context, p *pool.Pool, _ *http.Request) (string, error) {
		p.Reset()
		return "reset: idle connections closed, others as they come back", nil
	},
	"limits": func(_ context.Context, p *pool.Pool, r *http.Request) (string, error) {
		return changeLimits(p, r)
	},
}

// control does what a button asks for and sends the browser back to the page,
// which shows what came of it.
func (h *handler) control(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if reason := h.refusal(w, r); reason != "" {
		http.Error(w, reason, http.StatusForbidden)
		return
	}
	do := controls[r.PostFormValue("do")]
	if do == nil {
		http.Error(w, "there is no such control", http.StatusBadRequest)
		return
	}
	p := h.pool(r.PostFormValue("pool"))
	if p == nil {
		http.Error(w, "the pool has been closed", http.StatusNotFound)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), controlWithin)
	defer cancel()
	did, err := do(ctx, p, r)
	done := action{At: time.Now(), Pool: p.Name(), Did: did}
	if err != nil {
		done.Failed, done.Did = true, fmt.Sprintf("%s failed: %v", r.PostFormValue("do"), err)
	}
	h.log.add(done)
	// Relative to this address, so that a prefix which was stripped stays.
	w.Header().Set("Location", "./#"+idOf(p.Name(), p.Stats().Since))
	w.WriteHeader(http.StatusSeeOther)
}

// refusal says why a request may not control anything, or nothing where it may.
func (h *handler) refusal(w http.ResponseWriter, r *http.Request) string {
	if !h.allowed(r) {
		return "controls are not allowed here"
	}
	if err := h.origin.Check(r); err != nil {
		return "the request comes from another site"
	}
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	if subtle.ConstantTimeCompare([]byte(r.PostFormValue("token")), []byte(h.token)) != 1 {
		return "the page is from another process, or too old: go back, reload it and try again"
	}
	return ""
}

// pool finds the pool by the page's id for it, since names need not be unique.
func (h *handler) pool(id string) *pool.Pool {
	for _, p := range h.list() {
		if idOf(p.Name(), p.Stats().Since) == id {
			return p
		}
	}
	return nil
}

// changeLimits sets what was edited in the form: what differs from the value that
// the form showed. What somebody else has changed in the meantime stays.
func changeLimits(p *pool.Pool, r *http.Request) (string, error) {
	var did []string
	var errs []error
	err := p.Update(func(cfg *pool.Config) {
		before := *cfg
		for _, s := range settings {
			text, given := r.PostForm[s.name]
			if !s.limit || !given || text[0] == r.PostFormValue("was."+s.name) {
				continue
			}
			errs = append(errs, s.set(cfg, text[0]))
			did = append(did, s.name+"="+strings.TrimSpace(text[0]))
		}
		if errors.Join(errs...) != nil {
			*cfg = before
		}
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return "", err
	}
	if did == nil {
		return "nothing was changed", nil
	}
	return "set " + strings.Join(did, ", "), nil
}
