// Command nimue looks at DSNs, at databases and at running pools.
//
//	nimue explain DSN    what a DSN comes to: each setting in force, where it comes from, what is doubtful
//	nimue ping DSN       connect, ask the server what it is, and time it
//	nimue bench DSN      a short load through nimue, and the same beside it through database/sql alone
//	nimue watch URL      a live view of a program's status page, in the terminal
//	nimue help COMMAND   all about a command
//
// From a clone of the repository it runs as go run ./cmd/nimue. The drivers pgx
// (PostgreSQL), mysql (MySQL, MariaDB) and sqlite are built in, with their adapters.
//
// A DSN is nimue's: an inner driver's name, its DSN, and pool_ parameters. Where none
// is given it is taken from the environment variable NIMUE_DSN, and "-" reads it from
// standard input, so that a password need not stand in the list of processes. What is
// printed carries no password.
//
// # Exit codes
//
//	0    all is well
//	1    what was asked about is not: a DSN with a mistake, a server that does not
//	     answer, a query that failed, a pool that is down, with -strict a warning
//	2    the command line is wrong
//	130  interrupted
//
// # JSON
//
// With -json each command prints one JSON document, also where it fails: then with a
// field error. Fields may be added; none is removed or changes its meaning. Durations
// are decimal numbers of seconds, in fields that end in _seconds. What is unknown is
// left out.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// The exit codes. exitInterrupted is what a shell makes of Ctrl-C.
const (
	exitFine        = 0
	exitBad         = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C need not wait for the clean-up
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// usageError is an error that another command line would not have.
type usageError struct{ error }

// usagef makes a usageError. What was typed must not be in it, unless it cannot be a
// piece of a DSN.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errBad ends a command whose output has said already what is bad.
var errBad = errors.New("bad")

// run is the program; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	c := &console{in: stdin, out: stdout, messages: stderr, env: env}
	if len(args) == 0 {
		fmt.Fprint(stderr, overview())
		return exitUsage
	}
	name, err := args[0], error(nil)
	switch cmd := commandNamed(name); {
	case cmd != nil:
		err = cmd.run(ctx, c, args[1:])
	case name == "help" || name == "-h" || name == "-help" || name == "--help":
		name = "help"
		err = help(c, args[1:])
	default:
		name, err = "", usagef("%s", unknownCommand(args[0]))
	}
	return c.exitCode(ctx, name, err)
}

// exitCode tells an error, if it was not told, and what to exit with.
func (c *console) exitCode(ctx context.Context, name string, err error) int {
	prefix := strings.TrimSpace("nimue "+name) + ":"
	_, usage := errors.AsType[usageError](err)
	switch {
	case err == nil:
		return exitFine
	case usage:
		fmt.Fprintf(c.messages, "%s %v\nRun %q for more.\n", prefix, err, strings.TrimSpace("nimue help "+name))
		return exitUsage
	case ctx.Err() != nil:
		fmt.Fprintln(c.messages, prefix, "interrupted")
		return exitInterrupted
	case !errors.Is(err, errBad):
		fmt.Fprintln(c.messages, prefix, strings.TrimPrefix(err.Error(), "nimue: "))
		if lacksDriver(err) {
			fmt.Fprintln(c.messages, "This command has only the drivers that are registered; cmd/nimue/drivers.go is where others are added.")
		}
	}
	return exitBad
}
