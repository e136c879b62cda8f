package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
)

// console is what a command talks to.
type console struct {
	in            io.Reader
	out, messages io.Writer
	env           func(string) string
}

// longestOperand bounds what is read from standard input.
const longestOperand = 64 << 10

// operand finds the one operand, a "DSN" or "URL": on the command line, on standard
// input or in the environment.
func (c *console) operand(args []string, what string) (string, error) {
	variable := "NIMUE_" + what
	switch {
	case len(args) > 1:
		return "", usagef("there are %d arguments where one %s is expected; put it in quotes", len(args), what)
	case len(args) == 1 && args[0] != "-":
		if args[0] == "" {
			return "", usagef("the %s is empty", what)
		}
		return args[0], nil
	case len(args) == 0:
		if text := c.env(variable); text != "" {
			return text, nil
		}
		return "", usagef("a %s is missing: give it in quotes, or in %s, or - to read it from standard input", what, variable)
	}
	line, err := bufio.NewReader(io.LimitReader(c.in, longestOperand)).ReadString('\n')
	line = strings.TrimSpace(line)
	if line == "" {
		if err == nil || errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return "", usagef("the %s on standard input: %w", what, err)
	}
	return line, nil
}

// printJSON writes a command's one document.
func (c *console) printJSON(document any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // & is in every DSN
	return e.Encode(document)
}

// size returns the width and height of the terminal that w is, if it is one on which
// a cursor can be moved.
func (c *console) size(w io.Writer) (width, height int, terminal bool) {
	f, ok := w.(*os.File)
	if !ok || c.env("TERM") == "dumb" {
		return 0, 0, false
	}
	width, height, terminal = terminalSize(f)
	if terminal && (width <= 0 || height <= 0) { // some do not know
		width, height = 80, 24
	}
	return width, height, terminal
}

// widthUnknown is the width of what is printed into a file or a pipe.
const widthUnknown = 100

// width is how long a line of the command's output may be.
func (c *console) width() int {
	if n, err := strconv.Atoi(c.env("COLUMNS")); err == nil && n > 0 {
		return max(n, 40)
	}
	if width, _, terminal := c.size(c.out); terminal {
		return max(width, 40)
	}
	return widthUnknown
}

// style is how text is set off: by nothing where there is no terminal, or NO_COLOR
// asks for nothing.
type style bool

func (c *console) style(w io.Writer) style {
	_, _, terminal := c.size(w)
	return style(terminal && c.env("NO_COLOR") == "")
}

func (s style) code(code, text string) string {
	if !s || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string   { return s.code("1", text) }
func (s style) faint(text string) string  { return s.code("2", text) }
func (s style) red(text string) string    { return s.code("31", text) }
func (s style) green(text string) string  { return s.code("32", text) }
func (s style) yellow(text string) string { return s.code("33", text) }

// printable makes a text that came from elsewhere one line that cannot command the
// terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, strings.TrimSpace(text))
}

// clip shortens a text to a number of characters.
func clip(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:max(most-1, 0)]) + "…"
}

// wrap breaks a text into lines of at most so many characters, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// indented writes a text with a label before its first line and the rest beneath.
func (c *console) indented(label, text string, indent int) {
	for i, line := range wrap(text, max(c.width()-indent, 30)) {
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(c.out, "%-*s%s\n", indent, label, line)
	}
}
