package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/nimue-go/nimue/status"
)

// page is the status page of a program.
type page struct {
	client   *http.Client
	address  *url.URL
	username string
	password string
}

const (
	mountPoint  = "/debug/nimue/" // where package status is usually mounted
	document    = "status.json"
	longestPage = 64 << 20
)

// newPage reads the page's address. Its errors do not show it, since a password may
// be in it.
func newPage(text, pool string, timeout time.Duration) (*page, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, usagef("the URL cannot be read (it is not shown, since a password may be in it)")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, usagef("the URL is no http:// or https:// one of a host; for example http://localhost:6060%s", mountPoint)
	}
	p := &page{client: &http.Client{Timeout: timeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}}
	p.username = u.User.Username()
	p.password, _ = u.User.Password()
	u.User, u.Fragment, u.RawFragment = nil, "", ""
	u.Path, u.RawPath = documentPath(u.Path), ""
	query := u.Query()
	query.Del("refresh") // the page's own business
	if pool != "" {
		query.Set("pool", pool)
	}
	u.RawQuery = query.Encode()
	p.address = u
	return p, nil
}

// documentPath leads from the page, or something on it, to the JSON.
func documentPath(at string) string {
	switch folder, name := path.Split(at); {
	case at == "":
		return mountPoint + document
	case name == document || name == "ready" || name == "control":
		return folder + document
	case name == "":
		return at + document
	}
	return at + "/" + document
}

func (p *page) close() { p.client.CloseIdleConnections() }

// fetch asks for the JSON.
func (p *page) fetch(ctx context.Context) (*status.Report, []byte, error) {
	raw, err := p.get(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p.shown(), err)
	}
	report := &status.Report{}
	if json.Unmarshal(raw, report) != nil || report.Version == 0 {
		return nil, nil, fmt.Errorf("%s: the answer is no status document; is the address that of nimue's status page?", p.shown())
	}
	if report.Version != status.Version {
		return nil, nil, fmt.Errorf("%s: the document has version %d, and this command reads version %d", p.shown(), report.Version, status.Version)
	}
	return report, raw, nil
}

func (p *page) get(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address.String(), nil)
	if err != nil {
		return nil, errors.New("no request can be made of this address")
	}
	request.Header.Set("Accept", "application/json")
	if p.username != "" || p.password != "" {
		request.SetBasicAuth(p.username, p.password)
	}
	response, err := p.client.Do(request)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok { // which quotes the URL
			err = inner.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s", printable(response.Status))
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, longestPage))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	return raw, nil
}

// shown is the address without its query, where a token may be.
func (p *page) shown() string {
	return printable(p.address.Scheme + "://" + p.address.Host + p.address.EscapedPath())
}
