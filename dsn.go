package nimue

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"unicode"

	"github.com/nimue-go/nimue/pool"
)

// DSN is a data source name, taken apart by [ParseDSN].
//
// It usually carries a password. Printing it with the fmt package, logging it
// with log/slog and marshalling it show the redacted form; the full one is
// had from [DSN.Format] alone. fmt cannot call methods on an unexported field
// of another struct: hold a *DSN there.
type DSN struct {
	// Driver is the name of the inner driver as registered with database/sql.
	Driver string
	// Inner is what the inner driver is opened with: the DSN without its
	// driver name and pool parameters, unchanged in every other byte.
	Inner string
	// Pool holds the settings. A zero field is a setting left at its default,
	// or written as it: pool.Config.WithDefaults tells what applies. Name is
	// always set.
	Pool pool.Config
	// Named says that the DSN gave pool_name; otherwise Pool.Name was made
	// from the driver and the redacted inner DSN.
	Named bool
	// LogLevel is pool_log_level.
	LogLevel LogLevel
}

// ParseDSN takes a DSN apart and checks everything in it that can be checked
// without opening it; whether the inner driver is registered is not looked at.
//
// The text before the first ':' names the inner driver. In the query after the
// last '?', every pair whose key begins with pool_ is nimue's and is removed,
// with the '?' if nothing else is left of the query; the rest is the inner DSN,
// unchanged. The values of the pairs removed, and only those, are unescaped as
// in a URL's query.
//
// The error, if any, is a *DSNError that lists all problems.
func ParseDSN(s string) (DSN, error) {
	if s == "" {
		return DSN{}, dsnError("it is empty; " + dsnGrammar)
	}
	p := parser{}
	if i := strings.IndexByte(s, 0); i >= 0 {
		p.fail("", "", fmt.Sprintf("it has a NUL byte at offset %d, which no database accepts", i))
	}
	body, pairs := splitPairs(s)
	driver, inner, found := strings.Cut(body, ":")
	p.dsn.Driver, p.dsn.Inner = driver, inner
	p.checkShape(body, pairs, found)
	p.checkPlacement(body)
	p.parsePairs(pairs)
	p.checkContradictions()
	if len(p.problems) > 0 {
		return DSN{}, &DSNError{Problems: p.problems}
	}
	if !p.dsn.Named {
		p.dsn.Pool.Name = p.dsn.label()
	}
	return p.dsn, nil
}

// pair is one raw pool_ segment of the query, taken apart but not unescaped.
type pair struct {
	key, value string
	// exposed: no '@' follows the key, and it is not within the quotes of a
	// secret. Otherwise key and value may be a piece of a password that held a
	// '?', and must not be shown.
	exposed bool
}

// splitPairs removes the pool_ pairs from the query after the last '?'.
func splitPairs(s string) (rest string, pairs []pair) {
	mark := strings.LastIndexByte(s, '?')
	if mark < 0 {
		return s, nil
	}
	lastAt, quoted := strings.LastIndexByte(s, '@'), inQuotedSecret(s, mark)
	var kept []string
	at := mark + 1
	for segment := range strings.SplitSeq(s[mark+1:], "&") {
		if strings.HasPrefix(segment, prefix) {
			key, value, _ := strings.Cut(segment, "=")
			pairs = append(pairs, pair{key, value, lastAt < at && !quoted})
		} else {
			kept = append(kept, segment)
		}
		at += len(segment) + 1
	}
	switch {
	case pairs == nil:
		return s, nil
	case kept == nil:
		return s[:mark], pairs
	}
	return s[:mark+1] + strings.Join(kept, "&"), pairs
}

// parser gathers the DSN and its problems.
type parser struct {
	dsn      DSN
	problems []DSNProblem
	written  map[string]int  // how often each parameter was given
	faulty   map[string]bool // parameters that had a problem
}

func (p *parser) fail(key, value, message string) {
	p.problems = append(p.problems, DSNProblem{key, value, message})
}

