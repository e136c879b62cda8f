// Command bench compares nimue with its peers: it starts a PostgreSQL and a MariaDB
// server of its own, runs every row of the comparison with all contenders in turn,
// round after round, and writes a page with tables, the charts for it, and the
// results in Go's benchmark format.
//
//	go run .                  everything, ten rounds; RESULTS.md, results.txt, charts/
//	go run . -rows growth     some rows, into a new temporary directory
//	go run . -rounds 0        the page and the charts again, from results.txt
//
// README.md says what is compared, and how to read the page.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nimue-go/nimue/bench/rows"
)

// options are the command line.
type options struct {
	rounds    int
	rows      []rows.Row
	out       string
	benchtime string
}

func main() {
	o, err := parseOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	pattern := flags.String("rows", "", "regular expression of the rows to run, such as '^postgres/'; whatever the case")
	flags.IntVar(&o.rounds, "rounds", 10, "how often every contender has its turn; 0 only draws the page again")
	flags.StringVar(&o.out, "out", "", "directory to write to; by default this one, or a temporary one if -rows is given")
	flags.StringVar(&o.benchtime, "benchtime", "500ms", "time of one turn, for rows that do not set their own")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("what is %q?", flags.Arg(0))
	}
	if o.rounds < 0 {
		return o, fmt.Errorf("%d rounds are not to be had", o.rounds)
	}
	var err error
	if o.rows, err = rows.Matching(*pattern); err != nil {
		return o, err
	}
	if len(o.rows) == 0 {
		return o, fmt.Errorf("no row matches %q", *pattern)
	}
	if o.out == "" {
		o.out = "."
		if *pattern != "" && o.rounds > 0 {
			o.out, err = os.MkdirTemp("", "nimue-bench-")
		}
	}
	return o, err
}
