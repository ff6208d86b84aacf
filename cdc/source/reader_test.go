package source

import (
	"fmt"
	"testing"

	"changeover/internal/sandbox/sandboxtest"
)

// everySource runs a test against each kind of source.
func everySource(t *testing.T, test func(t *testing.T, source *sandboxtest.Server)) {
	for name, start := range map[string]func(testing.TB) *sandboxtest.Server{
		"MySQL": func(t testing.TB) *sandboxtest.Server { return sandboxtest.MySQLSource(t) },
		"MySQL without GTIDs": func(t testing.TB) *sandboxtest.Server {
			return sandboxtest.MySQLSource(t, sandboxtest.Options("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"))
		},
		"MySQL with tiny binlog files": func(t testing.TB) *sandboxtest.Server {
			return sandboxtest.MySQLSource(t, sandboxtest.Options("--max-binlog-size=4096"))
		},
		"MariaDB": func(t testing.TB) *sandboxtest.Server { return sandboxtest.MariaDBSource(t) },
	} {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}

func TestTransactionsComeWholeAndInOrder(t *testing.T) {
	everySource(t, func(t *testing.T, source *sandboxtest.Server) {
		db := source.Database(t)
		h := read(t, source, nil)
		h.exec(
			"CREATE TABLE "+db+".t (id INT PRIMARY KEY, v VARCHAR(20))",
			"BEGIN", "INSERT INTO "+db+".t VALUES (1,'a'),(2,'b')", "UPDATE "+db+".t SET v='c' WHERE id=1",
			"DELETE FROM "+db+".t WHERE id=2", "COMMIT",
			"INSERT INTO "+db+".t VALUES (3,'d')",
			"DROP TABLE "+db+".t",
		)
		txs := h.catchUp()
		if len(txs) != 4 {
			t.Fatalf("%d transactions, want 4", len(txs))
		}
		if s := txs[0].Statement; s == nil || s.SQL != "CREATE TABLE "+db+".t (id INT PRIMARY KEY, v VARCHAR(20))" {
			t.Errorf("the first is %+v", s)
		}
		for i, want := range []struct {
			kind RowsKind
			rows string
		}{
			{Insert, "[[1 a] [2 b]]"}, {Update, "[[1 a] [1 c]]"}, {Delete, "[[2 b]]"},
		} {
			if got := fmt.Sprint(images(txs[1], want.kind)); got != want.rows {
				t.Errorf("event %d is %s, want %s", i, got, want.rows)
			}
		}
		if got := fmt.Sprint(images(txs[2], Insert)); got != "[[3 d]]" {
			t.Errorf("the third is %s", got)
		}
		if txs[3].Statement == nil {
			t.Error("the last is no statement")
		}
		for _, tx := range txs {
			if tx.ID == "" || tx.Log.File == "" || tx.Committed.IsZero() || tx.Server == 0 || tx.Bytes == 0 {
				t.Errorf("incomplete: %+v", tx)
			}
		}
	})
}