// checkShape looks at the driver's name, and recognises DSNs that lack it.
func (p *parser) checkShape(body string, pairs []pair, colon bool) {
	d := &p.dsn
	switch line, bare := bareDSN(body); {
	case bare:
		p.fail("", "", "the inner driver's name is missing at its beginning; write "+line.shown(pairs))
	case !colon:
		p.fail("", "", "it has no ':' after the inner driver's name; "+dsnGrammar)
	case d.Driver == "":
		p.fail("", "", "the inner driver's name before the first ':' is empty; "+dsnGrammar)
	case d.Driver == DriverName:
		message := "nimue cannot be its own inner driver; name the one beneath"
		if inner, _, ok := strings.Cut(d.Inner, ":"); ok && isDriverish(inner) {
			message += ": leave out the first nimue:"
		}
		p.fail("", "", message)
	case !isDriverName(d.Driver):
		// Not shown: whatever it is, a password can be in it.
		p.fail("", "", "the text before the first ':' is no driver name (letters, digits and any of _-.+/); "+dsnGrammar)
	}
}

// checkPlacement refuses parameters that the rule of the last '?' leaves to
// the inner driver. An '@' behind them means that they are in a password.
func (p *parser) checkPlacement(body string) {
	tail := body[strings.LastIndexByte(body, '@')+1:]
	for i := range len(tail) {
		if tail[i] != '?' && tail[i] != '&' {
			continue
		}
		key, _, ok := strings.Cut(tail[i+1:], "=")
		if ok && parameterByKey[key] != nil {
			p.fail(key, "", "it would go to the inner driver, because "+whyMisplaced(tail[i+1:])+
				"; parameters stand behind the last '?', and ? & + % in their values are written %3F %26 %2B %25")
		}
	}
}

// whyMisplaced says what is wrong, given the text from a misplaced parameter on.
func whyMisplaced(rest string) string {
	if strings.Contains(rest, "?") {
		return "another '?' follows it"
	}
	return "it is not in the DSN's last query"
}

// parsePairs stores the parameters.
func (p *parser) parsePairs(pairs []pair) {
	p.written, p.faulty = map[string]int{}, map[string]bool{}
	for _, pair := range pairs {
		p.written[pair.key]++
	}
	reported := map[string]bool{}
	for _, pair := range pairs {
		row := parameterByKey[pair.key]
		switch {
		case row == nil:
			p.unknown(pair)
		case p.written[pair.key] > 1 && !row.repeats:
			p.faulty[pair.key] = true
			if !reported[pair.key] {
				reported[pair.key] = true
				p.fail(pair.key, "", fmt.Sprintf("given %d times, accepted once", p.written[pair.key]))
			}
		default:
			p.parsePair(row, pair)
		}
	}
}

func (p *parser) parsePair(row *parameter, pair pair) {
	value, err := url.QueryUnescape(pair.value)
	if err != nil {
		message := "malformed percent escape"
		if bad, ok := errors.AsType[url.EscapeError](err); ok && pair.exposed && !row.sql {
			message += fmt.Sprintf(" %q", string(bad))
		}
		shown := pair.value
		if row.sql {
			shown = mask // still escaped, so its literals cannot be told
		}
		p.reject(row, pair, shown, message+"; write % itself as %25")
		return
	}
	// A failed parse may have stored something; it must not reach the
	// comparison of settings with each other.
	trial := p.dsn
	hint, ok := row.parse(&trial, value)
	if ok && row.key == "pool_name" && !pair.exposed {
		ok = false // it would be shown wherever the pool is
	}
	if ok {
		p.dsn = trial
		return
	}
	message := "want " + row.want
	if hint != "" && pair.exposed {
		message += "; did you mean " + hint + "?"
	}
	p.reject(row, pair, row.shown(value), message)
}

// reject reports a parameter's value.
func (p *parser) reject(row *parameter, pair pair, shown, message string) {
	p.faulty[row.key] = true
	switch {
	case !pair.exposed:
		shown, message = mask, message+aroundAt
	case !row.sql && len(pairSpans(shown)) > 0:
		shown, message = mask, message+"; pool_ parameters come last in the DSN (the value is not shown: it holds a piece of the inner DSN)"
	case shown == "":
		message = "it has no value; " + message
	}
	p.fail(row.key, clip(shown, 60), message)
}

// aroundAt explains why a value or a key is not shown.
const aroundAt = " (not shown: an '@' or a quote follows, so it may be a piece of a password that holds a '?'; write those as %40, %27 and %3F)"

