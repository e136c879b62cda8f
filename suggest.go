package nimue

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// dsnGrammar says how a DSN is written, for errors that have nothing better
// to point at.
const dsnGrammar = `a DSN is <inner driver>:<inner DSN>[?|&]pool_<parameter>=<value>..., for example
	pgx:postgres://app@db.internal/shop?sslmode=verify-full&pool_max_conns=20
	mysql:app@tcp(db.internal:3306)/shop?parseTime=true&pool_min_conns=2
	sqlite:file:shop.db?_pragma=busy_timeout(5000)&pool_max_conns=8`

// DSNProblem is one thing that is wrong with a DSN.
type DSNProblem struct {
	// Key is the parameter, or empty where the DSN itself is at fault.
	Key string
	// Value is what the DSN says, or empty where that tells nothing. No
	// secret is in it.
	Value string
	// Message says what is wrong and what would be accepted.
	Message string
}

// DSNError lists everything that is wrong with a DSN. Its text and its fields
// carry no password.
type DSNError struct {
	Problems []DSNProblem
}

// Error describes the problem, or all of them on a line each.
func (e *DSNError) Error() string {
	if len(e.Problems) == 1 {
		return "nimue: invalid DSN: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "nimue: invalid DSN: %d problems:", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n\t" + p.String())
	}
	return b.String()
}

// String describes the problem: key, value and what would be accepted.
func (p DSNProblem) String() string {
	switch {
	case p.Key == "":
		return p.Message
	case p.Value == "":
		return p.Key + ": " + p.Message
	}
	return p.Key + "=" + p.Value + ": " + p.Message
}

// dsnError makes a *DSNError with one problem of the DSN as a whole.
func dsnError(message string) error {
	return &DSNError{Problems: []DSNProblem{{Message: message}}}
}

// importPaths says where the drivers come from that register these names.
var importPaths = map[string]string{
	"azuresql":   "github.com/microsoft/go-mssqldb/azuread",
	"clickhouse": "github.com/ClickHouse/clickhouse-go/v2",
	"godror":     "github.com/godror/godror",
	"mssql":      "github.com/microsoft/go-mssqldb",
	"mysql":      "github.com/go-sql-driver/mysql",
	"oracle":     "github.com/sijms/go-ora/v2",
	"pgx":        "github.com/jackc/pgx/v5/stdlib",
	"pgx/v5":     "github.com/jackc/pgx/v5/stdlib",
	"postgres":   "github.com/lib/pq",
	"snowflake":  "github.com/snowflakedb/gosnowflake",
	"sqlite":     "modernc.org/sqlite",
	"sqlite3":    "github.com/mattn/go-sqlite3",
	"sqlmock":    "github.com/DATA-DOG/go-sqlmock",
	"sqlserver":  "github.com/microsoft/go-mssqldb",
}

// alternatives are groups of names of which one is often written for another.
var alternatives = [][]string{
	{"sqlite", "sqlite3"},
	{"pgx", "pgx/v5", "postgres", "postgresql", "pg", "pq"},
	{"mysql", "mariadb"},
	{"sqlserver", "mssql", "azuresql"},
	{"oracle", "godror"},
}

// checkDriver returns a *DSNError unless dsn, whose inner driver is name, names
// one of the registered drivers.
func checkDriver(dsn, name string, registered []string) error {
	if slices.Contains(registered, name) && name != DriverName {
		return nil
	}
	body, pairs := splitPairs(dsn)
	if line, bare := bareIfUnknown(body); bare && !isDriverish(name) {
		return dsnError("the inner driver's name is missing at its beginning; write " + line.shown(pairs))
	}
	others := slices.DeleteFunc(slices.Clone(registered), func(s string) bool { return s == DriverName })
	slices.Sort(others)
	var b strings.Builder
	fmt.Fprintf(&b, "unknown driver %q", clip(shownDriver(name, "@"), 60))
	if len(others) == 0 {
		b.WriteString(" (none is registered)")
	} else {
		fmt.Fprintf(&b, " (registered: %s)", strings.Join(others, ", "))
	}
	b.WriteString("; ")
	if near := nearestDriver(name, others); near != "" {
		fmt.Fprintf(&b, "did you mean %s, or ", near)
	}
	if path := importPaths[name]; path != "" {
		fmt.Fprintf(&b, "is an import missing: import _ %q?", path)
	} else {
		b.WriteString("is an import missing, or the driver's name before the first ':'?")
	}
	return dsnError(b.String())
}

