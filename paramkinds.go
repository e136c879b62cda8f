package nimue

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nimue-go/nimue/pool"
)

// The kinds of parameters: how each is read, bounded and written.

func fixed(n int) string { return strconv.Itoa(n) }

// number is a parameter that holds a whole number. Its default is a number,
// or words where the default follows another setting. A value equal to a
// numeric default is stored as the field's zero value, so that saying a
// default and saying nothing make equal DSNs.
func number(key, field, def string, least, most int, at func(*pool.Config) *int, doc string) *parameter {
	p := &parameter{key: key, field: field, def: def, doc: doc, least: int64(least), most: int64(most)}
	p.want = fmt.Sprintf("a whole number from %d to %d", least, most)
	p.parse = func(d *DSN, text string) (string, bool) {
		n, err := strconv.Atoi(text)
		if err != nil || !startsWithDigit(text) || n < least || n > most {
			return "", false
		}
		*at(&d.Pool) = n
		if strconv.Itoa(n) == p.def {
			*at(&d.Pool) = 0
		} else if n == 0 && p.none {
			*at(&d.Pool) = pool.None
		}
		return "", true
	}
	p.texts = func(d *DSN) []string {
		n := *at(&d.Pool)
		if n == 0 || strconv.Itoa(n) == p.def {
			return nil
		}
		if n == pool.None && p.none {
			n = 0
		}
		return []string{strconv.Itoa(n)}
	}
	return p
}

// delay is a parameter that holds a duration. Its default is def, or words set
// with shownDefault. Where least is 0, 0 switches off what it limits.
func delay(key, field string, def, least time.Duration, at func(*pool.Config) *time.Duration, doc string) *parameter {
	p := &parameter{key: key, field: field, def: shortDuration(def), doc: doc,
		least: int64(least), most: int64(pool.LongestDelay), duration: true, none: least == 0}
	p.want = "a duration such as 30s, 5m or 1h30m"
	if p.none {
		p.want = "0 or " + p.want
	}
	p.want += ", at most " + shortDuration(pool.LongestDelay)
	p.parse = func(d *DSN, text string) (string, bool) {
		v, err := time.ParseDuration(text)
		if err != nil || !startsWithDigit(text) || v < least || v > pool.LongestDelay || v == 0 && strings.ContainsAny(text, "123456789") {
			return durationHint(text), false
		}
		switch {
		case v == 0 && p.none:
			v = pool.None
		case v == def:
			v = 0
		}
		*at(&d.Pool) = v
		return "", true
	}
	p.texts = func(d *DSN) []string {
		switch v := *at(&d.Pool); v {
		case 0, def:
			return nil
		case pool.None:
			return []string{"0"}
		default:
			return []string{shortDuration(v)}
		}
	}
	return p
}

// enum is a parameter that holds one of some words, in the order of the
// constants they stand for; the first is the default.
func enum[T ~uint8](key, field string, at func(*DSN) *T, doc string, words ...string) *parameter {
	p := &parameter{key: key, field: field, def: words[0], doc: doc}
	p.want = strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
	p.parse = func(d *DSN, text string) (string, bool) {
		for i, word := range words {
			if text == word {
				*at(d) = T(i)
				return "", true
			}
			if strings.EqualFold(text, word) {
				return word, false
			}
		}
		return "", false
	}
	p.texts = func(d *DSN) []string {
		if v := *at(d); v != 0 && int(v) < len(words) {
			return []string{words[v]}
		}
		return nil
	}
	return p
}

// toggle is a parameter that is off unless it says on.
func toggle(key, field string, at func(*pool.Config) *bool, doc string) *parameter {
	type state uint8
	p := &parameter{key: key, field: field, def: "off", doc: doc, want: "off or on"}
	words := enum(key, field, func(*DSN) *state { return new(state) }, doc, "off", "on")
	p.parse = func(d *DSN, text string) (string, bool) {
		hint, ok := words.parse(d, text)
		*at(&d.Pool) = ok && text == "on"
		return hint, ok
	}
	p.texts = func(d *DSN) []string {
		if *at(&d.Pool) {
			return []string{"on"}
		}
		return nil
	}
	return p
}

