package tx_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/tx"
)

// TestMaxPlusOne: four at once insert max(id)+1, and all of them succeed within
// three retries, since whoever fails has lost against one who succeeded.
func TestMaxPlusOne(t *testing.T) {
	const workers = 4
	onDatabases(t, func(t *testing.T, db database) {
		t.Run("integrity", func(t *testing.T) {
			// Of all that have read the same, one succeeds.
			maxPlusOne(t, db, workers, true, tx.RetryIntegrity(), tx.Retries(workers-1))
		})
		if db.kind == "postgres" {
			t.Run("serializable", func(t *testing.T) {
				maxPlusOne(t, db, workers, true, tx.Isolation(sql.LevelSerializable), tx.Retries(workers-1))
			})
		}
	}, "postgres", "mariadb")
}

// TestDeadlockIsRetried: two change the same rows in opposite orders, each going on
// when both have changed their first. The database picks one of them as its victim,
// which tries again, and both succeed.
func TestDeadlockIsRetried(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		mustExec(t, db.DB, "INSERT INTO "+db.table+" (id, v) VALUES (1, 0), (2, 0)")
		var met, wg sync.WaitGroup
		met.Add(2)
		var retries atomic.Int64
		for _, order := range [][]int{{1, 2}, {2, 1}} {
			var once sync.Once
			wg.Go(func() {
				err := tx.Run(t.Context(), db.DB, func(ctx context.Context, tr *sql.Tx) error {
					for _, id := range order {
						if _, err := tr.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET v = v + 1 WHERE id = %d", db.table, id)); err != nil {
							return err
						}
						once.Do(func() { met.Done(); met.Wait() })
					}
					return nil
				}, tx.OnRetry(func(int, error) { retries.Add(1) }))
				if err != nil {
					t.Errorf("in the order %v: %v", order, err)
				}
			})
		}
		wg.Wait()
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT sum(v) FROM "+db.table).Scan(&n); err != nil || n != 4 || retries.Load() == 0 {
			t.Errorf("%d changes, %v; %d retries", n, err, retries.Load())
		}
	}, "postgres", "mariadb")
}

// SQLite refuses to let a transaction write that has read, while another one writes:
// not only to those who lose, and without waiting. So it takes more retries; or none, if
// transactions begin as writers.
func TestMaxPlusOneOnSQLite(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		maxPlusOne(t, db, 4, true, tx.Retries(50))
	}, "sqlite")
	onDatabases(t, func(t *testing.T, db database) {
		maxPlusOne(t, db, 4, false, tx.Retries(3))
	}, "sqlite immediate")
}

// maxPlusOne has workers insert max(id)+1 at once, a number of rounds. Where together,
// each of them goes on only when all have read.
func maxPlusOne(t *testing.T, db database, workers int, together bool, opts ...tx.Option) {
	t.Helper()
	const rounds = 10
	var retries atomic.Int64
	opts = append(opts, tx.OnRetry(func(int, error) { retries.Add(1) }))
	mustExec(t, db.DB, "DELETE FROM "+db.table)
	for round := range rounds {
		var readers, wg sync.WaitGroup
		readers.Add(workers)
		for range workers {
			var once sync.Once
			wg.Go(func() {
				err := tx.Run(t.Context(), db.DB, func(ctx context.Context, tr *sql.Tx) error {
					var highest int
					if err := tr.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM "+db.table).Scan(&highest); err != nil {
						return err
					}
					if together {
						once.Do(func() { readers.Done(); readers.Wait() })
					}
					return db.insert(highest+1)(ctx, tr)
				}, opts...)
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
	}
	var n, highest int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*), max(id) FROM "+db.table).Scan(&n, &highest); err != nil {
		t.Fatal(err)
	}
	if n != workers*rounds || highest != n {
		t.Errorf("%d rows up to %d, want %d", n, highest, workers*rounds)
	}
	if least := int64((workers - 1) * rounds); together && retries.Load() < least {
		t.Errorf("%d retries, want at least %d", retries.Load(), least)
	}
}

// TestTerminatedDuringCommit: the backend is ended while it commits, held up by a
// deferred trigger.
func TestTerminatedDuringCommit(t *testing.T) {
	onDatabases(t, func(t *testing.T, db database) {
		mustExec(t, db.DB,
			"CREATE FUNCTION sleep_"+db.table+"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'",
			"CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON "+db.table+" DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sleep_"+db.table+"()")
		attempts := 0
		done := make(chan error, 1)
		go func() {
			done <- tx.Run(context.Background(), db.DB, func(ctx context.Context, tr *sql.Tx) error {
				attempts++
				return db.insert(1)(ctx, tr)
			})
		}()
		eventually(t, "the backend that commits is ended", func() bool {
			var n int
			err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ILIKE 'commit%' AND pg_terminate_backend(pid)").Scan(&n)
			return err == nil && n > 0
		})
		if err := <-done; !errors.Is(err, tx.ErrAmbiguousCommit) || attempts != 1 {
			t.Errorf("%v after %d attempts", err, attempts)
		}
	}, "postgres")
}

// TestCommitWithoutAnswer: the server commits, and the network breaks before its
// answer comes. To run the function again would insert a second row.
func TestCommitWithoutAnswer(t *testing.T) {
	for _, through := range []string{"plain", "nimue"} {
		for kind, server := range map[string]func() (driver, dsn, address string){
			"postgres": func() (string, string, string) {
				s := servers.SharedPostgres(t)
				return "pgx", s.URL("postgres"), s.Address()
			},
			"mariadb": func() (string, string, string) {
				s := servers.SharedMariaDB(t)
				return "mysql", s.DSN(servers.MariaDBDatabase), s.Address()
			},
		} {
			t.Run(kind+" "+through, func(t *testing.T) {
				driver, dsn, address := server()
				relay := newRelay(t, address)
				watch := database{DB: mustOpen(t, driver, dsn), table: fmt.Sprintf("t%d", tables.Add(1))}
				mustExec(t, watch.DB, "CREATE TABLE "+watch.table+" (id INTEGER, v INTEGER)")
				dsn = strings.Replace(dsn, address, relay.address(), 1)
				if through == "nimue" {
					driver, dsn = "nimue", driver+":"+dsn
				}
				db := mustOpen(t, driver, dsn)
				attempts := 0
				err := tx.Run(t.Context(), db, func(ctx context.Context, tr *sql.Tx) error {
					attempts++
					if err := watch.insert(1)(ctx, tr); err != nil {
						return err
					}
					relay.mute.Store(true)
					return nil
				}, tx.Marker(false)) // whose answer would be the one that is missing
				if !errors.Is(err, tx.ErrAmbiguousCommit) || attempts != 1 {
					t.Errorf("%v after %d attempts", err, attempts)
				}
				watch.wantIDs(t, 1)
			})
		}
	}
}

// A relay stands between a client and a server.
type relay struct {
	net.Listener
	mute atomic.Bool // the server's next words end the connection instead of arriving
	wg   sync.WaitGroup
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: listener}
	r.wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.pass(client, server) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		r.wg.Wait()
	})
	return r
}

func (r *relay) address() string { return r.Addr().String() }

func (r *relay) pass(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	r.wg.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	words := make([]byte, 4096)
	for {
		n, err := server.Read(words)
		if err != nil || r.mute.CompareAndSwap(true, false) {
			return
		}
		if _, err := client.Write(words[:n]); err != nil {
			return
		}
	}
}
