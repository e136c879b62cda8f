package status

import (
	"crypto/rand"
	"embed"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/nimue-go/nimue/pool"
)

// Option changes what Handler serves.
type Option func(*handler)

// AllowControl puts buttons on the page that suspend, resume, drain, verify and
// reset a pool and change its limits, for whoever reaches the page. On a loopback
// address that is only who asks for it as localhost or by number: a name that leads
// there may be another site's. Behind a proxy that passes its own name on, use
// AllowControlIf.
func AllowControl() Option { return AllowControlIf(reachedByItsOwnName) }

// AllowControlIf is AllowControl for those requests of which allowed says so: by a
// header that an authenticating proxy sets, say. It is asked for every page and
// again for every button that is pressed.
func AllowControlIf(allowed func(*http.Request) bool) Option {
	return func(h *handler) { h.allowed = allowed }
}

// Pools has the handler show the pools that list returns, in place of all those of
// the process that are open. It is called for every request.
func Pools(list func() []*pool.Pool) Option {
	return func(h *handler) { h.list = list }
}

// Handler serves the page, the JSON, the readiness endpoint and, with
// [AllowControl], the controls. It may be mounted under any prefix that ends in a
// slash, with http.StripPrefix or without. It starts no goroutine.
func Handler(options ...Option) http.Handler {
	h := &handler{
		list:    pool.Pools,
		allowed: func(*http.Request) bool { return false },
		token:   rand.Text(),
	}
	for _, option := range options {
		option(h)
	}
	return h
}

// reachedByItsOwnName tells a browser that another site's name has led to this
// machine's loopback address (DNS rebinding) from one that was told to go there. To
// the browser, such a request is not from another site.
func reachedByItsOwnName(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local == nil {
		return true
	}
	if at, err := netip.ParseAddrPort(local.String()); err != nil || !at.Addr().IsLoopback() {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}

type handler struct {
	list    func() []*pool.Pool
	allowed func(*http.Request) bool
	// token is in every form of the page: who could not read the page cannot
	// press its buttons, whatever the browser says of a request's origin.
	token  string
	origin http.CrossOriginProtection
	log    actionLog
}

// watchFor is how long a request has holders and statements recorded: a good deal
// longer than the page, or a person pressing reload, takes to ask again.
const watchFor = 15 * time.Second

//go:embed style.css script.js
var assets embed.FS

// ServeHTTP goes by the last element of the path only, so that it does not matter
// what stands before it.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	if r.URL.Path == "" { // a prefix without its slash: relative links would lead astray
		w.Header().Set("Location", path.Base(r.RequestURI)+"/")
		w.WriteHeader(http.StatusFound)
		return
	}
	_, name := path.Split(r.URL.Path)
	switch name {
	case "control":
		h.control(w, r)
		return
	case "", "status.json", "ready", "style.css", "script.js":
	default:
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	switch name {
	case "":
		h.page(w, r)
	case "status.json":
		writeJSON(w, http.StatusOK, NewReport(h.watch(r.URL.Query().Get("pool"))...))
	case "ready":
		h.ready(w, r)
	default:
		http.ServeFileFS(w, r, assets, name)
	}
}

// pools lists the pools to be shown: all, or those of one name.
func (h *handler) pools(name string) []*pool.Pool {
	all := h.list()
	if name == "" {
		return all
	}
	var named []*pool.Pool
	for _, p := range all {
		if p.Name() == name {
			named = append(named, p)
		}
	}
	return named
}

// watch is pools for somebody who looks at them.
func (h *handler) watch(name string) []*pool.Pool {
	pools := h.pools(name)
	for _, p := range pools {
		p.Observe(watchFor)
	}
	return pools
}

// setHeaders allows the page what it needs, which is all its own, and keeps it out
// of caches and of other sites' frames.
func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers hide a form's own origin too
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}
