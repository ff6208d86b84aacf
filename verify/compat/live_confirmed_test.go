package compat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-migrate/migrate/v4"
	migratemysql "github.com/golang-migrate/migrate/v4/database/mysql"
	_ "github.com/golang-migrate/migrate/v4/source/file"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// one is a query's only value.
func one(t *testing.T, q server.Queryer, query string, args ...any) string {
	t.Helper()
	_, rows, err := server.Rows(t.Context(), q, query, args...)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%s: %d rows, %v", query, len(rows), err)
	}
	return rows[0][0].String
}

// CUT901: a trigger of the target fires for rows that are brought there, beside the rows that it made on the source.
func TestATriggerOfTheTargetDoublesRows(t *testing.T) {
	s := sandboxtest.Target(t)
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, pupil INT)",
		"CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW INSERT INTO log (pupil) VALUES (NEW.id)",
		"INSERT INTO t VALUES (1)", "INSERT INTO log (pupil) VALUES (1)") // as the source's binlog has them
	if n := one(t, s.DBIn(t, sandbox.Root, database), "SELECT COUNT(*) FROM log"); n != "2" {
		t.Errorf("log has %s rows", n)
	}
}

// CUT902: an event of the target runs by itself.
func TestAnEventOfTheTargetRuns(t *testing.T) {
	s := sandboxtest.Target(t)
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY)", "CREATE EVENT e ON SCHEDULE EVERY 1 SECOND DO INSERT INTO t VALUES ()")
	db, n := s.DBIn(t, sandbox.Root, database), "0"
	for deadline := time.Now().Add(20 * time.Second); n == "0" && time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		n = one(t, db, "SELECT COUNT(*) FROM t")
	}
	if n == "0" {
		t.Error("it has not run")
	}
}

// CUT903: what is not ROW and FULL is not in the binlog: a statement in place of rows, and rows without what did not
// change.
func TestTheBinlogLacksWhatIsNotAskedOfIt(t *testing.T) {
	s := sandboxtest.MySQLSource(t)
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(500))", "INSERT INTO t VALUES (1, 1, REPEAT('x', 500))")
	size := map[string]int{}
	for _, setting := range []string{"binlog_row_image = 'FULL'", "binlog_row_image = 'MINIMAL'", "binlog_format = 'STATEMENT'"} {
		conn := session(t, s.DBIn(t, sandbox.Root, database), "FLUSH BINARY LOGS", "SET SESSION "+setting, "UPDATE t SET a = a + 1")
		file := one(t, conn, "SELECT LOG_FILE FROM (SELECT JSON_UNQUOTE(JSON_EXTRACT(LOCAL, '$.binary_log_file')) AS LOG_FILE FROM performance_schema.log_status) AS l")
		names, rows, err := server.Rows(t.Context(), conn, fmt.Sprintf("SHOW BINLOG EVENTS IN '%s'", file))
		if err != nil {
			t.Fatal(names, err)
		}
		for _, r := range rows { // Log_name, Pos, Event_type, Server_id, End_log_pos, Info
			if r[2].String == "Update_rows" {
				size[setting] = int(count(r[4].String) - count(r[1].String))
			}
		}
	}
	full, minimal, statement := size["binlog_row_image = 'FULL'"], size["binlog_row_image = 'MINIMAL'"], size["binlog_format = 'STATEMENT'"]
	if full < 1000 || minimal == 0 || minimal > 100 || statement != 0 {
		t.Errorf("the changes of rows take %v bytes", size)
	}
}

// CUT905: golang-migrate does not go on from a dirty version.
func TestGolangMigrateStopsAtADirtyVersion(t *testing.T) {
	s := sandboxtest.MySQLSource(t)
	database := s.Database(t)
	in(t, s, database, "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty BOOL NOT NULL)", "INSERT INTO schema_migrations VALUES (1, 1)")
	dir := t.TempDir()
	for _, name := range []string{"1_a.up.sql", "2_b.up.sql"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("SELECT 1"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	driver, err := migratemysql.WithInstance(s.DBIn(t, sandbox.Root, database), &migratemysql.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewWithDatabaseInstance("file://"+dir, "mysql", driver)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = m.Close() }()
	var dirty migrate.ErrDirty
	if err := m.Up(); !errors.As(err, &dirty) || dirty.Version != 1 {
		t.Errorf("it says %v", err)
	}
}
