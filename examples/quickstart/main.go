// Command quickstart puts a small shop under load through nimue and checks every
// sum afterwards: 64 workers place and read 20,000 orders through eight pooled
// connections, one of which a reporter holds all the time. Then plain
// database/sql does the same work, and a table shows both.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -dsn 'pgx:postgres://app@localhost/shop?pool_max_conns=8'
//
// Without -dsn it works on SQLite files in a temporary directory. With it, the
// tables have names of their own and are dropped at the end. SQLite and
// PostgreSQL are linked in.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/nimue-go/nimue/adapter/pgx"
	_ "github.com/nimue-go/nimue/adapter/sqlite"
	_ "modernc.org/sqlite"
)

// The exit codes besides 0. exitInterrupted is what a shell makes of Ctrl-C.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// options are what the command line says.
type options struct {
	dsn     string // empty: SQLite in a temporary directory
	orders  int
	workers int
	compare bool
}

// usageError is an error that another command line would not have.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second Ctrl-C need not wait for the clean-up
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, isTerminal(os.Stderr)))
}

// run is the program; it returns the exit code. Results go to out, progress and
// the one line of an error to messages.
func run(ctx context.Context, args []string, out, messages io.Writer, terminal bool) int {
	opts, err := parseFlags(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = quickstart(ctx, opts, out, &progress{to: messages, inPlace: terminal})
	}
	if err == nil {
		return 0
	}
	if ctx.Err() != nil {
		fmt.Fprintln(messages, "quickstart: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(messages, "quickstart:", oneLine(err))
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

func parseFlags(args []string, help io.Writer) (options, error) {
	var opts options
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is one line, printed by run
	flags.StringVar(&opts.dsn, "dsn", "", "any nimue `DSN` of SQLite or PostgreSQL (default: SQLite in a temporary directory)")
	flags.IntVar(&opts.orders, "orders", 20_000, "`number` of orders to place")
	flags.IntVar(&opts.workers, "workers", 64, "`number` of workers that place them")
	flags.BoolVar(&opts.compare, "compare", true, "do the same work with plain database/sql too")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(help)
		flags.PrintDefaults()
		return opts, err
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case opts.orders < 1 || opts.orders > mostOrders:
		err = fmt.Errorf("-orders %d: want 1 to %d", opts.orders, mostOrders)
	case opts.workers < 1 || opts.workers > mostWorkers:
		err = fmt.Errorf("-workers %d: want 1 to %d", opts.workers, mostWorkers)
	}
	if err != nil {
		return opts, usageError{err}
	}
	return opts, nil
}

// quickstart does the job through nimue, checks and shows it, and then has plain
// database/sql do the same.
func quickstart(ctx context.Context, opts options, out io.Writer, prog *progress) (err error) {
	place, err := newPlace(opts.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, place.remove()) }()

	pooled, err := compete(ctx, throughNimue, place.dsn("nimue"), opts, prog, nil)
	if err != nil {
		return err
	}
	if pooled.placed > 0 {
		fmt.Fprintf(out, "%d workers placed and read %d orders (%s).\n\n", opts.workers, pooled.placed, place.shown)
		showBooks(out, pooled.booked)
		showPool(out, pooled)
	}
	if err := pooled.fault(); err != nil {
		return err
	}
	if !opts.compare {
		showTable(out, pooled)
		return nil
	}
	rivals, err := comparePlain(ctx, place, opts, prog, pooled.elapsed)
	if err != nil {
		return err
	}
	showTable(out, append([]*result{pooled}, rivals...)...)
	return nil
}

// isTerminal is a good guess, and a wrong one does no harm.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// oneLine joins the lines of an error's text: joined errors have several, and so
// have some drivers'.
func oneLine(err error) string {
	text := ""
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		switch {
		case text == "" || line == "":
		case strings.HasSuffix(text, ":"):
			text += " "
		default:
			text += "; "
		}
		text += line
	}
	return text
}
