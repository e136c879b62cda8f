package pool

import (
	"context"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"time"
)

// None switches a limit or a feature off in a [Config] field whose zero value
// means "the default". A DSN writes it as 0: pool_max_conn_lifetime=0 becomes
// MaxConnLifetime: None.
const None = -1

// The largest values that a [Config] may hold: far above any sensible setting,
// and small enough that no sum of them overflows.
const (
	MostConns    = 1_000_000
	MostUses     = 1_000_000_000
	LongestDelay = 10 * 365 * 24 * time.Hour
)

// The defaults that [Config.WithDefaults] fills in.
const (
	DefaultMaxConns          = 20
	DefaultMaxConnecting     = 4
	DefaultMaxConnLifetime   = time.Hour
	DefaultMaxConnIdleTime   = 30 * time.Minute
	DefaultAcquireTimeout    = 30 * time.Second
	DefaultOutageGrace       = 5 * time.Second
	DefaultConnectTimeout    = 10 * time.Second
	DefaultHealthCheckPeriod = 15 * time.Second
	DefaultPingTimeout       = 5 * time.Second
	DefaultStmtCache         = 128
)

// Check says when a connection is verified on its way to a borrower.
type Check uint8

const (
	// CheckAuto verifies a connection that was neither used nor verified
	// within the last second, unless something else watches over it.
	CheckAuto Check = iota
	// CheckAlways verifies at every acquire, exactly once.
	CheckAlways
	// CheckNever leaves verification to the background.
	CheckNever
)

// LeaseMode says how long a *sql.Conn keeps its connection.
type LeaseMode uint8

const (
	// LeaseSession: until it is closed. What lives in the session is its own.
	LeaseSession LeaseMode = iota
	// LeaseTransaction: while it has rows or a transaction open. Any number of
	// them share few connections.
	LeaseTransaction
)

// Order says which idle connection is lent first.
type Order uint8

const (
	// LIFO lends the connection that was returned last: few connections stay
	// busy and warm, and the others can age out.
	LIFO Order = iota
	// FIFO lends the connection that has been idle longest: load spreads
	// evenly over all of them.
	FIFO
)

