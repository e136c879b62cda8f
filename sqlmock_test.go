package nimue_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

// mocked opens nimue over go-sqlmock, which scripts what real servers do not do
// on demand. All of its connections share one script.
func mocked(t *testing.T, settings string) (*sql.DB, sqlmock.Sqlmock) {
	t.Helper()
	dsn := fmt.Sprintf("mock-%s-%d", t.Name(), time.Now().UnixNano())
	base, mock, err := sqlmock.NewWithDSN(dsn, sqlmock.MonitorPingsOption(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { base.Close() })
	mock.MatchExpectationsInOrder(true)
	db, err := sql.Open("nimue", "sqlmock:"+dsn+"?pool_health_check_period=0&"+settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db.Close()
		if err := nimue.PoolOf(db).Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := mock.ExpectationsWereMet(); err != nil {
			t.Error(err)
		}
	})
	return db, mock
}

func TestMockErrBadConnAtFirstUse(t *testing.T) {
	db, mock := mocked(t, "pool_max_conns=1")
	mock.ExpectExec("warm").WillReturnResult(sqlmock.NewResult(1, 1))
	mock.ExpectExec("work").WillReturnError(driver.ErrBadConn)
	mock.ExpectExec("work").WillReturnResult(sqlmock.NewResult(7, 3))
	mustExec(t, db, "warm")
	r := mustExec(t, db, "work")
	if id, _ := r.LastInsertId(); id != 7 {
		t.Errorf("LastInsertId %d", id)
	}
	s := nimue.PoolOf(db).Stats()
	if s.Retries != 1 || s.Retired[pool.ReasonBroken] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestMockBehaviour16ErrBadConnInATransactionIsNotRetried(t *testing.T) {
	db, mock := mocked(t, "pool_max_conns=1")
	mock.ExpectExec("warm").WillReturnResult(sqlmock.NewResult(1, 1))
	mock.ExpectBegin()
	mock.ExpectExec("work").WillReturnError(driver.ErrBadConn)
	mock.ExpectRollback()
	mock.ExpectExec("work").WillReturnResult(sqlmock.NewResult(1, 1))
	mustExec(t, db, "warm")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("work"); !errors.Is(err, driver.ErrBadConn) {
		t.Errorf("error %v", err)
	}
	tx.Rollback()
	mustExec(t, db, "work") // outside, the same succeeds
	if s := nimue.PoolOf(db).Stats(); s.Retries != 0 {
		t.Errorf("%d retries", s.Retries)
	}
}

func TestMockFailingHealthQueryReplacesTheConnection(t *testing.T) {
	db, mock := mocked(t, "pool_max_conns=1&pool_check_on_acquire=always&pool_health_query=alive")
	mock.ExpectQuery("alive").WillReturnError(errors.New("gone"))
	mock.ExpectQuery("alive").WillReturnRows(sqlmock.NewRows([]string{"a"}).AddRow(1))
	mock.ExpectExec("work").WillReturnResult(sqlmock.NewResult(1, 1))
	mustExec(t, db, "work")
	if s := nimue.PoolOf(db).Stats(); s.Retired[pool.ReasonUnhealthy] != 1 || s.Connects != 2 {
		t.Errorf("%+v", s)
	}
}

func TestMockFailingPing(t *testing.T) {
	dsn := "mock-ping"
	base, mock, err := sqlmock.NewWithDSN(dsn, sqlmock.MonitorPingsOption(true))
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	db := mustOpen(t, "sqlmock:"+dsn+"?pool_max_conns=1&pool_check_on_acquire=always&pool_health_check_period=0")
	mock.ExpectPing().WillReturnError(errors.New("gone"))
	mock.ExpectPing()
	mock.ExpectExec("work").WillReturnResult(sqlmock.NewResult(1, 1))
	mustExec(t, db, "work")
	if err := mock.ExpectationsWereMet(); err != nil {
		t.Error(err)
	}
}

func TestMockFailingResetSQLRetires(t *testing.T) {
	db, mock := mocked(t, "pool_max_conns=1&pool_reset_sql=clean")
	mock.ExpectExec("work").WillReturnResult(sqlmock.NewResult(1, 1))
	mock.ExpectExec("clean").WillReturnError(errors.New("gone"))
	mock.ExpectExec("work").WillReturnResult(sqlmock.NewResult(1, 1))
	mock.ExpectExec("clean").WillReturnResult(sqlmock.NewResult(0, 0))
	mustExec(t, db, "work")
	mustExec(t, db, "work")
	p := nimue.PoolOf(db)
	eventually(t, "the second clean-up", func() bool { return p.Stats().Resets == 2 })
	if s := p.Stats(); s.Retired[pool.ReasonResetFailed] != 1 || s.Connects != 2 {
		t.Errorf("%+v", s)
	}
}

func TestMockFailingRollbackRetires(t *testing.T) {
	db, mock := mocked(t, "pool_max_conns=1")
	mock.ExpectExec("BEGIN").WillReturnResult(sqlmock.NewResult(0, 0))
	mock.ExpectExec("ROLLBACK").WillReturnError(errors.New("gone"))
	mock.ExpectExec("work").WillReturnResult(sqlmock.NewResult(1, 1))
	mustExec(t, db, "BEGIN")
	mustExec(t, db, "work")
	if s := nimue.PoolOf(db).Stats(); s.Retired[pool.ReasonResetFailed] != 1 || s.InUse != 0 {
		t.Errorf("%+v", s)
	}
}

func TestMockSlowQueryHoldsNobodyElse(t *testing.T) {
	db, mock := mocked(t, "pool_max_conns=2")
	mock.MatchExpectationsInOrder(false)
	mock.ExpectExec("slow").WillDelayFor(time.Minute).WillReturnResult(sqlmock.NewResult(1, 1))
	mock.ExpectExec("quick").WillReturnResult(sqlmock.NewResult(1, 1))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := db.ExecContext(ctx, "slow")
		ended <- err
	}()
	p := nimue.PoolOf(db)
	eventually(t, "the slow one's lease", func() bool { return p.Stats().InUse == 1 })
	mustExec(t, db, "quick")
	cancel()
	if err := <-ended; err == nil {
		t.Error("the cancelled statement succeeded")
	}
	eventually(t, "no lease", func() bool { return p.Stats().InUse == 0 })
}
