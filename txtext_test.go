package nimue

import "testing"

func (e txEffect) String() string {
	return [...]string{"nothing", "opens", "opens outside", "ends"}[e]
}

func TestEffectOf(t *testing.T) {
	for _, c := range []struct {
		query string
		want  txEffect
	}{
		{"", noTxEffect},
		{" ;; \n", noTxEffect},
		{"SELECT 1", noTxEffect},
		{"INSERT INTO t VALUES (1)", noTxEffect},
		{"UPDATE begin SET commit = 1", noTxEffect},

		{"BEGIN", opensTx},
		{"begin", opensTx},
		{"Begin;", opensTx},
		{"\t\r\n\v\f BEGIN", opensTx},
		{"BEGIN IMMEDIATE", opensTx},
		{"BEGIN TRANSACTION READ ONLY", opensTx},
		{"BEGINNING", noTxEffect},
		{"START TRANSACTION", opensTx},
		{"start\n\ttransaction READ ONLY", opensTx},
		{"START /* now */ TRANSACTION", opensTx},
		{"START", noTxEffect},
		{"START REPLICA", noTxEffect},
		{"START TRANSACTIONS", noTxEffect},
		{"START TRANSACTION_ID", noTxEffect},

		{"SET autocommit=0", opensTx},
		{"SET AUTOCOMMIT = 1", opensTx}, // one rollback too many
		{"set @@autocommit = OFF", opensTx},
		{"SET @@session.autocommit=0", opensTx},
		{"SET SESSION autocommit = 0", opensTx},
		{"SET sql_mode = '', autocommit = 0", opensTx},
		{"SET IMPLICIT_TRANSACTIONS ON", opensTx},
		{"SET search_path = shop", noTxEffect},
		{"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", noTxEffect},
		{"RESET autocommit", noTxEffect},

		{"COMMIT", endsTx},
		{"commit", endsTx},
		{"COMMIT;", endsTx},
		{"COMMIT ; ;\n", endsTx},
		{"COMMIT WORK", endsTx},
		{"COMMIT AND NO CHAIN", endsTx},
		{"COMMITTED", noTxEffect},
		{"END", endsTx},
		{"END TRANSACTION", endsTx},
		{"ENDS", noTxEffect},
		{"ABORT", endsTx},
		{"ROLLBACK", endsTx},
		{"rollback work", endsTx},
		{"ROLLBACK TRANSACTION", endsTx},

		{"COMMIT AND CHAIN", opensTx},
		{"commit work and chain", opensTx},
		{"END TRANSACTION AND CHAIN", opensTx},
		{"ABORT AND CHAIN", opensTx},
		{"ROLLBACK AND CHAIN", opensTx},
		{"ROLLBACK /* and */ AND\nCHAIN", opensTx},

		{"SAVEPOINT s", opensTxOutside},
		{"savepoint s", opensTxOutside},
		{"RELEASE SAVEPOINT s", noTxEffect},
		{"RELEASE s", noTxEffect},
		{"ROLLBACK TO s", noTxEffect},
		{"ROLLBACK TO SAVEPOINT s", noTxEffect},
		{"rollback transaction to savepoint s", noTxEffect},
		{"ROLLBACK WORK TO s", noTxEffect},
		{"ROLLBACK TOTALLY", endsTx}, // no SQL, and so an error that ends nothing

		{"-- comment\nBEGIN", opensTx},
		{"# comment\nBEGIN", opensTx},
		{"/* comment */BEGIN", opensTx},
		{"/* one */ -- two\n /* three */ COMMIT", endsTx},
		{"-- BEGIN", noTxEffect},
		{"# BEGIN", noTxEffect},
		{"/* BEGIN */", noTxEffect},
		{"/* BEGIN", noTxEffect},
		{"/*/ BEGIN */ COMMIT", endsTx},
		{"-BEGIN", noTxEffect},
		{"/BEGIN", noTxEffect},

		{"SELECT 1; BEGIN", opensTx},
		{"SELECT 1;begin;SELECT 2", opensTx},
		{"COMMIT; BEGIN", opensTx},
		{"BEGIN; INSERT INTO t VALUES (1)", opensTx},
		{"BEGIN; SAVEPOINT s", opensTx},
		{"SAVEPOINT s; BEGIN", opensTx},
		{"SELECT 1; SAVEPOINT s", opensTxOutside},
		{"COMMIT; SAVEPOINT s", opensTxOutside},
		// Not certain, so that what was open before counts as open.
		{"BEGIN; INSERT INTO t VALUES (1); COMMIT", opensTx},
		{"SELECT 1; COMMIT", noTxEffect},
		{"COMMIT; SELECT 1", noTxEffect},
		{"COMMIT; -- done", noTxEffect},
		{"INSERT INTO t VALUES ('; COMMIT')", noTxEffect},
		{"INSERT INTO t VALUES ('; BEGIN')", opensTx},
		{"SELECT ';'", noTxEffect},
	} {
		if got := effectOf(c.query); got != c.want {
			t.Errorf("%q: %v, want %v", c.query, got, c.want)
		}
	}
}

// TestEffectOfCostsNothing: every statement goes through it.
func TestEffectOfCostsNothing(t *testing.T) {
	for _, query := range []string{"SELECT a FROM t WHERE b = ?", "COMMIT AND NO CHAIN", "ROLLBACK TO s", "SELECT 1; SELECT 2"} {
		if n := testing.AllocsPerRun(100, func() { effectOf(query) }); n != 0 {
			t.Errorf("%q: %v allocations", query, n)
		}
	}
}
