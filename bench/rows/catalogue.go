package rows

// Conns is how many connections every contender may have whose settings are tuned.
const Conns = 16

// The names of the contenders.
const (
	SQLDefault      = "sql-default"
	SQLTuned        = "sql-tuned"
	SQLWide         = "sql-wide"
	SQLPrepared     = "sql-prepared"
	SQLInterpolate  = "sql-interpolate"
	FromPool        = "from-pool"
	FromPoolDefault = "from-pool-default"
	Pgxpool         = "pgxpool"
	PgxpoolDefault  = "pgxpool-default"
	HikariRule      = "hikari-rule"
	Nimue           = "nimue"
	NimueBare       = "nimue-bare"
	NimueAuto       = "nimue-auto-prepare"
	NimueFIFO       = "nimue-fifo"
	Channel         = "channel"
)

// The contenders with the settings that they have in most rows.
var (
	sqlDefault  = Contender{SQLDefault, "database/sql, default", "nothing: connections without limit, 2 of them kept idle"}
	sqlTuned    = Contender{SQLTuned, "database/sql, tuned", "SetMaxOpenConns(16), SetMaxIdleConns(16)"}
	fromPool    = Contender{FromPool, "stdlib.OpenDBFromPool", "pool_max_conns=16 for the pgxpool beneath; database/sql keeps nothing idle, as pgx sets it"}
	pgxpool     = Contender{Pgxpool, "pgxpool, direct", "pool_max_conns=16; no database/sql"}
	nimueNoop   = Contender{Nimue, "nimue", "pool.Config{MaxConns: 16}"}
	nimuePgx    = Contender{Nimue, "nimue", "pgx:postgres://…&pool_max_conns=16, with adapter/pgx imported"}
	nimueBare   = Contender{NimueBare, "nimue without adapter", "the same DSN for a driver that no adapter serves"}
	postgresSet = []Contender{sqlDefault, sqlTuned, fromPool, pgxpool, nimuePgx, nimueBare}
)

// The measurements.
var (
	perOp  = Column{"ns/op", "time per operation", Less}
	allocs = Column{"allocs/op", "allocations", Less}
	bytes  = Column{"B/op", "allocated", Less}
	rate   = Column{"op/s", "operations per second", More}
	p50    = Column{"p50-ms", "p50", Less}
	p90    = Column{"p90-ms", "p90", Less}
	p99    = Column{"p99-ms", "p99", Less}
	p999   = Column{"p99.9-ms", "p99.9", Less}
	most   = Column{"max-ms", "longest", Less}
	spread = Column{"p99/p50", "p99 by p50", Less}
	errs   = Column{"errors/op", "errors per operation", Less}
)

// All returns every row, in the order of a report.
func All() []Row {
	var all []Row
	all = append(all, noopRows()...)
	all = append(all, postgresRows()...)
	all = append(all, statementRows()...)
	all = append(all, spikeRows()...)
	return append(all, growthRows()...)
}

func noopRows() []Row {
	contenders := []Contender{sqlDefault, sqlTuned, nimueNoop}
	return []Row{
		{
			Family: "Noop", Name: "serial",
			Title:      "No-op driver, one goroutine",
			Work:       "db.ExecContext on an inner driver whose every call returns at once: the pools' own cost",
			Contenders: contenders,
			Columns:    []Column{perOp, allocs, bytes},
			Goals: []Goal{
				{Text: "at most 1.25 times plain database/sql", Unit: "ns/op", Contender: Nimue, Against: SQLDefault, Bound: 1.25},
				{Text: "no allocation more than plain database/sql", Unit: "allocs/op", Contender: Nimue, Against: SQLDefault, Bound: 1},
			},
		},
		{
			Family: "Noop", Name: "contended",
			Title:      "No-op driver, 32 goroutines on 16 connections",
			Work:       "the same by 32 goroutines, each with its share of the operations; the default has no limit of connections",
			Contenders: contenders,
			Columns:    []Column{perOp, allocs, bytes},
			Goals: []Goal{
				{Text: "at most 0.6 times tuned database/sql", Unit: "ns/op", Contender: Nimue, Against: SQLTuned, Bound: 0.6},
			},
		},
	}
}

