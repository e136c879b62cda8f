package nimue

import (
	"strings"

	"github.com/nimue-go/nimue/pool"
)

// txEffect is what SQL text does to the transaction of its session, as far as its
// keywords tell.
type txEffect uint8

const (
	noTxEffect     txEffect = iota
	opensTx                 // BEGIN, START TRANSACTION, SET autocommit …
	opensTxOutside          // SAVEPOINT: begins one in SQLite where there is none
	endsTx                  // COMMIT, END, ROLLBACK, ABORT
)

// sqlText is what can be told of a statement by its text.
type sqlText struct {
	query     string
	effect    txEffect
	endsStmts bool // the session's prepared statements
	single    bool // see isSingle
}

func readText(query string) sqlText {
	return sqlText{query, effectOf(query), pool.EndsStmts(query[skipBlank(query):]), isSingle(query)}
}

// effectOf looks at the first keyword of the text, and where there are several
// statements, at those of the others too. It errs towards opensTx: what follows
// from it is one ROLLBACK too many, and from the opposite a transaction handed to
// a stranger.
func effectOf(query string) txEffect {
	effect, rest := firstEffect(query)
	if strings.IndexByte(rest, ';') < 0 {
		return effect
	}
	for part := range strings.SplitSeq(rest, ";") {
		switch e, _ := firstEffect(part); e {
		case opensTx:
			return opensTx
		case opensTxOutside:
			if effect != opensTx {
				effect = e
			}
		case endsTx:
			// It may stand in a literal, or end only what the text itself began.
		}
	}
	if effect == endsTx && strings.TrimRight(rest, "; \t\r\n") != "" && strings.Contains(rest, ";") {
		return noTxEffect // COMMIT and more: not certain
	}
	return effect
}

// firstEffect reads the first statement's keyword and returns what follows it.
func firstEffect(query string) (txEffect, string) {
	i := skipBlank(query)
	end := i
	for end < len(query) && isLetter(query[end]) {
		end++
	}
	return keywordEffect(query[i:end], query[end:]), query[end:]
}

// keywordEffect switches on the length first: nearly every statement is told from
// these keywords by that or by its first letter.
func keywordEffect(word, rest string) txEffect {
	is := func(s string) bool { return strings.EqualFold(word, s) }
	switch len(word) {
	case 3:
		if is("END") {
			return endOrChain(rest)
		}
		if is("SET") { // one variable or several, in any scope
			rest = strings.ToUpper(rest)
			if strings.Contains(rest, "AUTOCOMMIT") || strings.Contains(rest, "IMPLICIT_TRANSACTIONS") {
				return opensTx
			}
		}
	case 5:
		if is("BEGIN") || is("START") && nextIs(rest, "TRANSACTION") {
			return opensTx
		}
		if is("ABORT") {
			return endOrChain(rest)
		}
	case 6:
		if is("COMMIT") {
			return endOrChain(rest)
		}
	case 8:
		if is("ROLLBACK") && !nextIs(rest, "TO") && !nextIs(rest, "TRANSACTION TO") && !nextIs(rest, "WORK TO") {
			return endOrChain(rest)
		}
	case 9:
		if is("SAVEPOINT") {
			return opensTxOutside
		}
	}
	return noTxEffect
}

// endOrChain tells COMMIT from COMMIT AND CHAIN, which begins the next one.
func endOrChain(rest string) txEffect {
	for _, chain := range []string{"AND CHAIN", "WORK AND CHAIN", "TRANSACTION AND CHAIN"} {
		if nextIs(rest, chain) {
			return opensTx
		}
	}
	return endsTx
}

// nextIs tells whether rest begins with the words, in any case.
func nextIs(rest, words string) bool {
	for word := range strings.FieldsSeq(words) {
		rest = rest[skipBlank(rest):]
		if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
			return false
		}
		rest = rest[len(word):]
		if rest != "" && (isLetter(rest[0]) || rest[0] == '_') {
			return false
		}
	}
	return true
}

// skipBlank returns the length of the white space and comments at the start.
func skipBlank(s string) int {
	i := 0
	for i < len(s) {
		switch {
		case s[i] == ' ' || '\t' <= s[i] && s[i] <= '\r' || s[i] == ';' || s[i] == '(':
			i++
		case strings.HasPrefix(s[i:], "--") || s[i] == '#':
			end := strings.IndexByte(s[i:], '\n')
			if end < 0 {
				return len(s)
			}
			i += end + 1
		case strings.HasPrefix(s[i:], "/*"):
			end := strings.Index(s[i+2:], "*/")
			if end < 0 {
				return len(s)
			}
			i += end + 4
		default:
			return i
		}
	}
	return i
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
