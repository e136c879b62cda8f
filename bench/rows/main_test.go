package rows

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/nimue-go/nimue/conformance/servers"
)

// The environment variables by which a command that has started the servers tells
// where they are. Without them, a benchmark starts its own.
const (
	postgresEnv = "NIMUE_BENCH_POSTGRES" // a URL
	mariadbEnv  = "NIMUE_BENCH_MARIADB"  // a DSN of the Go driver's
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(servers.Tests{M: m}) }

func postgresURL(b *testing.B) string {
	b.Helper()
	if url := os.Getenv(postgresEnv); url != "" {
		return url
	}
	return servers.SharedPostgres(b).URL("postgres")
}

func mariadbDSN(b *testing.B) string {
	b.Helper()
	if dsn := os.Getenv(mariadbEnv); dsn != "" {
		return dsn
	}
	return servers.SharedMariaDB(b).DSN(servers.MariaDBDatabase)
}

// workload does b.N operations of a row for one contender; n is the size in rows
// that grow, and 0 in others.
type workload func(b *testing.B, contender string, n int)

// workloads are the rows' by their ID.
var workloads = map[string]workload{
	"Noop/serial":                 noopSerial,
	"Noop/contended":              noopContended,
	"Postgres/select":             postgresSelect,
	"Postgres/requests":           postgresRequests,
	"Postgres/defaults":           postgresDefaults,
	"Postgres/overload":           postgresOverload,
	"SQLite/point":                sqlitePoint,
	"MySQL/network":               mysqlNetwork,
	"Prepare/reuse":               prepareReuse,
	"Spike/cold":                  spikeCold,
	"Spike/floor":                 spikeFloor,
	"Growth/goroutines":           growthGoroutines,
	"Growth/connections":          growthConnections,
	"Growth/shuffled":             growthShuffled,
	"Growth/keeper":               growthKeeper,
	"Growth/suspicion":            growthSuspicion,
	"Growth/pools":                growthPools,
	"Growth/enter":                growthEnter,
	"Growth/grant":                growthGrant,
	"Growth/expire":               growthExpire,
	"Growth/memory-connections":   memoryConnections,
	"Growth/memory-waiters":       memoryWaiters,
	"Growth/memory-waiters-alone": memoryWaitersAlone,
	"Growth/memory-pools":         memoryPools,
}

func BenchmarkNoop(b *testing.B)     { family(b, "Noop") }
func BenchmarkPostgres(b *testing.B) { family(b, "Postgres") }
func BenchmarkSQLite(b *testing.B)   { family(b, "SQLite") }
func BenchmarkMySQL(b *testing.B)    { family(b, "MySQL") }
func BenchmarkPrepare(b *testing.B)  { family(b, "Prepare") }
func BenchmarkSpike(b *testing.B)    { family(b, "Spike") }
func BenchmarkGrowth(b *testing.B)   { family(b, "Growth") }

// family runs the rows of one family, each with all its contenders.
func family(b *testing.B, name string) {
	for _, row := range All() {
		if row.Family != name {
			continue
		}
		work := workloads[row.ID()]
		b.Run(row.Name, func(b *testing.B) {
			for _, c := range row.Contenders {
				b.Run(c.Name, func(b *testing.B) {
					if len(row.Sizes) == 0 {
						work(b, c.Name, 0)
					}
					for _, n := range row.Sizes {
						b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) { work(b, c.Name, n) })
					}
				})
			}
		})
	}
}

// few is the number of times that something is done which takes long and needs no
// repetition within a run.
func few(b *testing.B) int { return min(b.N, 2) }