// clock is a parameter that holds a time of day.
func clock(key, field string, at func(*pool.Config) *string, doc string) *parameter {
	p := &parameter{key: key, field: field, def: "–", doc: doc, want: "a time of day as HH:MM, from 00:00 to 23:59"}
	p.parse = func(d *DSN, text string) (string, bool) {
		*at(&d.Pool) = text
		_, err := time.Parse("15:04", text)
		return "", err == nil && len(text) == len("15:04")
	}
	p.texts = func(d *DSN) []string {
		if text := *at(&d.Pool); text != "" {
			return []string{text}
		}
		return nil
	}
	return p
}

// statement is a parameter that holds one SQL statement.
func statement(key, field string, at func(*pool.Config) *string, doc string) *parameter {
	p := &parameter{key: key, field: field, def: "–", doc: doc, sql: true, want: "an SQL statement"}
	p.parse = func(d *DSN, text string) (string, bool) {
		*at(&d.Pool) = text
		return "", isStatement(text)
	}
	p.texts = func(d *DSN) []string {
		if text := *at(&d.Pool); text != "" {
			return []string{text}
		}
		return nil
	}
	return p
}

// statements is a parameter that may be repeated, for SQL statements to be run
// in that order.
func statements(key, field string, at func(*pool.Config) *[]string, doc string) *parameter {
	p := &parameter{key: key, field: field, def: "–", doc: doc + "; repeatable", sql: true, repeats: true, want: "an SQL statement"}
	p.parse = func(d *DSN, text string) (string, bool) {
		*at(&d.Pool) = append(*at(&d.Pool), text)
		return "", isStatement(text)
	}
	p.texts = func(d *DSN) []string { return *at(&d.Pool) }
	return p
}

// isStatement reports whether text can be SQL at all. A NUL would end the
// statement early in some drivers and fail in others.
func isStatement(text string) bool {
	return strings.TrimSpace(text) != "" && !strings.ContainsRune(text, 0)
}

func nameParameter() *parameter {
	p := &parameter{key: "pool_name", field: "Name", def: "from the DSN, redacted", follows: "the inner DSN",
		doc:  "label in errors, logs and statistics; two opens with the same explicit name and DSN share one pool",
		want: fmt.Sprintf("1 to %d bytes of printable text, with no secret in it", longestName)}
	p.parse = func(d *DSN, text string) (string, bool) {
		d.Pool.Name, d.Named = text, true
		return "", text != "" && len(text) <= longestName && isPrintable(text) && len(pairSpans(text)) == 0
	}
	p.texts = func(d *DSN) []string {
		if !d.Named {
			return nil
		}
		return []string{d.Pool.Name}
	}
	return p
}

// zeroIsNone makes 0 mean pool.None, for a field whose zero is a default.
func (p *parameter) zeroIsNone() *parameter {
	p.none = true
	return p
}

// shownDefault replaces the default's text, for one that follows another setting.
func (p *parameter) shownDefault(text string) *parameter {
	p.def = text
	return p
}

// following says what the default is taken from.
func (p *parameter) following(what string) *parameter {
	p.follows = what
	return p
}

// offByDefault says that 0 is the default, and nothing but that.
func (p *parameter) offByDefault() *parameter {
	p.def, p.none = "0", false
	return p
}

// alsoAccepts makes word a way to write the default.
func (p *parameter) alsoAccepts(word string) *parameter {
	parse := p.parse
	p.parse = func(d *DSN, text string) (string, bool) {
		if text == word {
			return "", true
		}
		return parse(d, text)
	}
	p.want += ", or " + word
	return p
}

// shown is the value as an error or a log may show it.
func (p *parameter) shown(text string) string {
	if p.sql {
		return redactSQL(text)
	}
	return text
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

func isPrintable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// shortDuration writes d without the zero units of Duration.String, and with
// an ASCII micro sign, so that it needs no escaping.
func shortDuration(d time.Duration) string {
	s := strings.Replace(d.String(), "µ", "u", 1)
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// durationHint says what a number without a unit, or one in days, was meant for.
func durationHint(text string) string {
	unit := strings.TrimLeft(text, "0123456789")
	digits := text[:len(text)-len(unit)]
	n, err := strconv.Atoi(digits)
	if err != nil || n == 0 {
		return ""
	}
	switch strings.ToLower(strings.TrimSpace(unit)) {
	case "":
		return digits + "s"
	case "d", "day", "days":
		return fmt.Sprintf("%dh", min(n, 3650)*24)
	case "sec", "secs", "second", "seconds":
		return digits + "s"
	case "min", "mins", "minute", "minutes":
		return digits + "m"
	}
	return ""
}
