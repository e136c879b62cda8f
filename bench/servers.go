package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/nimue-go/nimue/bench/rows"
	"github.com/nimue-go/nimue/conformance/servers"
)

// The environment variables that tell the benchmarks where the servers are.
const (
	postgresEnv = "NIMUE_BENCH_POSTGRES"
	mariadbEnv  = "NIMUE_BENCH_MARIADB"
)

// runningServers are those that the rows need: the same for all contenders and
// all rounds, with the number of connections that they allow by default.
type runningServers struct {
	postgres *servers.PostgresServer // nil where no row needs it
	mariadb  *servers.MariaDBServer  // nil where no row needs it
	versions map[string]string
}

// startServers starts what the rows need; ctx bounds the start only.
func startServers(ctx context.Context, all []rows.Row) (_ *runningServers, err error) {
	s := &runningServers{versions: map[string]string{}}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	for _, r := range all {
		switch {
		case (r.Family == "Postgres" || r.Family == "Prepare") && s.postgres == nil:
			if s.postgres, err = servers.StartPostgres(ctx, servers.PostgresOptions{}); err != nil {
				return nil, err
			}
			err = s.ask(ctx, "postgresql", "pgx", s.postgres.URL("postgres"), "show server_version")
		case r.Family == "MySQL" && s.mariadb == nil:
			if s.mariadb, err = servers.StartMariaDB(ctx, servers.MariaDBOptions{}); err != nil {
				return nil, err
			}
			err = s.ask(ctx, "mariadb", "mysql", s.mariadb.DSN(servers.MariaDBDatabase), "select version()")
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// ask notes a server's version.
func (s *runningServers) ask(ctx context.Context, name, driver, dsn, query string) (err error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var version string
	if err := db.QueryRowContext(ctx, query).Scan(&version); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.versions[name] = version
	return nil
}

// environ is what the benchmarks' processes are told.
func (s *runningServers) environ() []string {
	var environ []string
	if s.postgres != nil {
		environ = append(environ, postgresEnv+"="+s.postgres.URL("postgres"))
	}
	if s.mariadb != nil {
		environ = append(environ, mariadbEnv+"="+s.mariadb.DSN(servers.MariaDBDatabase))
	}
	return environ
}

// stop ends the servers and removes their files.
func (s *runningServers) stop() {
	if s.postgres != nil {
		s.postgres.Stop()
	}
	if s.mariadb != nil {
		s.mariadb.Stop()
	}
}
