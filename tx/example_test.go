package tx_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"

	_ "github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/tx"
	_ "modernc.org/sqlite"
)

// openAccounts opens a database with an account of 100 and an empty one, whose
// balances must not fall below nothing.
func openAccounts() *sql.DB {
	db, err := sql.Open("nimue", "sqlite::memory:?pool_max_conns=1")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := db.Exec(`
		CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER CHECK (balance >= 0));
		INSERT INTO accounts VALUES (1, 100), (2, 0)`); err != nil {
		log.Fatal(err)
	}
	return db
}

// A transfer is made as a whole or not at all.
func ExampleRun() {
	ctx := context.Background()
	db := openAccounts()
	defer db.Close()

	transfer := func(from, to, amount int) error {
		return tx.Run(ctx, db, func(ctx context.Context, t *sql.Tx) error {
			if _, err := t.ExecContext(ctx, "UPDATE accounts SET balance = balance + ? WHERE id = ?", amount, to); err != nil {
				return err
			}
			_, err := t.ExecContext(ctx, "UPDATE accounts SET balance = balance - ? WHERE id = ?", amount, from)
			return err
		})
	}
	fmt.Println("30:", transfer(1, 2, 30) == nil)
	fmt.Println("300:", transfer(1, 2, 300) == nil)

	var balance int
	if err := db.QueryRow("SELECT balance FROM accounts WHERE id = 2").Scan(&balance); err != nil {
		log.Fatal(err)
	}
	fmt.Println("balance:", balance)
	// Output:
	// 30: true
	// 300: false
	// balance: 30
}

// A function that chooses a key by what it read tries again if another one was
// faster.
func ExampleValue() {
	ctx := context.Background()
	db := openAccounts()
	defer db.Close()

	open := func(ctx context.Context, t *sql.Tx) (id int, err error) {
		if err := t.QueryRowContext(ctx, "SELECT max(id) + 1 FROM accounts").Scan(&id); err != nil {
			return 0, err
		}
		_, err = t.ExecContext(ctx, "INSERT INTO accounts VALUES (?, 0)", id)
		return id, err
	}
	id, err := tx.Value(ctx, db, open, tx.RetryIntegrity(), tx.Retries(3))
	fmt.Println(id, err)
	// Output: 3 <nil>
}

// A nested Run contains a failure that is to be expected.
func ExampleRun_nested() {
	ctx := context.Background()
	db := openAccounts()
	defer db.Close()

	err := tx.Run(ctx, db, func(ctx context.Context, t *sql.Tx) error {
		err := tx.Run(ctx, db, func(ctx context.Context, t *sql.Tx) error {
			_, err := t.ExecContext(ctx, "INSERT INTO accounts VALUES (1, 0)")
			return err
		})
		if tx.ClassOf(err) == tx.Integrity {
			fmt.Println("there is an account 1")
			err = nil
		}
		if err != nil {
			return err
		}
		_, err = t.ExecContext(ctx, "INSERT INTO accounts VALUES (3, 0)")
		return err
	})
	fmt.Println(err)
	// Output:
	// there is an account 1
	// <nil>
}

// What a caller does with the errors of Run.
func ExampleCommitError() {
	describe := func(err error) string {
		switch {
		case errors.Is(err, tx.ErrAmbiguousCommit):
			return "look whether it is there before trying again"
		case tx.ClassOf(err) == tx.Conflict:
			return "busy: ask the user to try later"
		case err != nil:
			return "a mistake, or a database that is down"
		}
		return "done"
	}
	fmt.Println(describe(&tx.CommitError{Err: errors.New("connection reset by peer"), Ambiguous: true}))
	// Output: look whether it is there before trying again
}
