package nimue

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secrets lists the texts that must not appear in an error that comes from the
// inner driver: each secret as written, unquoted and unescaped, and the pieces
// that a parser which took it apart would quote. Longest first.
func (d DSN) secrets() []string {
	var found []string
	for _, s := range secretSpans(d.Driver, d.Inner) {
		found = append(found, variants(d.Inner[s.from:s.to])...)
	}
	if shownDriver(d.Driver, d.Inner) != d.Driver {
		_, hidden, _ := strings.Cut(d.Driver, "/")
		found = append(found, variants(hidden)...)
	}
	for _, p := range parameters {
		if !p.sql {
			continue
		}
		for _, text := range p.texts(&d) {
			if sensitiveSQL(text) {
				found = append(found, variants(text[sqlSecret(text):])...)
			}
		}
	}
	found = slices.DeleteFunc(found, func(s string) bool { return s == "" || s == mask })
	slices.SortFunc(found, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(found)
}

// sensitiveSQL reports whether a statement says by a word that it has a
// secret. Of others the literals are masked where the statement is shown, but
// they are too ordinary to look for in errors: SET TIME ZONE 'UTC'.
func sensitiveSQL(text string) bool {
	return slices.ContainsFunc(sqlWord.FindAllString(text, -1), isSensitiveWord)
}

var (
	backslash = regexp.MustCompile(`(?s)\\(.)`)
	badEscape = regexp.MustCompile(`(?s)%(?:[^0-9A-Fa-f].?|.[^0-9A-Fa-f]|.?$)`)
)

// variants lists the ways in which an error may show a secret.
func variants(secret string) []string {
	trimmed := strings.TrimRight(strings.TrimSpace(secret), ";")
	forms := []string{secret, trimmed}
	if n := len(trimmed); n >= 2 && strings.IndexByte(`'"{`, trimmed[0]) >= 0 {
		unquoted := trimmed[1 : n-1]
		forms = append(forms, unquoted, strings.ReplaceAll(unquoted, trimmed[n-1:]+trimmed[n-1:], trimmed[n-1:]))
	}
	for _, form := range slices.Clone(forms) {
		forms = append(forms, backslash.ReplaceAllString(form, "$1"))
		for _, unescape := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
			if plain, err := unescape(form); err == nil {
				forms = append(forms, plain)
			}
		}
	}
	// net/url quotes a malformed escape, a host or a port that it stumbled on.
	forms = append(forms, badEscape.FindAllString(secret, -1)...)
	for _, piece := range strings.FieldsFunc(secret, func(r rune) bool { return strings.ContainsRune("@:/?#&;=,'\"(){}<> \t\r\n", r) }) {
		if len(piece) >= 4 {
			forms = append(forms, piece)
		}
	}
	for _, form := range slices.Clone(forms) {
		for _, quoted := range []string{strconv.Quote(form), strconv.QuoteToASCII(form)} {
			forms = append(forms, quoted[1:len(quoted)-1])
		}
		forms = append(forms, url.QueryEscape(form), url.PathEscape(form), strings.TrimPrefix(url.UserPassword("", form).String(), ":"))
	}
	return forms
}

// redactError returns err itself where neither its text nor its fields have a
// secret of d. Otherwise
// it returns an error with the text masked that answers errors.Is and
// errors.As as err does, but does not hand err out by Unwrap: drivers' parsers
// quote the DSN in their errors.
func redactError(err error, d DSN) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	safe := redactText(text, d)
	if inside := fmt.Sprintf("%#v %+v", err, err); safe == text && redactText(inside, d) == inside {
		return err
	}
	return &redactedError{
		text: safe,
		is:   func(target error) bool { return errors.Is(err, target) },
		as:   func(target any) bool { return errors.As(err, target) },
	}
}

// redactText masks the secrets of d in a text.
func redactText(text string, d DSN) string {
	if redacted := redactInner(d.Driver, d.Inner); redacted != d.Inner {
		text = replaceQuoted(text, d.Inner, redacted)
	}
	for _, secret := range d.secrets() {
		text = maskWords(text, secret)
	}
	return text
}

// replaceQuoted replaces a text, and the same as %q would show it.
func replaceQuoted(text, old, replacement string) string {
	for _, quote := range []func(string) string{strconv.Quote, strconv.QuoteToASCII} {
		quoted := quote(old)
		text = strings.ReplaceAll(text, quoted[1:len(quoted)-1], replacement)
	}
	return strings.ReplaceAll(text, old, replacement)
}

// maskWords masks a secret in a text. One of less than four bytes is masked
// only where it stands alone: masking each "a" would spoil the text and tell
// the secret.
func maskWords(text, secret string) string {
	if len(secret) >= 4 {
		return strings.ReplaceAll(text, secret, mask)
	}
	var b strings.Builder
	for at := 0; ; {
		i := strings.Index(text[at:], secret)
		if i < 0 {
			b.WriteString(text[at:])
			return b.String()
		}
		from, to := at+i, at+i+len(secret)
		before, _ := utf8.DecodeLastRuneInString(text[:from])
		after, _ := utf8.DecodeRuneInString(text[to:])
		b.WriteString(text[at:from])
		if isWord(before) || isWord(after) {
			b.WriteString(secret)
		} else {
			b.WriteString(mask)
		}
		at = to
	}
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// redactedError stands for an error whose text had a secret in it. It keeps
// the original in closures, where no verb of fmt can reach it.
type redactedError struct {
	text string
	is   func(error) bool
	as   func(any) bool
}

func (e *redactedError) Error() string        { return e.text }
func (e *redactedError) Is(target error) bool { return e.is(target) }
func (e *redactedError) As(target any) bool   { return e.as(target) }