func postgresRows() []Row {
	return []Row{
		{
			Family: "Postgres", Name: "select",
			Title:      "PostgreSQL, `select $1::int`, 32 workers",
			Work:       "one query with one argument, scanned and compared with the argument",
			Contenders: postgresSet,
			Columns:    []Column{rate, p50, p99, allocs, errs},
			Goals: []Goal{
				{Text: "no slower than tuned database/sql", Unit: "op/s", Contender: Nimue, Against: SQLTuned, Least: true, Bound: 1},
				{Text: "at least 1.4 times stdlib.OpenDBFromPool", Unit: "op/s", Contender: Nimue, Against: FromPool, Least: true, Bound: 1.4},
				{Text: "no slower than pgxpool itself", Unit: "op/s", Contender: Nimue, Against: Pgxpool, Least: true, Bound: 1},
			},
		},
		{
			Family: "Postgres", Name: "requests",
			Title:      "The same, with contexts that can be cancelled",
			Work:       "as above, with a context that can end, as a request's: database/sql starts a goroutine for each query then, and pgxpool alone does not",
			Contenders: postgresSet,
			Columns:    []Column{rate, p50, p99, allocs, errs},
			Goals: []Goal{
				{Text: "no slower than tuned database/sql", Unit: "op/s", Contender: Nimue, Against: SQLTuned, Least: true, Bound: 1},
			},
		},
		{
			Family: "Postgres", Name: "defaults",
			Title: "PostgreSQL, 2 ms query, 3 ms of thinking, 32 workers, everybody's defaults",
			Work:  "`select $1::int from pg_sleep(0.002)`, scanned and compared; then 3 ms of sleep, which are not counted",
			Contenders: []Contender{
				sqlDefault,
				{FromPoolDefault, "stdlib.OpenDBFromPool, default", "nothing: as many connections as cores, and 4 at least"},
				{PgxpoolDefault, "pgxpool, default", "nothing: as many connections as cores, and 4 at least"},
				{Nimue, "nimue", "nothing: 20 connections, and adapter/pgx imported"},
				sqlTuned, fromPool, pgxpool,
			},
			Columns:   []Column{rate, p50, p99, errs},
			Benchtime: "3000x",
			Goals: []Goal{
				{Text: "at least 4.5 times database/sql's default", Unit: "op/s", Contender: Nimue, Against: SQLDefault, Least: true, Bound: 4.5},
			},
		},
		{
			Family: "Postgres", Name: "overload",
			Title:      "PostgreSQL, 2 ms query, 400 workers",
			Work:       "`select $1::int from pg_sleep(0.002)`, scanned and compared, without a pause. The server takes 100 connections, PostgreSQL's own default: who wants more gets errors, which are counted; the latencies are those of successes",
			Contenders: postgresSet,
			Columns:    []Column{rate, p50, p90, p99, p999, most, spread, errs},
			Benchtime:  "10000x",
			Goals: []Goal{
				{Text: "p99 at most 1.1 times p50", Unit: "p99/p50", Contender: Nimue, Bound: 1.1},
			},
		},
	}
}

