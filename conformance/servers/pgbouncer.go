package servers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const pgBouncerPortTaken = "nowhere to listen on" // in the log

// PgBouncerOptions are what a caller may choose about a PgBouncer. The zero
// value is good for most tests.
type PgBouncerOptions struct {
	// PoolMode is session, transaction or statement. Empty means transaction.
	PoolMode string

	// PoolSize is how many server connections it keeps per database and user.
	// 0 means 10.
	PoolSize int

	// Settings are further settings of its [pgbouncer] section. They win over
	// those that this package sets.
	Settings map[string]string
}

// PgBouncerServer is a running PgBouncer in front of one PostgreSQL server. Its
// methods may be called from any goroutine.
type PgBouncerServer struct {
	options  PgBouncerOptions
	backend  *PostgresServer
	programs string
	as       account
	dir      string // everything below is removed by Stop
	port     int
	daemon   daemon
	stop     func()
}

// PgBouncer starts a PgBouncer in transaction mode in front of backend for one
// test, and stops it when the test and all its subtests are finished. See
// [Require] for what happens where PgBouncer is not installed.
func PgBouncer(tb testing.TB, backend *PostgresServer) *PgBouncerServer {
	tb.Helper()
	server, err := StartPgBouncer(tb.Context(), backend, PgBouncerOptions{})
	Require(tb, err)
	tb.Cleanup(server.Stop)
	return server
}

// StartPgBouncer starts a PgBouncer in front of backend and returns once it
// accepts connections. ctx bounds the start only. The caller must call Stop. If
// the binary is missing the error is [ErrNotInstalled] to errors.Is.
func StartPgBouncer(ctx context.Context, backend *PostgresServer, options PgBouncerOptions) (*PgBouncerServer, error) {
	server, err := startPgBouncer(ctx, backend, options)
	if err != nil {
		return nil, fmt.Errorf("servers: pgbouncer: %w", err)
	}
	return server, nil
}

var pgBouncerFolders = []string{"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/opt/homebrew/bin", "/opt/local/bin"}

func startPgBouncer(ctx context.Context, backend *PostgresServer, options PgBouncerOptions) (_ *PgBouncerServer, err error) {
	programs, ok := findPrograms(pgBouncerFolders, []string{"pgbouncer"})
	if !ok {
		return nil, fmt.Errorf("the program pgbouncer is %w: install the package pgbouncer, or add its folder to PATH", ErrNotInstalled)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	as, err := unprivileged("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	dir, err := as.makeDir("nimue-pgb-")
	if err != nil {
		return nil, err
	}
	s := &PgBouncerServer{options: options, backend: backend, programs: programs, as: as, dir: dir}
	s.stop = sync.OnceFunc(s.shutDown)
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	for attempt := 1; ; attempt++ {
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.configure(); err != nil {
			return nil, err
		}
		if err = s.startOnPort(ctx); err == nil {
			return s, nil
		}
		log := tail(s.logFile(), logTail)
		if attempt == portAttempts || !strings.Contains(log, pgBouncerPortTaken) {
			return nil, fmt.Errorf("%w\nits log:\n%s", err, log)
		}
	}
}

// configure writes the configuration and the list of users.
func (s *PgBouncerServer) configure() error {
	settings := map[string]string{
		"listen_addr":     "127.0.0.1",
		"listen_port":     strconv.Itoa(s.port),
		"unix_socket_dir": "", // so that a port that somebody else has is an error
		"auth_type":       "trust",
		"auth_file":       s.file("users"),
		"admin_users":     PostgresUser,
		"pool_mode":       "transaction",
		"max_client_conn": "2000",
		// Its default of 15 s between two attempts to reach a server that was
		// down is longer than most tests.
		"server_login_retry": "0.2",
		"default_pool_size":  "10",
	}
	if s.backend.options.Password != "" {
		settings["auth_type"] = "scram-sha-256"
	}
	if s.options.PoolMode != "" {
		settings["pool_mode"] = s.options.PoolMode
	}
	if s.options.PoolSize != 0 {
		settings["default_pool_size"] = strconv.Itoa(s.options.PoolSize)
	}
	maps.Copy(settings, s.options.Settings)

	var ini strings.Builder
	fmt.Fprintf(&ini, "[databases]\n* = host=%s port=%d\n[pgbouncer]\n", s.backend.Host(), s.backend.Port())
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&ini, "%s = %s\n", name, settings[name])
	}
	users := fmt.Sprintf("\"%s\" \"%s\"\n", PostgresUser, strings.ReplaceAll(s.backend.options.Password, `"`, `""`))
	return errors.Join(
		os.WriteFile(s.file("ini"), []byte(ini.String()), 0o600), s.as.own(s.file("ini")),
		os.WriteFile(s.file("users"), []byte(users), 0o600), s.as.own(s.file("users")))
}

func (s *PgBouncerServer) startOnPort(ctx context.Context) error {
	cmd := exec.Command(filepath.Join(s.programs, "pgbouncer"), s.file("ini"))
	cmd.Dir = s.dir // the test's own may be closed to another user
	cmd.Env = cleanEnviron("PG")
	s.as.apply(cmd)
	return s.daemon.start(ctx, cmd, s.logFile(), s.ready)
}

func (s *PgBouncerServer) ready(int) bool {
	conn, err := net.DialTimeout("tcp", s.Address(), time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// Stop ends it, whoever is connected, and removes its files. Further calls do
// nothing.
func (s *PgBouncerServer) Stop() { s.stop() }

func (s *PgBouncerServer) shutDown() {
	s.daemon.end(stopPatience, syscall.SIGTERM)
	_ = os.RemoveAll(s.dir)
}

// Host is the address that it listens on.
func (s *PgBouncerServer) Host() string { return "127.0.0.1" }

// Port is the TCP port that it listens on.
func (s *PgBouncerServer) Port() int { return s.port }

// Address is its host:port.
func (s *PgBouncerServer) Address() string { return s.Host() + ":" + strconv.Itoa(s.port) }

// PID is its process id, that of the last one where it is shut down.
func (s *PgBouncerServer) PID() int { return s.daemon.pid() }

// Log returns the end of its log.
func (s *PgBouncerServer) Log() string { return tail(s.logFile(), logTail) }

func (s *PgBouncerServer) logFile() string { return s.file("log") }

func (s *PgBouncerServer) file(name string) string { return filepath.Join(s.dir, name) }

// URL returns a connection string in URL form for the superuser and a database
// of the PostgreSQL server's. The database "pgbouncer" is its own console, which
// knows only the simple protocol.
func (s *PgBouncerServer) URL(database string) string {
	u, err := url.Parse(s.backend.URL(database))
	if err != nil {
		panic(err) // it was formatted by net/url
	}
	u.Host = s.Address()
	return u.String()
}
