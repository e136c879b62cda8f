package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/nimue-go/nimue/conformance/servers"
)

// mariadb is a MariaDB server as a backend. It knows an application by its user.
type mariadb struct{ *servers.MariaDBServer }

func startMariadb(tb testing.TB, options servers.MariaDBOptions) mariadb {
	tb.Helper()
	server, err := servers.StartMariaDB(tb.Context(), options)
	servers.Require(tb, err)
	tb.Cleanup(server.Stop)
	return mariadb{server}
}

func (m mariadb) words() dialect { return mariadbSQL }

func (m mariadb) address() string { return m.Address() }

func (m mariadb) target(_ testing.TB, address, app string) target {
	return target{driver: "mysql", dsn: fmt.Sprintf("%s@tcp(%s)/%s", app, address, servers.MariaDBDatabase)}
}

func (m mariadb) admit(tb testing.TB, app string) {
	tb.Helper()
	m.exec(tb, fmt.Sprintf("CREATE USER '%s'@'%%'", app))
	m.exec(tb, fmt.Sprintf("GRANT ALL ON %s.* TO '%s'@'%%'", servers.MariaDBDatabase, app))
}

// do calls f with a connection of its own.
func (m mariadb) do(tb testing.TB, f func(ctx context.Context, c *sql.Conn) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	db, err := sql.Open("mysql", m.DSN(servers.MariaDBDatabase))
	if err != nil {
		tb.Fatal(err)
	}
	c, err := db.Conn(ctx)
	if err == nil {
		err = errors.Join(f(ctx, c), c.Close())
	}
	if err := errors.Join(err, db.Close()); err != nil {
		tb.Fatal(err)
	}
}

func (m mariadb) exec(tb testing.TB, query string) {
	tb.Helper()
	m.do(tb, func(ctx context.Context, c *sql.Conn) error {
		_, err := c.ExecContext(ctx, query)
		return err
	})
}

func (m mariadb) rows(tb testing.TB, table string) map[row]int {
	tb.Helper()
	found := make(map[row]int)
	m.do(tb, func(ctx context.Context, c *sql.Conn) error {
		rows, err := c.QueryContext(ctx, "SELECT worker, seq FROM "+table)
		if err != nil {
			return err
		}
		defer rows.Close()
		var r row
		for rows.Next() {
			if err := rows.Scan(&r.worker, &r.seq); err != nil {
				return err
			}
			found[r]++
		}
		return rows.Err()
	})
	return found
}

func (m mariadb) sessions(tb testing.TB, app string) (ids []int) {
	tb.Helper()
	m.do(tb, func(ctx context.Context, c *sql.Conn) error {
		rows, err := c.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE user = ?", app)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	return ids
}

// terminate kills sessions and waits until the server knows them no more.
func (m mariadb) terminate(tb testing.TB, ids ...int) {
	tb.Helper()
	const noSuchThread = 1094
	m.do(tb, func(ctx context.Context, c *sql.Conn) error {
		for _, id := range ids {
			_, err := c.ExecContext(ctx, fmt.Sprintf("KILL CONNECTION %d", id))
			var numbered *mysql.MySQLError
			if err != nil && !(errors.As(err, &numbered) && numbered.Number == noSuchThread) {
				return err
			}
		}
		for _, id := range ids {
			mustBecome(tb, fmt.Sprintf("the end of session %d", id), func() bool {
				var n int
				err := c.QueryRowContext(ctx, "SELECT count(*) FROM information_schema.processlist WHERE id = ?", id).Scan(&n)
				return err == nil && n == 0
			})
		}
		return nil
	})
}

func (m mariadb) shutdown(tb testing.TB, mode servers.StopMode) {
	tb.Helper()
	if err := m.Shutdown(mode); err != nil {
		tb.Fatal(err)
	}
}

func (m mariadb) start(tb testing.TB) {
	tb.Helper()
	if err := m.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
}

func (m mariadb) signalAll(tb testing.TB, signal syscall.Signal) {
	tb.Helper()
	if err := m.Signal(signal); err != nil {
		tb.Fatal(err)
	}
}

// TestUnderLoadOnMariadb is the same faults on a MariaDB server.
func TestUnderLoadOnMariadb(t *testing.T) {
	server := startMariadb(t, servers.MariaDBOptions{})
	all := faults(append(serverFaults(server), networkFaults()...))
	all.run(t, onMariadb, server, sqlContenders)
	crowdedMariadb().run(t, onMariadb, startMariadb(t, servers.MariaDBOptions{MaxConnections: 20}), sqlContenders)
}

// crowdedMariadb is a server most of whose connections others have taken, until
// they leave.
func crowdedMariadb() fault {
	var others []*sql.Conn
	var db *sql.DB
	return fault{
		name: "too many connections at the server: 6 left for the application, until others leave",
		cold: true,
		before: func(s *scene) {
			server := s.backend.(mariadb)
			others = nil
			server.admit(s, "others_of_"+s.app)
			var err error
			if db, err = sql.Open("mysql", server.target(s, server.address(), "others_of_"+s.app).dsn); err != nil {
				s.Fatal(err)
			}
			for range 14 {
				c, err := db.Conn(context.Background())
				if err != nil {
					s.Fatal(err)
				}
				others = append(others, c)
			}
		},
		strike: func(s *scene) {
			time.Sleep(time.Second)
			s.cut()
			for _, c := range others {
				_ = c.Close()
			}
			if err := db.Close(); err != nil {
				s.Error(err)
			}
		},
		allowed: 0,
	}
}