// nearestDriver returns the registered name that was probably meant, or "".
func nearestDriver(name string, registered []string) string {
	for _, group := range alternatives {
		if !slices.Contains(group, strings.ToLower(name)) {
			continue
		}
		for _, other := range group {
			if slices.Contains(registered, other) {
				return other
			}
		}
	}
	best, least := "", 3
	for _, other := range registered {
		if n := distance(strings.ToLower(name), strings.ToLower(other)); n < least && n < len(other)/2+1 {
			best, least = other, n
		}
	}
	return best
}

// isDriverName reports whether s can name a driver that nimue opens. A name
// with other characters could not be told from the pieces of a bare DSN.
func isDriverName(s string) bool {
	return s != "" && !strings.HasPrefix(s, "/") && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.+/", r)
	}) < 0
}

var driverWord = regexp.MustCompile(`(?i)sql|pgx|postgres|maria|oracle|godror|duckdb|txdb|^hdb$|ibm_db|snowflake|clickhouse|trace|otel|mock|^pg$|^pq$|^ora$`)

// isDriverish reports whether s looks like a driver's name and not like the
// user of a DSN that begins with user:password.
func isDriverish(s string) bool { return isDriverName(s) && driverWord.MatchString(s) }

var versionSuffix = regexp.MustCompile(`^v\d+$`)

// shownDriver is the driver's name as it may be shown. In scott/tig:er@host the
// "name" has half of a password; in pgx/v5 and apm/postgres it has not.
func shownDriver(name, inner string) string {
	first, rest, found := strings.Cut(name, "/")
	if !found || !strings.Contains(inner, "@") || importPaths[rest] != "" || isDriverish(first) && versionSuffix.MatchString(rest) {
		return name
	}
	return first + "/" + mask
}

// suggestion is a DSN that was probably meant, without its pool parameters.
type suggestion struct {
	driver, inner string
	extra         string // a setting that it should have
}

// shown writes the suggestion with the parameters of the original, redacted.
func (s suggestion) shown(pairs []pair) string {
	line := s.driver + ":" + redactInner(s.driver, s.inner)
	separator := "?"
	if strings.Contains(line, "?") {
		separator = "&"
	}
	for _, pair := range pairs {
		row := parameterByKey[pair.key]
		if row == nil || !pair.exposed || pair.key+"="+pair.value == s.extra {
			continue
		}
		value, err := url.QueryUnescape(pair.value)
		if err != nil {
			continue
		}
		line += separator + pair.key + "=" + url.QueryEscape(row.shown(value))
		separator = "&"
	}
	if s.extra != "" && !slices.ContainsFunc(pairs, func(p pair) bool { return strings.HasPrefix(s.extra, p.key+"=") }) {
		line += separator + s.extra
	}
	return line
}

var (
	bareMySQL = regexp.MustCompile(`^[^:/@]*@(?:[A-Za-z0-9_-]*\(|/)`)
	userFirst = regexp.MustCompile(`^[^=\s?]*@(?:[A-Za-z0-9_-]*\(|/[^/])`)
	oracle    = regexp.MustCompile(`^[^/@=\s]+/[^=\s]+@`)
	plainPath = regexp.MustCompile(`(?i)^(?:\.{0,2}/|~/|[A-Za-z]:[\\/])|\.(?:db3?|sqlite3?|s3db)(?:\?|$)`)
)

// bareDSN recognises a DSN that was written for the inner driver alone, and
// says what it should have been.
func bareDSN(s string) (suggestion, bool) {
	name, inner, found := strings.Cut(s, ":")
	switch {
	case strings.HasPrefix(s, ":memory:"):
		// Each connection to :memory: is a database of its own.
		return suggestion{"sqlite", s, "pool_max_conns=1"}, true
	case strings.EqualFold(name, "file") && found:
		return suggestion{"sqlite", s, ""}, true
	case urlScheme.MatchString(s):
		return bareURL(s, name, inner), true
	case keywordForm.MatchString(s):
		if strings.Contains(s, ";") {
			return suggestion{"sqlserver", s, ""}, true
		}
		return suggestion{"pgx", s, ""}, true
	case found && isDriverName(name) && len(name) > 1:
		return suggestion{}, false // any driver may have that name: see bareIfUnknown
	}
	return bareIfUnknown(s)
}

