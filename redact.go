package nimue

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mask stands in for every secret, as in net/url's Redacted.
const mask = "xxxxx"

// An inner DSN has whatever shape its driver likes, and may be ill-formed, so
// nothing here parses it. Each rule finds stretches of text that can be a
// secret in one family of shapes; all rules look at every DSN, and where they
// cannot know they take too much rather than too little.

// span is a stretch of a string, [from, to).
type span struct{ from, to int }

// redactInner returns the inner DSN with every secret masked.
func redactInner(driver, inner string) string {
	var b strings.Builder
	end := 0
	for _, s := range secretSpans(driver, inner) {
		b.WriteString(inner[end:s.from])
		b.WriteString(mask)
		end = s.to
	}
	b.WriteString(inner[end:])
	return b.String()
}

// secretSpans finds the secrets of an inner DSN, in order and not overlapping.
func secretSpans(driver, inner string) []span {
	spans := append(pairSpans(inner), userinfoSpans(driver, inner)...)
	spans = slices.DeleteFunc(spans, func(s span) bool { return s.from >= s.to })
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var merged []span
	for _, s := range spans {
		if n := len(merged); n > 0 && s.from <= merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, s.to)
		} else {
			merged = append(merged, s)
		}
	}
	return merged
}

var (
	urlScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)
	// mysqlAddress follows the userinfo in MySQL's form: user:password@tcp(host)/db.
	mysqlAddress = regexp.MustCompile(`@(?:[\w-]*\(|/)`)
	colon        = regexp.MustCompile(`:|%3[Aa]`)
	colonOrSlash = regexp.MustCompile(`[:/]|%3[Aa]`)
	// keywordForm is the beginning of a keyword/value DSN, libpq's or ADO's.
	keywordForm = regexp.MustCompile(`(?i)^\s*(?:` + keywords + `)\s*=`)
	anyKeyNext  = regexp.MustCompile(`^\s*[A-Za-z_][\w .-]*=`)
	pragmaOpen  = regexp.MustCompile(`[(=]|%28|%3[Dd]`)
)

// keywords are those of libpq and the commonest of ADO and ODBC. An unquoted
// value lasts until the next of them, so one that is missing here hides more.
const keywords = `host|hostaddr|port|user|dbname|password|passfile|service|sslmode|sslcert|sslkey|sslpassword|sslrootcert|` +
	`connect_timeout|application_name|options|search_path|target_session_attrs|channel_binding|client_encoding|timezone|` +
	`server|data source|address|addr|network address|initial catalog|database|user id|uid|pwd|driver|dsn|encrypt|trusted_connection`

// knownSchemes are those whose URLs are known to be scheme://user:password@host.
// Behind another scheme the text before the '@' may be a token alone.
var knownSchemes = []string{"postgres", "postgresql", "mysql", "mariadb", "sqlserver", "mssql", "oracle", "clickhouse", "cockroachdb", "redshift"}

// userinfoSpans finds the password in user:password@host, as a URL or not, and
// in user/password@host. The password may be unescaped and hold any character,
// so it is taken to begin at the first separator and to end at the last '@'.
func userinfoSpans(driver, s string) []span {
	if keywordForm.MatchString(s) {
		return nil // an '@' or ':' is part of some value
	}
	at := strings.LastIndexByte(s, '@')
	scheme := urlScheme.FindString(s)
	known := slices.Contains(knownSchemes, strings.ToLower(strings.TrimSuffix(scheme, "://")))
	switch {
	case at < 0:
		return hostlessSpans(driver, s, len(scheme))
	case !isDriverish(driver) && !known:
		// Perhaps user:password@host with no driver's name before it, so that
		// the "driver" is the user.
		return []span{{0, at}}
	case scheme == "" || at < len(scheme) || mysqlAddress.MatchString(s):
		if i := colonOrSlash.FindStringIndex(s[:at]); i != nil {
			return []span{{i[1], at}}
		}
	case !known:
		return []span{{len(scheme), at}}
	default:
		if i := colon.FindStringIndex(s[len(scheme):at]); i != nil {
			return []span{{len(scheme) + i[1], at}}
		}
	}
	return nil
}

var (
	mysqlDriver  = regexp.MustCompile(`(?i)mysql|maria`)
	oracleDriver = regexp.MustCompile(`(?i)oracle|godror`)
)

// hostlessSpans finds the password where no '@' ends it.
func hostlessSpans(driver, s string, scheme int) []span {
	i := -1
	switch {
	case scheme > 0:
		return portSpans(s, scheme)
	case mysqlDriver.MatchString(driver):
		if i = strings.IndexAny(s, ":("); i >= 0 && s[i] == '(' {
			i = -1 // the ':' of tcp(host:port)
		}
	case oracleDriver.MatchString(driver):
		i = strings.IndexByte(s, '/') // scott/tiger, on this machine
	}
	if i < 0 {
		return nil
	}
	return []span{{i + 1, len(s)}}
}

// portSpans finds scheme://user:password with the host forgotten: what stands
// where a port should is not one.
func portSpans(s string, start int) []span {
	end := len(s)
	if i := strings.IndexAny(s[start:], "/?#;"); i >= 0 {
		end = start + i
	}
	at := start
	for host := range strings.SplitSeq(s[start:end], ",") {
		bracket := strings.LastIndexByte(host, ']') + 1
		if i := strings.IndexByte(host[bracket:], ':'); i >= 0 {
			port := host[bracket+i+1:]
			if strings.Trim(port, "0123456789") != "" {
				return []span{{at + bracket + i + 1, len(s)}}
			}
		}
		at += len(host) + 1
	}
	return nil
}

