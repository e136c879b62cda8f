package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// flags are a command's flags. The flag package's own errors quote what was typed,
// which may be a misplaced DSN with a password in it; those of flags do not.
type flags struct {
	set     *flag.FlagSet
	problem string // what the last value that was refused should have been
}

func newFlags() *flags {
	f := &flags{set: flag.NewFlagSet("", flag.ContinueOnError)}
	f.set.SetOutput(io.Discard)
	f.set.Usage = func() {}
	return f
}

// declare adds a flag whose value is read by set; want says what is accepted.
func (f *flags) declare(name, def, want, usage string, set func(string) error) {
	f.set.Func(name, usage+"\x00"+def, func(text string) error {
		err := set(text)
		if err != nil {
			f.problem = fmt.Sprintf("-%s: want %s", name, want)
		}
		return err
	})
}

var errOutOfRange = errors.New("out of range")

func (f *flags) duration(name string, def, least, most time.Duration, usage string) *time.Duration {
	value := &def
	want := fmt.Sprintf("a duration from %v to %v, such as %v", least, most, def)
	f.declare(name, def.String(), want, usage, func(text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d < least || d > most {
			return errOutOfRange
		}
		*value = d
		return nil
	})
	return value
}

func (f *flags) number(name string, def, least, most int, usage string) *int {
	value := &def
	f.declare(name, strconv.Itoa(def), fmt.Sprintf("a number from %d to %d", least, most), usage, func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return errOutOfRange
		}
		*value = n
		return nil
	})
	return value
}

func (f *flags) text(name, usage string) *string {
	value := new(string)
	f.declare(name, "", "text", usage, func(text string) error {
		*value = text
		return nil
	})
	return value
}

func (f *flags) toggle(name string, def bool, usage string) *bool {
	value := &def
	shown := ""
	if def {
		shown = "true"
	}
	f.set.BoolFunc(name, usage+"\x00"+shown, func(text string) error {
		b, err := strconv.ParseBool(text)
		if err != nil {
			f.problem = fmt.Sprintf("-%s: want true or false", name)
			return err
		}
		*value = b
		return nil
	})
	return value
}

// plainFlag is a flag's name as somebody types it who means a flag.
var plainFlag = regexp.MustCompile(`^-{1,2}[a-z][a-z-]{0,15}$`)

// parse reads a command line on which flags may stand before and behind operands.
func (f *flags) parse(args []string) (operands []string, err error) {
	for len(args) > 0 {
		f.problem = ""
		before := args
		if err := f.set.Parse(args); err != nil {
			return nil, f.explain(err, before[max(len(before)-f.set.NArg()-1, 0)])
		}
		if f.set.NArg() == 0 {
			break
		}
		operands = append(operands, f.set.Arg(0))
		args = f.set.Args()[1:]
	}
	return operands, nil
}

// explain says what is wrong; last is the argument that was read last.
func (f *flags) explain(err error, last string) error {
	name, _, _ := strings.Cut(last, "=")
	malformed := strings.HasPrefix(err.Error(), "bad flag syntax") // which is not read, so it is not the last
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case f.problem != "":
		return usagef("%s", f.problem)
	case !malformed && plainFlag.MatchString(name) && f.set.Lookup(strings.TrimLeft(name, "-")) != nil:
		return usagef("%s: a value is missing", name)
	case !malformed && plainFlag.MatchString(name):
		return usagef("there is no flag %s", name)
	}
	return usagef("one of the flags is not known (it is not shown, since it may be a piece of a DSN)")
}

// describe lists the flags for help.
func (f *flags) describe() string {
	var b strings.Builder
	f.set.VisitAll(func(fl *flag.Flag) {
		usage, def, _ := strings.Cut(fl.Usage, "\x00")
		value, usage := flag.UnquoteUsage(&flag.Flag{Usage: usage, Value: fl.Value})
		if def != "" {
			usage += " (default " + def + ")"
		}
		fmt.Fprintf(&b, "  %-20s%s\n", strings.TrimSpace("-"+fl.Name+" "+value), usage)
	})
	return b.String()
}