func statementRows() []Row {
	sqliteDSN := "sqlite:file:…&pool_max_conns=16"
	return []Row{
		{
			Family: "SQLite", Name: "point",
			Title: "SQLite, point query by db.QueryRow",
			Work:  "one row of 1,000 by its key, in one goroutine; its text is scanned and compared",
			Contenders: []Contender{
				sqlDefault, sqlTuned,
				{SQLPrepared, "database/sql, db.Prepare", "as tuned; the application prepares the statement and uses that"},
				{Nimue, "nimue", sqliteDSN},
				{NimueAuto, "nimue, pool_auto_prepare", sqliteDSN + "&pool_auto_prepare=on"},
			},
			Columns: []Column{perOp, allocs, bytes},
			Goals: []Goal{
				{Text: "3.6 µs with pool_auto_prepare where database/sql takes 5.8: 0.62 times", Unit: "ns/op", Contender: NimueAuto, Against: SQLDefault, Bound: 3.6 / 5.8},
				{Text: "at most 3.6 µs with pool_auto_prepare", Unit: "ns/op", Contender: NimueAuto, Bound: 3600},
			},
		},
		{
			Family: "MySQL", Name: "network",
			Title: "MariaDB, parameterised query over a network of 4 ms",
			Work:  "one row by its key, in one goroutine; 2 ms each way; round trips and commands are counted on the wire",
			Contenders: []Contender{
				sqlDefault, sqlTuned,
				{SQLInterpolate, "database/sql, interpolateParams", "as tuned, and interpolateParams=true, as the driver's manual advises against the round trips"},
				{Nimue, "nimue", "mysql:…&pool_max_conns=16, with adapter/mysql imported"},
				{NimueAuto, "nimue, pool_auto_prepare", "the same, and pool_auto_prepare=on"},
			},
			Columns: []Column{
				perOp,
				{"turns/op", "round trips", Less},
				{"prepares/op", "prepares", Less},
				{"closes/op", "close packets", Less},
			},
			Goals: []Goal{
				{Text: "one round trip", Unit: "turns/op", Contender: NimueAuto, Bound: 1.01},
			},
		},
		{
			Family: "Prepare", Name: "reuse",
			Title:      "PostgreSQL, db.Prepare and 500 uses over many connections",
			Work:       "one operation opens the database, prepares `select $1::int`, uses it 500 times from 32 workers, each result compared, and closes both; the Parse messages are counted on the wire",
			Contenders: []Contender{sqlDefault, sqlTuned, fromPool, nimuePgx},
			Columns: []Column{
				{"prepares/op", "prepares", Less},
				{"conns/op", "connections", Less},
				{"prepares/conn", "prepares per connection", Less},
				{"ns/op", "time for all of it", Less},
			},
			Benchtime: "5x",
			Goals: []Goal{
				{Text: "at most one prepare per connection", Unit: "prepares/conn", Contender: Nimue, Bound: 1},
			},
		},
	}
}

func spikeRows() []Row {
	columns := []Column{
		{"opened", "connections opened", Less},
		{"longest-ms", "longest wait", Less},
		{"mean-ms", "mean wait", Less},
	}
	contenders := []Contender{
		sqlDefault, sqlTuned,
		{SQLWide, "database/sql, 50", "SetMaxOpenConns(50), SetMaxIdleConns(50)"},
		{HikariRule, "HikariCP's rule", "minimumIdle=5, maximumPoolSize=50: a model of its rule for adding connections, in Go"},
		{Nimue, "nimue", "pool_min_conns=5, pool_max_conns=50"},
	}
	goals := []Goal{
		{Text: "at most 8 connections opened", Unit: "opened", Contender: Nimue, Bound: 8},
		{Text: "no caller waits longer than with HikariCP's rule", Unit: "longest-ms", Contender: Nimue, Against: HikariRule, Bound: 1},
	}
	work := "50 callers at the same moment, each with one statement of 2 ms, on an inner driver whose connects take 150 ms; "
	return []Row{
		{
			Family: "Spike", Name: "cold", Title: "The spike, on a cold pool", Contenders: contenders, Columns: columns, Goals: goals, Benchtime: "2x",
			Work: work + "the pool has just been made and has no connection yet; those that a floor opens are counted too",
		},
		{
			Family: "Spike", Name: "floor", Title: "The spike, on a pool that stands at its floor", Contenders: contenders, Columns: columns, Goals: goals, Benchtime: "2x",
			Work: work + "5 connections are open and idle, for the default the 2 that it keeps; they are counted",
		},
	}
}
