package servers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// PostgresUser is the superuser of every server that [StartPostgres] starts.
const PostgresUser = "nimue"

const (
	startPatience   = 60 * time.Second // initdb on a slow, busy machine included
	stopPatience    = 10 * time.Second
	portAttempts    = 5
	socketPathMax   = 100 // the systems' limit for a socket's path is 104 to 108 bytes
	logTail         = 8 << 10
	pidFileStatus   = 7 // the line of postmaster.pid, counted from 0
	statusReady     = "ready"
	portTaken       = "could not bind" // in the log, whatever the version
	defaultMaxConns = 100
)

// PostgresOptions are what a caller may choose about a server. The zero value
// is good for most tests.
type PostgresOptions struct {
	// MaxConnections is the server's limit, the ones it keeps for superusers
	// included. 0 means 100.
	MaxConnections int

	// Password, if not empty, is asked of every connection (SCRAM). Otherwise
	// every connection from this machine is trusted.
	Password string

	// Settings are further run-time parameters, as in postgresql.conf. They
	// win over those that this package sets.
	Settings map[string]string
}

// PostgresServer is a running PostgreSQL server. Its methods may be called from
// any goroutine.
type PostgresServer struct {
	options   PostgresOptions
	programs  string // the folder of the binaries
	as        account
	dir       string // everything below is removed by Stop
	socketDir string
	port      int
	daemon    daemon
	stop      func()
}

// Postgres starts a server with default options for one test, and stops it when
// the test and all its subtests are finished. See [Require] for what happens
// where PostgreSQL is not installed.
func Postgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	server, err := StartPostgres(tb.Context(), PostgresOptions{})
	Require(tb, err)
	tb.Cleanup(server.Stop)
	return server
}

// StartPostgres starts a server and returns once it accepts connections. ctx
// bounds the start only. The caller must call Stop. If the binaries are missing
// the error is [ErrNotInstalled] to errors.Is.
func StartPostgres(ctx context.Context, options PostgresOptions) (*PostgresServer, error) {
	server, err := startPostgres(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("servers: postgres: %w", err)
	}
	return server, nil
}

func startPostgres(ctx context.Context, options PostgresOptions) (_ *PostgresServer, err error) {
	programs, ok := findPrograms(postgresFolders, []string{"initdb", "postgres"})
	if !ok {
		return nil, fmt.Errorf("PostgreSQL's server binaries (initdb, postgres) are %w: "+
			"install the package postgresql (Debian, Ubuntu, Homebrew) or postgresql-server (Fedora, SUSE), "+
			"or add their folder to PATH", ErrNotInstalled)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	as, err := unprivileged("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	dir, err := as.makeDir("nimue-pg-")
	if err != nil {
		return nil, err
	}
	s := &PostgresServer{options: options, programs: programs, as: as, dir: dir}
	s.stop = sync.OnceFunc(s.shutDown)
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if err := s.initialise(ctx); err != nil {
		return nil, err
	}
	return s, s.start(ctx)
}

// postgresFolders are where packages put the server's binaries. Debian and its
// kin leave them off the PATH.
var postgresFolders = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/lib/postgresql*/bin",
	"/usr/libexec/postgresql*",
	"/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/opt/local/lib/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	`C:\Program Files\PostgreSQL\*\bin`,
}

// initialise makes the data directory and the socket's.
func (s *PostgresServer) initialise(ctx context.Context) error {
	if err := s.makeSocketDir(); err != nil {
		return err
	}
	args := []string{
		"--pgdata", s.DataDir(), "--username", PostgresUser,
		"--encoding", "UTF8", "--locale", "C", "--no-sync",
	}
	if s.options.Password == "" {
		args = append(args, "--auth", "trust")
	} else {
		file := filepath.Join(s.dir, "password")
		if err := errors.Join(os.WriteFile(file, []byte(s.options.Password+"\n"), 0o600), s.as.own(file)); err != nil {
			return err
		}
		args = append(args, "--auth", "scram-sha-256", "--pwfile", file)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.programs, "initdb"), args...)
	s.prepare(cmd)
	// As in startProcess: the death signal is bound to the starting thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	return nil
}

func (s *PostgresServer) makeSocketDir() error {
	dir := filepath.Join(s.dir, "s")
	if len(dir)+len("/.s.PGSQL.65535") > socketPathMax {
		return nil
	}
	s.socketDir = dir
	return errors.Join(os.Mkdir(dir, 0o700), s.as.own(dir))
}

