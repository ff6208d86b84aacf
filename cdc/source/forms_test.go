package source

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestCreateTableSelectIsATableAndItsRows(t *testing.T) {
	everySource(t, func(t *testing.T, source *sandboxtest.Server) {
		db := source.Database(t)
		h := read(t, source, nil)
		h.exec("CREATE TABLE " + db + ".t (PRIMARY KEY (id)) SELECT 1 AS id, 'a' AS v UNION SELECT 2, 'b'")
		txs := h.catchUp()
		if len(txs) != 1 {
			t.Fatalf("%d transactions", len(txs))
		}
		tx := txs[0]
		if tx.Statement == nil || fmt.Sprint(images(tx, Insert)) != "[[1 a] [2 b]]" {
			t.Fatalf("%+v", tx)
		}
		sql := tx.Statement.SQL
		if class := Classify(sql, tx.Statement.Schema, h.flavor); class.Kind != TableDDL || class.Tables[0].Table != "t" {
			t.Errorf("%s: %+v", sql, class)
		}
		h.exec("DROP TABLE "+db+".t", "CREATE DATABASE IF NOT EXISTS "+db)
		if strings.Contains(sql, "START TRANSACTION") {
			t.Error(sql)
		}
		h.exec("USE "+db, sql) // it runs, and leaves no transaction open
	})
}

func TestSavepointsAndOtherHarmlessThings(t *testing.T) {
	everySource(t, func(t *testing.T, source *sandboxtest.Server) {
		db := source.Database(t)
		source.Exec(t, "CREATE TABLE "+db+".t (id INT PRIMARY KEY)", "CREATE TABLE "+db+".m (id INT) ENGINE=MyISAM")
		h := read(t, source, nil)
		h.exec(
			"BEGIN", "INSERT INTO "+db+".t VALUES (1)", "SAVEPOINT a", "INSERT INTO "+db+".t VALUES (2)",
			"ROLLBACK TO a", "INSERT INTO "+db+".t VALUES (3)", "RELEASE SAVEPOINT a", "COMMIT",
			"BEGIN", "INSERT INTO "+db+".t VALUES (4)", "ROLLBACK",
			"CREATE TEMPORARY TABLE "+db+".tmp (id INT)", "INSERT INTO "+db+".tmp VALUES (1)", "DROP TEMPORARY TABLE "+db+".tmp",
			"FLUSH BINARY LOGS",
			"INSERT INTO "+db+".m VALUES (5)",
		)
		if h.flavor == server.MySQL {
			h.exec("SET SESSION binlog_rows_query_log_events=ON", "INSERT INTO "+db+".t VALUES (6)")
		}
		h.exec("INSERT INTO " + db + ".t VALUES (7)")
		want := "[1 3 5 6 7]"
		if h.flavor == server.MariaDB {
			want = "[1 3 5 7]"
		}
		if got := fmt.Sprint(inserted(h.catchUp())); got != want {
			t.Errorf("%s came, want %s", got, want)
		}
	})
}

func TestCompressedTransactionsAreLikeOthers(t *testing.T) {
	for name, c := range map[string]struct {
		source *sandboxtest.Server
		set    []string
	}{
		"MySQL": {sandboxtest.MySQLSource(t), []string{"SET SESSION binlog_transaction_compression=ON"}},
		"MySQL without GTIDs": {sandboxtest.MySQLSource(t, sandboxtest.Options("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")),
			[]string{"SET SESSION binlog_transaction_compression=ON"}},
		"MariaDB": {sandboxtest.MariaDBSource(t, sandboxtest.Options("--log-bin-compress=ON")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			db := c.source.Database(t)
			h := read(t, c.source, nil)
			h.exec(append(c.set,
				"CREATE TABLE "+db+".t (id INT PRIMARY KEY, v MEDIUMTEXT) COMMENT '"+strings.Repeat("x", 1000)+"'",
				"BEGIN", "INSERT INTO "+db+".t VALUES (1, REPEAT('a', 100000))", "UPDATE "+db+".t SET v=REPEAT('b', 100000)",
				"DELETE FROM "+db+".t", "COMMIT", "INSERT INTO "+db+".t VALUES (2, 'c')")...)
			txs := h.catchUp()
			if len(txs) != 3 || !strings.HasSuffix(txs[0].Statement.SQL, "x'") {
				t.Fatalf("%d transactions", len(txs))
			}
			update := images(txs[1], Update)
			if v := update[1][1].([]byte); len(images(txs[1], Insert)) != 1 || len(images(txs[1], Delete)) != 1 ||
				len(update) != 2 || string(v) != strings.Repeat("b", 100000) {
				t.Errorf("%d rows", len(update))
			}
			if n := h.Stats().Bytes; n > 50000 {
				t.Errorf("%d bytes were received: not compressed", n)
			}
		})
	}
}

