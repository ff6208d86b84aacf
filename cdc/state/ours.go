package state

// Ours tells whether rows of a table of `_changeover` mark their transaction as one that Changeover wrote:
// each transaction that changes rows of a migration begins with an id in applied, or with AppendMark.
// The streams and the watchman know it by that, and don't carry it back.
func Ours(table string) bool { return table == "applied" || table == "mark" }

// AppendMark appends the statement that marks a transaction without an id as Changeover's own, for
// whoever reads it in the binlog. It changes the row each time: an UPDATE that changes nothing is not
// written to the binlog.
func AppendMark(dst []byte, migration string, worker int) []byte {
	s := statement{dst}
	s.sql("INSERT INTO `_changeover`.`mark` (migration, worker, n) VALUES (").text(migration).sql(", ").int(int64(worker)).
		sql(", 1) ON DUPLICATE KEY UPDATE n = n + 1")
	return s.b
}