// bareIfUnknown recognises a DSN whose text before the first ':' could be a
// driver's name, and is found not to be that of any.
func bareIfUnknown(s string) (suggestion, bool) {
	name, inner, found := strings.Cut(s, ":")
	switch {
	case found && isDriverName(name) && bareMySQL.MatchString(inner), !isDriverName(name) && userFirst.MatchString(s):
		return suggestion{"mysql", s, ""}, true
	case plainPath.MatchString(s) && !isDriverish(name):
		return suggestion{"sqlite", s, ""}, true
	case oracle.MatchString(s) && !isDriverName(name):
		return suggestion{"godror", s, ""}, true
	}
	return suggestion{}, false
}

// bareURL says which driver takes a URL of a scheme, and in what form.
func bareURL(s, scheme, rest string) suggestion {
	switch strings.ToLower(scheme) {
	case "postgres", "postgresql":
		return suggestion{"pgx", s, ""}
	case "mysql", "mariadb":
		return suggestion{"mysql", mysqlForm(strings.TrimPrefix(rest, "//")), ""}
	case "sqlite", "sqlite3":
		if strings.HasPrefix(rest, "///") {
			return suggestion{scheme, "file:" + rest, ""}
		}
		return suggestion{scheme, "file:" + strings.TrimPrefix(rest, "//"), ""}
	case "mssql":
		return suggestion{"sqlserver", "sqlserver:" + rest, ""}
	}
	return suggestion{scheme, s, ""}
}

// mysqlForm turns user:password@host:port/db into the form with tcp(host:port).
func mysqlForm(s string) string {
	at := strings.LastIndexByte(s, '@') + 1
	address, path, _ := strings.Cut(s[at:], "/")
	if strings.Contains(address, "(") || strings.ContainsAny(address, "?#") {
		return s
	}
	if address != "" {
		address = "tcp(" + address + ")"
	}
	return s[:at] + address + "/" + path
}

// aliases are other pools' names for what is a parameter here.
var aliases = map[string]string{
	"pool_size":                  "pool_max_conns",
	"pool_max_size":              "pool_max_conns",
	"pool_min_size":              "pool_min_conns",
	"pool_max_open_conns":        "pool_max_conns",
	"pool_max_open":              "pool_max_conns",
	"pool_max_idle":              "pool_max_idle_conns",
	"pool_min_idle":              "pool_min_idle_conns",
	"pool_timeout":               "pool_acquire_timeout",
	"pool_idle_timeout":          "pool_max_conn_idle_time",
	"pool_max_idle_time":         "pool_max_conn_idle_time",
	"pool_max_lifetime":          "pool_max_conn_lifetime",
	"pool_lifetime":              "pool_max_conn_lifetime",
	"pool_max_uses":              "pool_max_conn_uses",
	"pool_health_check_interval": "pool_health_check_period",
	"pool_health_check_timeout":  "pool_ping_timeout",
	"pool_statement_cache":       "pool_stmt_cache",
	"pool_label":                 "pool_name",
}

// nearestParameter returns the parameter that key was probably meant to be, or nil.
func nearestParameter(key string) *parameter {
	key = strings.ToLower(key)
	if row := parameterByKey[aliases[key]]; row != nil {
		return row
	}
	words := keyWords(key)
	var best *parameter
	least := 1 << 30
	for _, p := range parameters {
		other := keyWords(p.key)
		n := distance(strings.Join(words, ""), strings.Join(other, ""))
		n = min(n, distance(sorted(words), sorted(other)))
		if n < least {
			best, least = p, n
		}
	}
	if length := len(strings.Join(words, "")); length < 3 || least > length/3 {
		return nil
	}
	return best
}

// keyWords splits a key into words, without the prefix and a unit at the end,
// and with one spelling for connections.
func keyWords(key string) []string {
	words := strings.FieldsFunc(strings.TrimPrefix(key, prefix), func(r rune) bool { return r == '_' || r == '-' })
	if n := len(words); n > 1 && slices.Contains([]string{"ms", "s", "sec", "secs", "seconds", "millis", "minutes", "min"}, words[n-1]) {
		words = words[:n-1]
	}
	for i, word := range words {
		word = strings.Replace(word, "connections", "conns", 1)
		words[i] = strings.Replace(word, "connection", "conn", 1)
	}
	return words
}

func sorted(words []string) string {
	return strings.Join(slices.Sorted(slices.Values(words)), "")
}

// distance is the number of characters to insert, delete or replace to turn a
// into b (Levenshtein).
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return 1 << 20 // no misspelling is so long
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
