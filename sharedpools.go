package nimue

import (
	"database/sql/driver"
	"fmt"
	"log/slog"
	"sync"

	"github.com/nimue-go/nimue/pool"
)

// shared is a pool that several connectors may use: those of one pool_name, or
// the handles of one DSN that came through Driver.Open.
type shared struct {
	dsn   DSN
	pool  *pool.Pool
	close func() error
	users int
}

// sharing guards sharedPools and the users of each. No driver is called under it;
// pool.New and Pool.Close, which take a pool's own lock, may be.
var (
	sharing     sync.Mutex
	sharedPools = map[string]*shared{}
)

// openShared returns a connector to the pool of that key, making the pool if
// there is none, with the DSN's configuration as change, if not nil, edits it. The
// empty key shares nothing.
func openShared(key string, dsn DSN, change func(*pool.Config)) (*Connector, error) {
	inner, err := innerConnector(dsn)
	if err != nil {
		return nil, err
	}
	cfg := dsn.Pool
	cfg.Redact = func(err error) error { return redactError(err, dsn) }
	if level, on := dsn.LogLevel.Level(); on {
		cfg.Logger = slog.New(defaultLog{level})
	}
	if change != nil {
		change(&cfg)
	}
	if key == "" {
		c, err := NewConnector(inner, cfg)
		if err != nil {
			_ = closeConnector(inner) // nobody will use this one
			return nil, redactError(inDSNWords(dsn, err), dsn)
		}
		return c, nil
	}
	if err := adapt(inner, &cfg); err != nil {
		_ = closeConnector(inner)
		return nil, redactError(err, dsn)
	}
	s, made, err := joinShared(key, dsn, inner, cfg)
	if err != nil || !made {
		_ = closeConnector(inner) // nobody will use this one
	}
	if err != nil {
		return nil, redactError(inDSNWords(dsn, err), dsn)
	}
	var once sync.Once
	return &Connector{pool: s.pool, close: func() (err error) {
		once.Do(func() { err = s.leave(key) })
		return err
	}}, nil
}

// joinShared becomes a user of the pool of that key, making it over inner if
// there is none.
func joinShared(key string, dsn DSN, inner driver.Connector, cfg pool.Config) (s *shared, made bool, err error) {
	sharing.Lock()
	defer sharing.Unlock()
	s = sharedPools[key]
	if s == nil || s.pool.Closed() { // closed by hand: its remaining users keep that
		p, err := pool.New(inner, cfg)
		if err != nil {
			return nil, false, err
		}
		s = &shared{dsn: dsn, pool: p, close: func() error { return closePool(p, inner) }}
		sharedPools[key] = s
		made = true
	}
	if s.dsn.Format() != dsn.Format() {
		hidden := ""
		if s.dsn.String() == dsn.String() {
			hidden = ": they differ in what is not shown here, such as a password"
		}
		return nil, false, fmt.Errorf("nimue: %s: pool_name is in use for another DSN, %v, and cannot be given to %v%s", key, s.dsn, dsn, hidden)
	}
	s.users++
	return s, made, nil
}

// leave gives up one use of the pool; the last one closes it.
func (s *shared) leave(key string) error {
	sharing.Lock()
	s.users--
	last := s.users == 0
	if last && sharedPools[key] == s {
		delete(sharedPools, key)
	}
	sharing.Unlock()
	if last {
		return s.close()
	}
	return nil
}