func TestTaggedGTIDs(t *testing.T) {
	source := sandboxtest.MySQLSource(t)
	db := source.Database(t)
	source.Exec(t, "CREATE TABLE "+db+".t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
	h := read(t, source, nil)
	insert := "INSERT INTO " + db + ".t (v) VALUES (1)"
	h.exec(insert, "SET gtid_next='AUTOMATIC:nightly'", insert, "SET gtid_next='AUTOMATIC'", insert,
		"SET gtid_next='AUTOMATIC:b'", insert, insert)
	var tags []string
	for range 5 {
		parts := strings.Split(h.next().ID, ":")
		tags = append(tags, strings.Join(parts[1:len(parts)-1], ""))
	}
	if got := fmt.Sprint(tags); got != "[ nightly  b b]" {
		t.Errorf("the tags are %s", got)
	}
	// The same set, sent to the server, means the same to it.
	h.kill()
	h.exec(insert, "SET gtid_next='AUTOMATIC:nightly'", insert)
	h.next()
	h.next()
	now, err := Current(t.Context(), h.db, server.MySQL)
	if err != nil {
		t.Fatal(err)
	}
	if h.passed.String() != now.String() {
		t.Errorf("at %s, the server at %s", h.passed, now)
	}
}

func TestAStatementsSessionIsKnown(t *testing.T) {
	for name, source := range map[string]*sandboxtest.Server{
		"MySQL": sandboxtest.MySQLSource(t), "MariaDB": sandboxtest.MariaDBSource(t),
	} {
		t.Run(name, func(t *testing.T) {
			db := source.Database(t)
			h := read(t, source, nil)
			h.exec("USE "+db, "SET SESSION sql_mode='ANSI_QUOTES'", "SET NAMES latin1 COLLATE latin1_bin", "SET time_zone='+03:00'",
				"SET foreign_key_checks=0, unique_checks=0, timestamp=1700000000.123456",
				"CREATE TABLE t (id INT, ts TIMESTAMP(6) DEFAULT '2020-01-01 00:00:00')")
			s := h.next().Statement
			v := s.Session
			if s.Schema != db || v.SQLMode == nil || *v.SQLMode != 4 || v.CharsetClient != 47 || v.CollationConnection != 47 ||
				v.CollationServer == 0 || v.ForeignKeyChecks == nil || *v.ForeignKeyChecks || *v.UniqueChecks || v.Timestamp != 1700000000 {
				t.Errorf("%+v", s)
			}
			if v.TimeZone != "+03:00" && v.TimeZone != "" {
				t.Errorf("time zone %q", v.TimeZone)
			}
			t.Logf("%+v", v)
		})
	}
}

// Whatever columns a table has, its images are whole.
func TestGeneratedAndInvisibleColumnsAreInTheImages(t *testing.T) {
	for name, c := range map[string]struct {
		source *sandboxtest.Server
		table  string
	}{
		"MySQL":                {sandboxtest.MySQLSource(t), "(id INT PRIMARY KEY, a INT, v INT AS (a+1) VIRTUAL, s INT AS (a+2) STORED, i INT DEFAULT 9 INVISIBLE, INDEX ((a*2)))"},
		"MySQL, generated key": {sandboxtest.MySQLSource(t), "(id INT, a INT, v INT AS (a+1) VIRTUAL, s INT AS (a+2) STORED, i INT DEFAULT 9 INVISIBLE)"},
		"MariaDB":              {sandboxtest.MariaDBSource(t), "(id INT PRIMARY KEY, a INT, v INT AS (a+1) VIRTUAL, s INT AS (a+2) STORED, i INT INVISIBLE DEFAULT 9)"},
	} {
		t.Run(name, func(t *testing.T) {
			db := c.source.Database(t)
			h := read(t, c.source, nil)
			if strings.Contains(name, "key") {
				h.exec("SET SESSION sql_generate_invisible_primary_key=ON", "CREATE TABLE "+db+".t "+c.table)
			} else {
				h.exec("CREATE TABLE " + db + ".t " + c.table)
			}
			h.exec("INSERT INTO "+db+".t (id,a) VALUES (1,1)", "UPDATE "+db+".t SET a=5", "DELETE FROM "+db+".t")
			for _, tx := range h.catchUp()[1:] {
				for _, r := range tx.Rows {
					t.Log(r.Images)
					for _, row := range r.Images {
						for i, v := range row {
							if v == nil {
								t.Errorf("%v lacks column %d", row, i)
							}
						}
					}
				}
			}
		})
	}
}

// What the reader says that it holds is about what it holds.
func TestBytesAreCounted(t *testing.T) {
	source := sandboxtest.MySQLSource(t)
	db := source.Database(t)
	source.Exec(t, "CREATE TABLE "+db+".t (id BIGINT AUTO_INCREMENT PRIMARY KEY, k INT, c CHAR(120), pad CHAR(60), j JSON, d DATETIME(6), e DECIMAL(20,4))")
	for name, insert := range map[string]string{
		"rows of a batch": "INSERT INTO " + db + ".t (k,c,pad,j,d,e) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i+1 FROM n WHERE i<900) SELECT i, REPEAT('c',119), REPEAT('p',59), '{\"a\":[1,2,3]}', NOW(6), i FROM n",
		"single rows":     "INSERT INTO " + db + ".t (k,c,pad) VALUES (1,'abc','p')",
	} {
		t.Run(name, func(t *testing.T) {
			h := &harness{t: t, source: source, db: source.DB(t, sandbox.Root), flavor: server.MySQL}
			start, err := Current(t.Context(), h.db, h.flavor)
			if err != nil {
				t.Fatal(err)
			}
			const limit = 8 << 20
			db := source.DB(t, sandbox.Root)
			for n := int64(0); n < 12<<20; {
				if _, err := db.Exec(insert); err != nil {
					t.Fatal(err)
				}
				if n += 1500; name == "rows of a batch" {
					n += 900 * 500
				}
			}
			before := heap()
			h.run(ReaderConfig{Endpoint: endpoint(t, source, sandbox.Changeover), Flavor: h.flavor, Start: start, Queue: limit})
			for deadline := time.Now().Add(20 * time.Second); h.Stats().Queued < limit*8/10; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d bytes queued", h.Stats().Queued)
				}
			}
			held, said := heap()-before, h.Stats().Queued
			t.Logf("%d KiB are queued, %d KiB are held: %.2f", said>>10, held>>10, float64(held)/float64(said))
			if ratio := float64(held) / float64(said); ratio > 1.4 || ratio < 0.5 {
				t.Errorf("holds %.2f times what it says", ratio)
			}
		})
	}
}

func heap() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
