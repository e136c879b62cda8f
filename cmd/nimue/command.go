package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
)

// command is one of nimue's commands.
type command struct {
	name    string
	operand string // "DSN" or "URL"
	brief   string // for the overview
	about   string // for its own help
	// prepare declares the command's flags and returns what the command does
	// once they are read.
	prepare func(*flags) action
}

// action does a command's work on its operand, which is not empty.
type action func(ctx context.Context, c *console, operand string) error

// commands are in the order of the overview. They are a function, since help is
// among what they lead to.
func commands() []*command {
	return []*command{explainCommand, pingCommand, benchCommand, watchCommand}
}

func commandNamed(name string) *command {
	for _, cmd := range commands() {
		if cmd.name == name {
			return cmd
		}
	}
	return nil
}

// run reads the command line and does the work.
func (cmd *command) run(ctx context.Context, c *console, args []string) error {
	f := newFlags()
	do := cmd.prepare(f)
	operands, err := f.parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(c.out, cmd.help())
		return nil
	}
	if err != nil {
		return err
	}
	operand, err := c.operand(operands, cmd.operand)
	if err != nil {
		return err
	}
	return do(ctx, c, operand)
}

// help is what "nimue help" says about the command.
func (cmd *command) help() string {
	f := newFlags()
	cmd.prepare(f)
	return fmt.Sprintf("usage: nimue %s [flags] %s\n\n%s\nFlags:\n%s", cmd.name, cmd.operand, strings.TrimLeft(cmd.about, "\n"), f.describe())
}

// overview is what "nimue help" says.
func overview() string {
	var b strings.Builder
	b.WriteString("usage: nimue COMMAND [flags] OPERAND\n\n")
	for _, cmd := range commands() {
		fmt.Fprintf(&b, "  %-19s%s\n", cmd.name+" "+cmd.operand, cmd.brief)
	}
	b.WriteString(`  help COMMAND       all about a command

A DSN is an inner driver's name, its DSN, and pool_ parameters:

  pgx:postgres://app@db.internal/shop?sslmode=verify-full&pool_max_conns=20
  mysql:app@tcp(db.internal:3306)/shop?parseTime=true&pool_min_conns=2
  sqlite:file:shop.db?_pragma=busy_timeout(5000)&pool_max_conns=8

It belongs in quotes. Without one, NIMUE_DSN is read from the environment (for a
URL, NIMUE_URL), and "-" reads a line of standard input, so that a password need
not stand in the list of processes. No password is ever printed.

Exit codes: 0 all is well; 1 what was asked about is not; 2 the command line is
wrong; 130 interrupted. With -json each command prints one JSON document.
`)
	return b.String()
}

func help(c *console, args []string) error {
	switch {
	case len(args) == 0:
		fmt.Fprint(c.out, overview())
	case len(args) > 1:
		return usagef("one command at a time")
	case commandNamed(args[0]) == nil:
		return usagef("%s", unknownCommand(args[0]))
	default:
		fmt.Fprint(c.out, commandNamed(args[0]).help())
	}
	return nil
}

// unknownCommand shows what was typed only if that can be no DSN.
func unknownCommand(typed string) string {
	if strings.Contains(typed, ":") {
		return `the first argument is the command, for example: nimue explain "DSN"`
	}
	var names []string
	for _, cmd := range commands() {
		names = append(names, cmd.name)
		if len(typed) >= 2 && (strings.HasPrefix(cmd.name, typed) || strings.HasPrefix(typed, cmd.name)) {
			return fmt.Sprintf("there is no such command; did you mean %s?", cmd.name)
		}
	}
	return "there is no such command; there are " + strings.Join(slices.Concat(names, []string{"help"}), ", ")
}