// pairSpans finds the values of sensitive keys: in a URL's query, in keyword/value
// and ADO forms, in JSON, and SQLite's key pragmas.
func pairSpans(s string) []span {
	var spans []span
	for i := 0; i < len(s); i++ {
		if s[i] != '=' && s[i] != ':' {
			continue
		}
		key, before := keyBefore(s, i)
		var found span
		switch query := before == '?' || before == '&'; {
		case key == "":
			continue
		case isPragma(key) && s[i] == '=':
			found.from, found.to = pragmaSecret(s, i+1, queryValueEnd(s, i+1))
		case !isSensitive(key):
			continue
		case query:
			found = span{i + 1, queryValueEnd(s, i+1)}
		default:
			found = span{skipSpace(s, i+1), keywordValueEnd(s, i+1)}
		}
		spans = append(spans, found)
		i = max(i, found.to-1) // what looks like a pair in there is hidden with it
	}
	return spans
}

// keyBefore returns the key that ends before s[i], and the byte before the
// key (0 at the beginning). Only a quoted key can stand before a ':'.
func keyBefore(s string, i int) (key string, before byte) {
	end := len(strings.TrimRight(s[:i], " \t\r\n"))
	if end > 0 && (s[end-1] == '"' || s[end-1] == '\'') {
		end--
	} else if s[i] == ':' {
		return "", 0
	}
	from := end
	for from > 0 && isKeyByte(s[from-1]) {
		from--
	}
	if from > 0 {
		before = s[from-1]
	}
	return s[from:end], before
}

func isKeyByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c == '%' || c == '+' || c >= utf8.RuneSelf ||
		c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// plainKey reduces a key to lower-case letters and digits, unescaped, so that
// api_key, API-Key and api%5Fkey are one.
func plainKey(key string) string {
	if unescaped, err := url.QueryUnescape(key); err == nil {
		key = unescaped
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, key)
}

// isSensitive reports whether a key's value can be a secret.
func isSensitive(key string) bool {
	if strings.HasPrefix(key, prefix) {
		return true // misplaced, and perhaps SQL
	}
	key = plainKey(key)
	if strings.HasPrefix(key, "allow") {
		return false // MySQL's allowNativePasswords=true and the like
	}
	for _, part := range []string{"pass", "pwd", "secret", "token", "credential", "private", "apikey", "signature", "salt", "jwt"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return strings.HasSuffix(key, "key") || key == "pw" || key == "sig"
}

func isPragma(key string) bool { return plainKey(key) == "pragma" }

// pragmaSecret narrows the value of _pragma to the argument of a pragma that
// sets a key: key('…'), hexkey(…), rekey=….
func pragmaSecret(s string, from, to int) (int, int) {
	open := pragmaOpen.FindStringIndex(s[from:to])
	if open == nil || !strings.HasSuffix(plainKey(s[from:from+open[0]]), "key") {
		return from, from
	}
	argument := from + open[1]
	if s[to-1] == ')' && to-1 > argument {
		to--
	}
	return argument, to
}

// queryValueEnd returns where a query's value ends: at a '&' before another
// pair. One that no pair follows may be an unescaped piece of the value.
func queryValueEnd(s string, from int) int {
	for i := from; i < len(s); i++ {
		if s[i] == '&' {
			next, _, _ := strings.Cut(s[i+1:], "&")
			if strings.Contains(next, "=") {
				return i
			}
		}
	}
	return len(s)
}

// keywordValueEnd returns where a value of a keyword/value or ADO form ends.
// A quoted one goes on behind its quote until the next pair, in case the quote
// was the secret's own.
func keywordValueEnd(s string, from int) int {
	i := closingQuote(s, skipSpace(s, from))
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == ';' && anyKeyNext.MatchString(s[i+1:]):
			return i
		case strings.IndexByte(" \t\r\n", c) >= 0 && keywordForm.MatchString(s[i+1:]):
			return i
		}
	}
	return len(s)
}

// closingQuote returns the index behind the quoted text that begins at s[i],
// or i where none begins. Backslash escapes (libpq) and doubled quotes (ADO)
// both continue it; without an end it lasts to the end of s.
func closingQuote(s string, i int) int {
	if i >= len(s) || strings.IndexByte(`'"{`, s[i]) < 0 {
		return i
	}
	quote := s[i]
	if quote == '{' {
		quote = '}'
	}
	for i++; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// inQuotedSecret reports whether s[i] is within the quotes of a sensitive key's value.
func inQuotedSecret(s string, i int) bool {
	return slices.ContainsFunc(pairSpans(s), func(found span) bool {
		return found.from < i && closingQuote(s, found.from) > i
	})
}

func skipSpace(s string, i int) int {
	return len(s) - len(strings.TrimLeft(s[i:], " \t\r\n"))
}

var sqlWord = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// redactSQL masks what can be a secret in an SQL statement: everything behind
// the first quote, because where a literal ends depends on the database, and
// everything behind a word such as PASSWORD.
func redactSQL(text string) string {
	if i := sqlSecret(text); i < len(text) {
		return text[:i] + mask
	}
	return text
}

// sqlSecret returns where the secret of a statement can begin, or len(text).
func sqlSecret(text string) int {
	from := len(text)
	if i := strings.IndexAny(text, `'"$`); i >= 0 {
		from = i + 1
	}
	for _, word := range sqlWord.FindAllStringIndex(text, -1) {
		if word[0] < from && isSensitiveWord(text[word[0]:word[1]]) {
			from = word[1]
			return from + len(text[from:]) - len(strings.TrimLeft(text[from:], " =("))
		}
	}
	return from
}

func isSensitiveWord(word string) bool {
	return isSensitive(word) || strings.EqualFold(word, "identified")
}
