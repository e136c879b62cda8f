package sqlite

import (
	"context"
	"database/sql/driver"
	"net/url"
	"strings"

	"github.com/nimue-go/nimue/pool"
)

// kind is where a database lives.
type kind uint8

const (
	onDisk  kind = iota
	private      // with the one connection that opened it
	shared       // in memory, as long as any connection to it is open
)

const inMemory = ":memory:"

// kindOf reads a DSN as the driver and SQLite do: the query of a plain file name
// is the driver's alone, that of a URI is SQLite's too, and the last of several
// equal parameters counts.
func kindOf(dsn string) kind {
	name, query := dsn, ""
	if i := strings.IndexByte(dsn, '?'); i >= 1 {
		name, query = dsn[:i], dsn[i+1:]
	}
	uri, isURI := strings.CutPrefix(name, "file:")
	if !isURI {
		if name == "" || name == inMemory {
			return private
		}
		return onDisk
	}
	path, _, _ := strings.Cut(uri, "#")
	if rest, ok := strings.CutPrefix(path, "//"); ok { // an authority, empty or localhost
		_, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	path = unescape(path)
	query, _, _ = strings.Cut(query, "#")
	parameters := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		parameters[unescape(key)] = unescape(value)
	}
	switch {
	case parameters["vfs"] == "memdb":
		if strings.HasPrefix(path, "/") {
			return shared
		}
		return private
	case path == "" && parameters["mode"] != "memory":
		return private // a temporary file, shared or not
	case path != inMemory && parameters["mode"] != "memory":
		return onDisk
	case parameters["cache"] == "shared":
		return shared
	}
	return private
}

func unescape(text string) string {
	plain, err := url.PathUnescape(text)
	if err != nil {
		return text
	}
	return plain
}

// holdToOne makes a Config.Constrain that limits the pool to one connection that is
// kept, after an earlier Constrain. What was left open it fills in, and it refuses the
// contrary.
func holdToOne(earlier func(*pool.Config) error) func(*pool.Config) error {
	return func(cfg *pool.Config) error {
		if earlier != nil {
			if err := earlier(cfg); err != nil {
				return err
			}
		}
		if err := contradictions(cfg); err != nil {
			return err
		}
		cfg.MaxConns = 1
		cfg.MaxConnLifetime, cfg.MaxConnIdleTime = pool.None, pool.None
		return nil
	}
}

// contradictions lists the settings that a private database cannot be kept with.
func contradictions(cfg *pool.Config) error {
	var problems []pool.Problem
	refuse := func(contrary bool, field string, value any, want string) {
		if contrary {
			problems = append(problems, pool.Problem{Field: field, Value: value, Want: want})
		}
	}
	const (
		one   = ": a private database, in memory or temporary, has one connection"
		never = "no limit: a private database, in memory or temporary, ends with its connection"
	)
	refuse(cfg.MaxConns != 0 && cfg.MaxConns != 1, "MaxConns", cfg.MaxConns, "1"+one)
	refuse(cfg.MinConns > 1, "MinConns", cfg.MinConns, "at most 1"+one)
	refuse(cfg.MinIdleConns > 1, "MinIdleConns", cfg.MinIdleConns, "at most 1"+one)
	refuse(cfg.InitConns > 1, "InitConns", cfg.InitConns, "at most 1"+one)
	refuse(cfg.MaxIdleConns != 0 && cfg.MaxIdleConns != 1, "MaxIdleConns", cfg.MaxIdleConns, "1"+one)
	refuse(cfg.MaxConnLifetime > 0, "MaxConnLifetime", cfg.MaxConnLifetime, never)
	refuse(cfg.MaxConnLifetimeJitter > 0, "MaxConnLifetimeJitter", cfg.MaxConnLifetimeJitter, never)
	refuse(cfg.MaxConnIdleTime > 0, "MaxConnIdleTime", cfg.MaxConnIdleTime, never)
	refuse(cfg.MaxConnUses > 0, "MaxConnUses", cfg.MaxConnUses, never)
	if len(problems) == 0 {
		return nil
	}
	name := cfg.Name
	if name == "" {
		name = "pool"
	}
	return &pool.ConfigError{Pool: name, Problems: problems}
}

// keepAlive has no error and no verification retire the connection: it is the
// database, so another one could only be empty. Nor can it go bad by itself.
func keepAlive(cfg *pool.Config) {
	if cfg.Classify == nil {
		cfg.Classify = func(error) pool.Verdict { return pool.Keep }
	}
	if cfg.Health == nil && cfg.HealthQuery == "" {
		cfg.Health = func(context.Context, driver.Conn) error { return nil }
	}
}
