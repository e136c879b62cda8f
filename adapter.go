package nimue

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nimue-go/nimue/pool"
)

// Adapter is what nimue can do with one inner driver beyond the interfaces of
// database/sql/driver: reach its sockets, read its errors, know its databases. A
// package that has one registers it in its init, so that importing it is all there
// is to do:
//
//	import _ "github.com/nimue-go/nimue/adapter/pgx"
//
// The DSN stays what it was.
type Adapter struct {
	// Name names the adapter in errors.
	Name string
	// Serves tells whether d, as registered with database/sql or returned by a
	// connector's Driver method, is a driver of the adapter's.
	Serves func(d driver.Driver) bool
	// Open, if set, makes the connector of an inner DSN, in place of d's own way
	// to do so.
	Open func(d driver.Driver, dsn string) (driver.Connector, error)
	// Configure, if set, fills in the functions of a pool's configuration that
	// were left open, before the pool over inner is made. It gets connectors of
	// Open's and of others.
	Configure func(inner driver.Connector, cfg *pool.Config) error
}

// registering guards adapters.
var (
	registering sync.Mutex
	adapters    []*Adapter
)

// RegisterAdapter makes an adapter known, for all pools made from then on. Of two
// that serve a driver, the one registered last counts. It panics without Serves.
func RegisterAdapter(a Adapter) {
	if a.Serves == nil {
		panic("nimue: RegisterAdapter without Serves")
	}
	registering.Lock()
	defer registering.Unlock()
	adapters = append(adapters, &a)
}

// adapterOf returns the adapter that serves d, or nil.
func adapterOf(d driver.Driver) *Adapter {
	registering.Lock()
	known := slices.Clone(adapters)
	registering.Unlock()
	for _, a := range slices.Backward(known) {
		if a.Serves(d) {
			return a
		}
	}
	return nil
}

// adapt has the inner connector's adapter, if there is one, complete a
// configuration.
func adapt(inner driver.Connector, cfg *pool.Config) error {
	if inner == nil {
		return nil // pool.New says so
	}
	a := adapterOf(inner.Driver())
	if a == nil || a.Configure == nil {
		return nil
	}
	if err := a.Configure(inner, cfg); err != nil {
		return fmt.Errorf("nimue: %s: adapter %s: %w", cfg.Name, a.Name, err)
	}
	return nil
}

// inDSNWords turns the pool's complaint about a configuration, which an adapter
// may have constrained, into one about the DSN that it came from.
func inDSNWords(dsn DSN, err error) error {
	bad, ok := errors.AsType[*pool.ConfigError](err)
	if !ok {
		return err
	}
	var problems []DSNProblem
	for _, p := range bad.Problems {
		key, known := keyByField[p.Field]
		if !known {
			return err // a configuration that was changed beyond what a DSN can say
		}
		want, _ := inKeys(p.Want)
		problems = append(problems, DSNProblem{Key: key, Value: strings.Join(parameterByKey[key].texts(&dsn), ", "), Message: "want " + want})
	}
	return &DSNError{Problems: problems}
}
