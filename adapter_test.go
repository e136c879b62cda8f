package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/conformance/scripted"
	"github.com/nimue-go/nimue/pool"
)

// adaptedDriver is the driver of this file's adapters.
type adaptedDriver struct {
	scripted.Registered
	opened []string // inner DSNs that reached the adapter
	refuse error
}

// OpenConnector is the driver's own way, which the adapter replaces.
func (d *adaptedDriver) OpenConnector(string) (driver.Connector, error) {
	return adaptedConnector{d.To, d}, nil
}

// registerAdapted registers a driver and an adapter of its own.
func registerAdapted(t *testing.T, configure func(*pool.Config) error) (name string, d *adaptedDriver) {
	t.Helper()
	d = &adaptedDriver{Registered: scripted.Registered{To: scripted.New(scripted.Hooks{})}}
	name = register("scripted-adapted", d)
	nimue.RegisterAdapter(nimue.Adapter{
		Name:   "test",
		Serves: func(other driver.Driver) bool { return other == driver.Driver(d) },
		Open: func(_ driver.Driver, dsn string) (driver.Connector, error) {
			d.opened = append(d.opened, dsn)
			return adaptedConnector{d.To, d}, d.refuse
		},
		Configure: func(_ driver.Connector, cfg *pool.Config) error { return configure(cfg) },
	})
	return name, d
}

type adaptedConnector struct {
	driver.Connector
	of *adaptedDriver
}

func (c adaptedConnector) Driver() driver.Driver { return c.of }

func TestAdapterOpensAndConfigures(t *testing.T) {
	name, d := registerAdapted(t, func(c *pool.Config) error {
		c.Health = func(context.Context, driver.Conn) error { return nil }
		return nil
	})
	db := mustOpen(t, name+":host?x=1&pool_max_conns=3")
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	if cfg := nimue.PoolOf(db).Config(); cfg.Health == nil || cfg.MaxConns != 3 || len(d.opened) != 1 || d.opened[0] != "host?x=1" {
		t.Errorf("%q, %+v", d.opened, cfg)
	}
	// A connector from elsewhere is configured as well.
	c, err := nimue.NewConnector(adaptedConnector{d.To, d}, pool.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Pool().Config().Health == nil {
		t.Error("not configured")
	}
}

func TestAdapterRefuses(t *testing.T) {
	name, d := registerAdapted(t, func(c *pool.Config) error {
		c.Constrain = func(c *pool.Config) error {
			if c.MaxConns > 1 {
				return &pool.ConfigError{Pool: c.Name, Problems: []pool.Problem{{Field: "MaxConns", Value: c.MaxConns, Want: "1"}}}
			}
			c.MaxConns = 1
			return nil
		}
		return nil
	})
	_, err := sql.Open("nimue", name+":x?pool_max_conns=8")
	if bad, ok := errors.AsType[*nimue.DSNError](err); !ok || bad.Problems[0].Key != "pool_max_conns" || bad.Problems[0].Value != "8" {
		t.Errorf("error %v", err)
	}
	db := mustOpen(t, name+":x")
	if n := nimue.PoolOf(db).Config().MaxConns; n != 1 {
		t.Errorf("MaxConns %d", n)
	}
	if err := nimue.PoolOf(db).Update(func(c *pool.Config) { c.MaxConns = 2 }); err == nil || nimue.PoolOf(db).Config().MaxConns != 1 {
		t.Errorf("Update: %v", err)
	}
	d.refuse = errors.New(`cannot parse "app:hunter2@h"`)
	if _, err := sql.Open("nimue", name+":app:hunter2@h"); !errors.Is(err, d.refuse) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
}

func TestOpenConnector(t *testing.T) {
	d := scripted.New(scripted.Hooks{})
	name := register("scripted-openconnector", d.Driver())
	other := scripted.New(scripted.Hooks{})
	otherName := register("scripted-rotated", other.Driver())
	c, err := nimue.OpenConnector(name+":x?pool_max_conns=2", func(cfg *pool.Config) {
		if cfg.MaxConns != 2 {
			t.Errorf("MaxConns %d", cfg.MaxConns)
		}
		cfg.MaxConnIdleTime = time.Minute
		cfg.BeforeConnect = func(context.Context, driver.Connector) (driver.Connector, error) {
			return nimue.InnerConnector(otherName, "fresh password")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(c)
	defer db.Close()
	if err := db.Ping(); err != nil || d.Opened() != 0 || other.Opened() != 1 {
		t.Errorf("%d and %d opened, %v", d.Opened(), other.Opened(), err)
	}
	if cfg := nimue.PoolOf(db).Config(); cfg.MaxConnIdleTime != time.Minute {
		t.Errorf("%+v", cfg)
	}
	if _, err := nimue.OpenConnector(name+":x", func(cfg *pool.Config) { cfg.MaxConns = -5 }); err == nil {
		t.Error("an invalid configuration was accepted")
	}
	if _, err := nimue.InnerConnector("nosuch", "x"); err == nil {
		t.Error("an unknown driver was accepted")
	}
}