// Config is everything a pool can be told. The zero value is usable and means
// the defaults; where zero itself would be a meaningful setting, [None] says it.
//
// Every field but Name, InitConns, LeaseMode, Logger, Listener and the functions can
// be changed while the pool runs, with [Pool.Update].
type Config struct {
	// Name labels the pool in errors, logs and statistics. It must not carry
	// a secret. Default: "pool".
	Name string

	// MaxConns is the most physical connections there may be at any moment,
	// counting those that are being opened or closed. Default 20.
	MaxConns int
	// MinConns is the floor of all connections, kept in the background.
	MinConns int
	// MinIdleConns is the floor of idle connections, kept in the background
	// as far as MaxConns allows.
	MinIdleConns int
	// MaxIdleConns is the most idle connections kept; a return above it
	// retires the connection. Default: MaxConns. None keeps no idle one.
	MaxIdleConns int
	// InitConns is how many connections New starts to open at once, in the
	// background. Default: MinConns. None opens none.
	InitConns int
	// MaxConnecting bounds how many connects are under way at a time. Default 4.
	MaxConnecting int

	// MaxConnLifetime retires a connection of that age; a leased one when it
	// is returned. Default 1h; None: no limit.
	MaxConnLifetime time.Duration
	// MaxConnLifetimeJitter is the most that is added to a connection's
	// lifetime, drawn once per connection, so that connections opened together
	// do not end together. Default: a tenth of MaxConnLifetime. None: no jitter.
	MaxConnLifetimeJitter time.Duration
	// MaxConnIdleTime retires a connection that nobody used for so long, down
	// to the floors. Default 30m; None: no limit.
	MaxConnIdleTime time.Duration
	// MaxConnUses retires a connection after so many leases. 0: no limit.
	MaxConnUses int

	// RecycleAt, as "HH:MM", is a time of day at which every connection is
	// replaced, a few at a time, as by Drain: the process's local time. Empty:
	// never.
	RecycleAt string
	// AcquireTimeout bounds a wait for a connection in addition to the
	// caller's context. Default 30s; None: only the context.
	AcquireTimeout time.Duration
	// MaxWaiters is how many callers may wait at a time; one more gets
	// ErrExhausted at once. 0: no limit. None: nobody waits.
	MaxWaiters int
	// ConnectTimeout bounds one connect, InitSQL included. Default 10s.
	ConnectTimeout time.Duration

	// OutageGrace is how long callers wait out an outage unknowingly: from the
	// first connect that failed for a reason that may pass, they wait for one
	// that succeeds. Past it they fail at once, with ErrUnavailable and the
	// last connect error, unless a connection is out that could come back.
	// Default 5s; None: they fail at the first connect error and with it, as
	// database/sql has it.
	OutageGrace time.Duration

	// HealthCheckPeriod is how long an idle connection may go unverified
	// before the keeper verifies it. Default 15s; None: never.
	HealthCheckPeriod time.Duration
	// PingTimeout bounds one verification, one reset and one rollback. Default 5s.
	PingTimeout time.Duration
	// HealthQuery is run to verify a connection; empty: the driver's Ping,
	// or ResetSession where it has no Ping.
	HealthQuery string
	// CheckOnAcquire says when a connection is verified before it is lent.
	CheckOnAcquire Check
	// Order says which idle connection is lent first.
	Order Order

	// InitSQL is run on every new connection, in order; where one fails, the
	// connection is closed and the connect has failed.
	InitSQL []string
	// ResetSQL is run on every returned connection before it can be lent
	// again; where one fails, the connection is retired.
	ResetSQL []string
	// StmtCache is how many prepared statements a connection keeps. Default
	// 128; None: none.
	StmtCache int
	// AutoPrepare asks holders of leases to send statements with arguments
	// through the statement cache where that changes nothing but the time they
	// take. The pool itself only passes it on: see Pool.AutoPrepare.
	AutoPrepare bool
	// LeaseMode asks holders of leases to give them back after each operation.
	// The pool itself only passes it on, and Update does not change it.
	LeaseMode LeaseMode

	// LeakThreshold, if positive, is how long a lease may be held before it is
	// reported, once, with the stack that took it: by EventLeakFound and in the
	// log. It is noticed within a second.
	LeakThreshold time.Duration
	// LeakReclaim, if positive, is how long a lease may be held before it is
	// taken back: its connection is closed, and the holder's next call fails.
	LeakReclaim time.Duration

	// Listener, if set, is told every transition.
	Listener Listener

	// Health, if set, verifies a connection, in place of HealthQuery and Ping.
	// It must end with its context.
	Health func(context.Context, driver.Conn) error
	// NetConn, if set, tells the network connection beneath a driver's
	// connection, or nil if there is none. With it the pool knows without a
	// round trip when the peer has closed (Unix), and can cut off a connection
	// in the midst of a call. Without it, a NetConn method of the driver's
	// connection counts, or what the dialer told by NoteSocket.
	NetConn func(driver.Conn) net.Conn
	// Sent, if set, tells how much the driver has sent to the server on a
	// connection so far, in bytes or whatever else only grows. Then
	// driver.ErrBadConn in answer to an operation counts only where nothing has
	// been sent for it; else the operation's outcome is unknown, and it is
	// neither repeated nor reported as one that may be.
	Sent func(driver.Conn) uint64
	// Notices, if set, has a driver's connection pass the server's messages that
	// are no errors on to tell, for EventNotice and the log: each with the level
	// at which it is to be logged. It is called once for each new connection,
	// before InitSQL. The connection may call tell from any goroutine, also in the
	// midst of a call; it does not block.
	Notices func(conn driver.Conn, tell func(level slog.Level, notice error))
	// Classify, if set, judges an error that an operation returned, before
	// the generic rules do; Unknown leaves it to them.
	Classify func(error) Verdict
	// Permanent, if set, tells that a connect's error will not pass by itself
	// (a wrong password, say), so that nobody is kept waiting for it to. The
	// generic rules come after it.
	Permanent func(error) bool
	// CheckRole, if set, confirms a Demoted verdict: it asks the server
	// whether it accepts no writes at all, from anybody.
	CheckRole func(context.Context, driver.Conn) (demoted bool, err error)
	// Constrain, if set, refuses configurations that the inner driver or
	// database cannot work with, and may fill in what it needs. It is called
	// by New and Update, with a Config whose defaults are still open.
	Constrain func(*Config) error
	// BeforeConnect, if set, is called before every connect, within
	// ConnectTimeout, and returns the connector to be used for it: the given
	// one, or another with fresh credentials or the address that service
	// discovery tells. Its error is a connect error.
	BeforeConnect func(context.Context, driver.Connector) (driver.Connector, error)
	// AfterConnect, if set, is called with every new connection, after
	// InitSQL and within ConnectTimeout; an error closes the connection.
	AfterConnect func(context.Context, driver.Conn) error
	// Redact, if set, is given every error of a connect before anybody sees
	// it, and every error that is logged, to take out what must not be seen:
	// drivers quote their DSN.
	Redact func(error) error
	// Logger, if set, is told what the pool does: connects that failed at
	// error, other failures at warn, the life of the pool at info, that of its
	// connections at debug.
	Logger *slog.Logger
}

