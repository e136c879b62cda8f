package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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

const (
	// MariaDBUser may do everything on every server that [StartMariaDB] starts.
	MariaDBUser = "nimue"
	// MariaDBDatabase is a database that every such server has.
	MariaDBDatabase = "nimue"

	mariaDBPortTaken = "Address already in use" // in the log, whatever the version
	mariaDBGreeting  = 10                       // the protocol's version, which every connection is greeted with
)

// MariaDBOptions are what a caller may choose about a server. The zero value is
// good for most tests.
type MariaDBOptions struct {
	// MaxConnections is the server's limit; one more is kept for an
	// administrator, which MariaDBUser is. 0 means 100.
	MaxConnections int

	// Password is MariaDBUser's; empty, none is asked.
	Password string

	// Settings are further system variables, as in my.cnf. They win over those
	// that this package sets.
	Settings map[string]string
}

// MariaDBServer is a running MariaDB server. Its methods may be called from any
// goroutine.
type MariaDBServer struct {
	options MariaDBOptions
	server  string // the path of mariadbd
	as      account
	dir     string // everything below is removed by Stop
	port    int
	daemon  daemon
	stop    func()
}

// MariaDB starts a server with default options for one test, and stops it when
// the test and all its subtests are finished. See [Require] for what happens
// where MariaDB is not installed.
func MariaDB(tb testing.TB) *MariaDBServer {
	tb.Helper()
	server, err := StartMariaDB(tb.Context(), MariaDBOptions{})
	Require(tb, err)
	tb.Cleanup(server.Stop)
	return server
}

// StartMariaDB starts a server and returns once it accepts connections. ctx
// bounds the start only. The caller must call Stop. If the binaries are missing
// the error is [ErrNotInstalled] to errors.Is.
func StartMariaDB(ctx context.Context, options MariaDBOptions) (*MariaDBServer, error) {
	server, err := startMariaDB(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("servers: mariadb: %w", err)
	}
	return server, nil
}

// mariaDBFolders are where packages put mariadbd; mariadb-install-db may be in
// another folder, of the same installation.
var mariaDBFolders = []string{
	"/usr/sbin",
	"/usr/bin",
	"/usr/libexec",
	"/usr/local/sbin",
	"/usr/local/mysql/bin",
	"/opt/homebrew/opt/mariadb*/bin",
	"/usr/local/opt/mariadb*/bin",
	"/opt/local/lib/mariadb*/bin",
}

func startMariaDB(ctx context.Context, options MariaDBOptions) (_ *MariaDBServer, err error) {
	programs, found := findPrograms(mariaDBFolders, []string{"mariadbd"})
	installers, ok := findPrograms(mariaDBFolders, []string{"mariadb-install-db", "my_print_defaults"})
	if !ok || !found {
		return nil, fmt.Errorf("MariaDB's server binaries (mariadbd, mariadb-install-db, my_print_defaults) are %w: "+
			"install the package mariadb-server (Debian, Ubuntu, Fedora) or mariadb (SUSE, Homebrew), "+
			"or add their folders to PATH", ErrNotInstalled)
	}
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	as, err := unprivileged("mysql", "nobody")
	if err != nil {
		return nil, err
	}
	dir, err := as.makeDir("nimue-mdb-")
	if err != nil {
		return nil, err
	}
	s := &MariaDBServer{options: options, server: filepath.Join(programs, "mariadbd"), as: as, dir: dir}
	s.stop = sync.OnceFunc(s.shutDown)
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if err := s.initialise(ctx, filepath.Join(installers, "mariadb-install-db")); err != nil {
		return nil, err
	}
	return s, s.start(ctx)
}

// initialise makes the data directory and the statements that every start runs.
func (s *MariaDBServer) initialise(ctx context.Context, installer string) error {
	user := "'" + MariaDBUser + "'@'%'"
	statements := "CREATE DATABASE IF NOT EXISTS " + MariaDBDatabase + ";\n" +
		"CREATE USER IF NOT EXISTS " + user + " IDENTIFIED BY '" + mariaDBEscapes.Replace(s.options.Password) + "';\n" +
		"GRANT ALL ON *.* TO " + user + " WITH GRANT OPTION;\n"
	if err := errors.Join(os.WriteFile(s.initFile(), []byte(statements), 0o600), s.as.own(s.initFile())); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, installer, "--no-defaults", "--datadir="+s.DataDir(),
		"--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M")
	s.prepare(cmd)
	// As in startProcess: the death signal is bound to the starting thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w\n%s", err, output)
	}
	return nil
}

var mariaDBEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

func (s *MariaDBServer) prepare(cmd *exec.Cmd) {
	cmd.Dir = s.dir // the test's own may be closed to another user
	cmd.Env = cleanEnviron("MYSQL", "MARIADB")
	s.as.apply(cmd)
}

// start starts the server, on another port if somebody was faster.
func (s *MariaDBServer) start(ctx context.Context) error {
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
		if attempt == portAttempts || !strings.Contains(log, mariaDBPortTaken) {
			return fmt.Errorf("%w\nits log:\n%s", err, log)
		}
	}
}

func (s *MariaDBServer) startOnPort(ctx context.Context) error {
	_ = os.Remove(s.Socket()) // of a server that was killed; it must not be taken for the new one's
	cmd := exec.Command(s.server, s.arguments()...)
	s.prepare(cmd)
	return s.daemon.start(ctx, cmd, s.logFile(), s.ready)
}

func (s *MariaDBServer) arguments() []string {
	conns := s.options.MaxConnections
	if conns == 0 {
		conns = defaultMaxConns
	}
	args := []string{"--no-defaults"}
	set := func(name, value string) { args = append(args, "--"+name+"="+value) }
	set("datadir", s.DataDir())
	set("socket", s.Socket())
	set("pid-file", filepath.Join(s.dir, "pid"))
	set("tmpdir", s.dir)
	set("init-file", s.initFile())
	set("bind-address", "127.0.0.1")
	set("port", strconv.Itoa(s.port))
	set("max-connections", strconv.Itoa(conns))
	set("skip-name-resolve", "1")
	set("innodb-flush-log-at-trx-commit", "2") // what is committed survives the process, if not the machine
	set("innodb-doublewrite", "0")
	set("innodb-buffer-pool-size", "32M")
	set("innodb-log-file-size", "8M")
	set("default-time-zone", "+00:00")
	set("character-set-server", "utf8mb4")
	for name, value := range s.options.Settings {
		set(name, value)
	}
	return args
}

// ready waits for the greeting on the Unix socket. It lies in the server's own
// directory, so no other server can be taken for this one.
func (s *MariaDBServer) ready(int) bool {
	conn, err := net.DialTimeout("unix", s.Socket(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(time.Second)) != nil {
		return false
	}
	greeting := make([]byte, 5) // a packet's header and the first byte
	_, err = io.ReadFull(conn, greeting)
	return err == nil && greeting[4] == mariaDBGreeting
}

// Stop ends the server, whoever is connected, and removes its files. Further
// calls do nothing.
func (s *MariaDBServer) Stop() { s.stop() }

func (s *MariaDBServer) shutDown() {
	s.daemon.end(0) // nothing of it is kept
	_ = os.RemoveAll(s.dir)
}

// Host is the address that the server listens on.
func (s *MariaDBServer) Host() string { return "127.0.0.1" }

// Port is the TCP port that the server listens on.
func (s *MariaDBServer) Port() int { return s.port }

// Address is the server's host:port.
func (s *MariaDBServer) Address() string { return s.Host() + ":" + strconv.Itoa(s.port) }

// Socket is the path of the server's Unix socket.
func (s *MariaDBServer) Socket() string { return filepath.Join(s.dir, "s") }

// DataDir is the server's data directory. Stop removes it.
func (s *MariaDBServer) DataDir() string { return filepath.Join(s.dir, "data") }

// PID is the process id of the server, that of the last one where it is shut down.
func (s *MariaDBServer) PID() int { return s.daemon.pid() }

// Log returns the end of the server's log.
func (s *MariaDBServer) Log() string { return tail(s.logFile(), logTail) }

func (s *MariaDBServer) logFile() string  { return filepath.Join(s.dir, "log") }
func (s *MariaDBServer) initFile() string { return filepath.Join(s.dir, "init.sql") }

// DSN returns a connection string in go-sql-driver/mysql's form for MariaDBUser
// and a database, of which MariaDBDatabase always exists.
func (s *MariaDBServer) DSN(database string) string {
	return s.userinfo() + "@tcp(" + s.Address() + ")/" + database
}

// SocketDSN returns the same by way of the Unix socket.
func (s *MariaDBServer) SocketDSN(database string) string {
	return s.userinfo() + "@unix(" + s.Socket() + ")/" + database
}

func (s *MariaDBServer) userinfo() string {
	if s.options.Password == "" {
		return MariaDBUser
	}
	return MariaDBUser + ":" + s.options.Password
}