// unknown reports a pool_ key that is not in the table. Its value says
// nothing about the mistake and might be a secret.
func (p *parser) unknown(pair pair) {
	near := nearestParameter(pair.key)
	message := "unknown parameter"
	if near != nil {
		message += fmt.Sprintf("; did you mean %s (%s)?", near.key, near.want)
	}
	key := pair.key
	if !pair.exposed {
		key = prefix + mask
		message += aroundAt
	} else if !isKey(key) {
		key = prefix + mask
	}
	p.fail(clip(key, 40), "", message)
}

// isKey reports whether a key has only the characters of keys.
func isKey(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
}

// checkContradictions has the pool's own rules compare the settings, and says
// what they find in the DSN's words.
func (p *parser) checkContradictions() {
	bad, ok := errors.AsType[*pool.ConfigError](p.dsn.Pool.Validate())
	if !ok {
		return
	}
	for _, problem := range bad.Problems {
		key := keyByField[problem.Field]
		want, mentioned := inKeys(problem.Want)
		// A setting that follows another would be reported twice, and one
		// compared with a faulty one would be compared with its default.
		related := append(mentioned, key, "pool_max_conns")
		skip := p.written[key] == 0
		for _, k := range related {
			skip = skip || p.faulty[k]
		}
		if !skip {
			p.fail(key, strings.Join(parameterByKey[key].texts(&p.dsn), ", "), want)
		}
	}
}

// inKeys replaces the names of Config fields with those of parameters.
func inKeys(text string) (replaced string, keys []string) {
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, word := range words {
		if key := keyByField[word]; key != "" {
			keys = append(keys, key)
			text = strings.ReplaceAll(text, word, key)
		}
	}
	return text, keys
}

// Format returns the DSN in full, passwords included: use it to open a
// database, never to show. It writes settings that are not the defaults, in a
// fixed order, so equal DSNs format alike, and ParseDSN of what it returns is
// equal to any d that came from ParseDSN.
func (d DSN) Format() string {
	return d.assemble(d.Driver, d.Inner, func(_ *parameter, text string) string { return text })
}

// Redacted returns the DSN as Format does, but with every password, key and
// token in the inner DSN and every literal in SQL replaced by xxxxx.
func (d DSN) Redacted() string {
	return d.assemble(shownDriver(d.Driver, d.Inner), redactInner(d.Driver, d.Inner), (*parameter).shown)
}

// String returns d.Redacted().
func (d DSN) String() string { return d.Redacted() }

// GoString returns d.Redacted() in a form that shows the type.
func (d DSN) GoString() string { return fmt.Sprintf("nimue.DSN(%q)", d.Redacted()) }

// LogValue makes log/slog log d.Redacted().
func (d DSN) LogValue() slog.Value { return slog.StringValue(d.Redacted()) }

// MarshalText makes encoding/json and the like write d.Redacted().
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.Redacted()), nil }

// assemble joins driver, inner DSN and settings; show has a say in each value.
func (d DSN) assemble(driver, inner string, show func(*parameter, string) string) string {
	var settings []string
	for _, p := range parameters {
		for _, text := range p.texts(&d) {
			settings = append(settings, p.key+"="+url.QueryEscape(show(p, text)))
		}
	}
	separator := "?"
	if strings.Contains(inner, "?") {
		separator = "&"
		if _, taken := splitPairs(inner); taken != nil {
			// The inner DSN's own last query would be taken for nimue's, so a
			// query has to come after it, even if only to repeat a default.
			separator = "?"
			if settings == nil {
				settings = []string{"pool_max_conns=" + fixed(pool.DefaultMaxConns)}
			}
		}
	}
	if settings == nil {
		return driver + ":" + inner
	}
	return driver + ":" + inner + separator + strings.Join(settings, "&")
}

// label is the pool's name where the DSN gives none: what the pool connects
// to, without the inner DSN's query, which would only make it long.
func (d DSN) label() string {
	inner, _, _ := strings.Cut(redactInner(d.Driver, d.Inner), "?")
	return clip(shownDriver(d.Driver, d.Inner)+":"+inner, 80)
}

// clip shortens a text to at most most runes, and makes it printable.
func clip(s string, most int) string {
	runes := []rune(s)
	if len(runes) > most {
		runes = append(runes[:most-1], '…')
	}
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = unicode.ReplacementChar
		}
	}
	return string(runes)
}