func (s *PostgresServer) prepare(cmd *exec.Cmd) {
	cmd.Dir = s.dir // the test's own may be closed to another user
	cmd.Env = cleanEnviron("PG")
	s.as.apply(cmd)
}

// start starts the server, on another port if somebody was faster.
func (s *PostgresServer) start(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			return err
		}
		s.port = port
		if err = s.startOnPort(ctx); err == nil {
			return nil
		}
		log := tail(s.logFile(), logTail)
		if attempt == portAttempts || !strings.Contains(log, portTaken) {
			return fmt.Errorf("%w\nits log:\n%s", err, log)
		}
	}
}

func (s *PostgresServer) startOnPort(ctx context.Context) error {
	cmd := exec.Command(filepath.Join(s.programs, "postgres"), s.arguments()...)
	s.prepare(cmd)
	return s.daemon.start(ctx, cmd, s.logFile(), s.ready)
}

func (s *PostgresServer) arguments() []string {
	conns := s.options.MaxConnections
	if conns == 0 {
		conns = defaultMaxConns
	}
	args := []string{"-D", s.DataDir()}
	set := func(name, value string) { args = append(args, "-c", name+"="+value) }
	set("listen_addresses", "127.0.0.1")
	set("port", strconv.Itoa(s.port))
	set("unix_socket_directories", s.socketDir)
	set("max_connections", strconv.Itoa(conns))
	set("fsync", "off") // the data is thrown away
	set("synchronous_commit", "off")
	set("full_page_writes", "off")
	set("timezone", "UTC")
	set("log_timezone", "UTC")
	for name, value := range s.options.Settings {
		set(name, value)
	}
	return args
}

// ready reads the status that the server keeps in its pid file, as pg_ctl does.
// That needs no client, and a server of somebody else that happens to listen
// on the port cannot be taken for ours.
func (s *PostgresServer) ready(pid int) bool {
	text, err := os.ReadFile(filepath.Join(s.DataDir(), "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) > pidFileStatus &&
		lines[0] == strconv.Itoa(pid) &&
		strings.TrimSpace(lines[pidFileStatus]) == statusReady
}

// Stop ends the server at once, whoever is connected, and removes its files.
// Further calls do nothing.
func (s *PostgresServer) Stop() { s.stop() }

func (s *PostgresServer) shutDown() {
	s.daemon.end(stopPatience, interrupt, quit)
	_ = os.RemoveAll(s.dir) // a file left in the temporary directory fails no test
}

// Host is the address that the server listens on.
func (s *PostgresServer) Host() string { return "127.0.0.1" }

// Port is the TCP port that the server listens on.
func (s *PostgresServer) Port() int { return s.port }

// Address is the server's host:port.
func (s *PostgresServer) Address() string { return s.Host() + ":" + strconv.Itoa(s.port) }

// SocketDir is the directory of the server's Unix socket, or empty where the
// path of the temporary directory is too long for one.
func (s *PostgresServer) SocketDir() string { return s.socketDir }

// DataDir is the server's data directory. Stop removes it.
func (s *PostgresServer) DataDir() string { return filepath.Join(s.dir, "data") }

// PID is the process id of the server's main process, that of the last one where
// the server is shut down.
func (s *PostgresServer) PID() int { return s.daemon.pid() }

// Log returns the end of the server's log.
func (s *PostgresServer) Log() string { return tail(s.logFile(), logTail) }

func (s *PostgresServer) logFile() string { return filepath.Join(s.dir, "log") }

// URL returns a connection string in URL form for the superuser and a database,
// of which "postgres" always exists.
func (s *PostgresServer) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(PostgresUser),
		Host:     s.Host() + ":" + strconv.Itoa(s.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	if s.options.Password != "" {
		u.User = url.UserPassword(PostgresUser, s.options.Password)
	}
	return u.String()
}

// DSN returns the same as URL in keyword form.
func (s *PostgresServer) DSN(database string) string {
	dsn := fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", s.Host(), s.port, PostgresUser, quoteDSN(database))
	if s.options.Password != "" {
		dsn += " password=" + quoteDSN(s.options.Password)
	}
	return dsn
}

var dsnEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

func quoteDSN(value string) string { return "'" + dsnEscapes.Replace(value) + "'" }