// WithDefaults returns the configuration with every zero field that has a
// default replaced by it, which is what a pool runs with. It changes no field
// that was set and corrects nothing.
func (c Config) WithDefaults() Config {
	setDefault(&c.Name, "pool")
	setDefault(&c.MaxConns, DefaultMaxConns)
	setDefault(&c.MaxIdleConns, c.MaxConns)
	setDefault(&c.InitConns, c.MinConns)
	setDefault(&c.MaxConnecting, DefaultMaxConnecting)
	setDefault(&c.MaxConnLifetime, DefaultMaxConnLifetime)
	if c.MaxConnLifetime > 0 {
		setDefault(&c.MaxConnLifetimeJitter, c.MaxConnLifetime/10)
	}
	setDefault(&c.MaxConnIdleTime, DefaultMaxConnIdleTime)
	setDefault(&c.AcquireTimeout, DefaultAcquireTimeout)
	setDefault(&c.ConnectTimeout, DefaultConnectTimeout)
	setDefault(&c.OutageGrace, DefaultOutageGrace)
	setDefault(&c.HealthCheckPeriod, DefaultHealthCheckPeriod)
	setDefault(&c.PingTimeout, DefaultPingTimeout)
	setDefault(&c.StmtCache, DefaultStmtCache)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// clone is a copy that shares no memory with c that either may write.
func (c *Config) clone() Config {
	copied := *c
	copied.InitSQL, copied.ResetSQL = slices.Clone(c.InitSQL), slices.Clone(c.ResetSQL)
	return copied
}

// changesOfFixed reports the fields in which c differs from the configuration that a
// pool was made with though Update cannot change them. Of functions it can only tell
// whether they have the same code.
func (c *Config) changesOfFixed(from *Config, initConns int) (problems []Problem) {
	v := validator{}
	const cannot = " as before, since it cannot be changed in a running pool"
	v.check(c.Name == "" || c.Name == from.WithDefaults().Name, "Name", c.Name, from.WithDefaults().Name+cannot)
	v.check(c.InitConns == 0 || c.InitConns == initConns || c.InitConns == from.InitConns, "InitConns", c.InitConns, fmt.Sprint(initConns)+cannot)
	v.check(c.LeaseMode == from.LeaseMode, "LeaseMode", c.LeaseMode, fmt.Sprint(from.LeaseMode)+cannot)
	is, was := reflect.ValueOf(c).Elem(), reflect.ValueOf(from).Elem()
	for i := range is.NumField() {
		switch is.Field(i).Kind() {
		case reflect.Func, reflect.Interface, reflect.Pointer:
			v.check(is.Field(i).IsNil() || sameReference(is.Field(i), was.Field(i)), is.Type().Field(i).Name, "another one", "the same"+cannot)
		}
	}
	return v.problems
}

// sameReference compares two values of one type, as far as that can be done.
func sameReference(a, b reflect.Value) bool {
	if a.Kind() == reflect.Interface {
		a, b = a.Elem(), b.Elem()
	}
	switch {
	case !b.IsValid() || a.Type() != b.Type():
		return false
	case a.Kind() == reflect.Func:
		return a.UnsafePointer() == b.UnsafePointer()
	}
	return !a.Comparable() || !b.Comparable() || a.Equal(b)
}

// keepFunctions takes over what Update does not change.
func (c *Config) keepFunctions(from *Config) {
	c.Health, c.NetConn, c.Classify, c.Permanent = from.Health, from.NetConn, from.Classify, from.Permanent
	c.LeaseMode = from.LeaseMode
	c.CheckRole, c.Constrain, c.BeforeConnect = from.CheckRole, from.Constrain, from.BeforeConnect
	c.AfterConnect, c.Redact, c.Logger = from.AfterConnect, from.Redact, from.Logger
	c.Sent, c.Notices, c.Listener = from.Sent, from.Notices, from.Listener
}

// check applies Constrain and validates.
func (c *Config) check() (err error) {
	if c.Constrain != nil {
		defer catch("Constrain", &err)
		if err := c.Constrain(c); err != nil {
			return err
		}
	}
	return c.Validate()
}
