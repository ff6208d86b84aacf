package cdc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// Servers with lower_case_table_names=1 keep names in lower case, but the binlog has statements as
// they were written.
func TestNamesThatTheServersFoldAreFoundInTheStream(t *testing.T) {
	t.Parallel()
	fold := sandboxtest.Options("--lower-case-table-names=1")
	m := newMigration(t, sandboxtest.MySQLSource(t, fold), sandboxtest.Target(t, fold), plainTable("Klasse", 500)...)
	x := m.start(Forever, nil, nil)
	x.catchUp()
	m.on(m.from, "USE "+strings.ToUpper(m.name), "ALTER TABLE KLASSE ADD COLUMN more INT", "UPDATE kLASSE SET more = 1 WHERE id < 9",
		"RENAME TABLE Klasse TO FORM", "CREATE TABLE "+strings.ToUpper(m.name)+".Andere (id INT PRIMARY KEY)", "INSERT INTO ANDERE VALUES (1)",
		"DROP TABLE IF EXISTS Andere, Niemand", "INSERT INTO form (id, v, more) VALUES (100000, 'x', 2)")
	x.catchUp()
	x.mustStop()
	m.mustRun(CaughtUp)
	m.equal()
	m.sameTables()
}

func TestAViewThatIsRenamedDoesNotStopTheStream(t *testing.T) {
	t.Parallel()
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), append(plainTable("t", 500), "CREATE VIEW old AS SELECT id FROM t")...)
	x := m.start(Forever, nil, nil)
	x.catchUp()
	m.on(m.from, "USE "+m.name, "RENAME TABLE old TO new", "INSERT INTO t (id, v) VALUES (100000, 'x')", "RENAME TABLE t TO u")
	x.catchUp()
	x.mustStop()
	m.mustRun(CaughtUp)
	m.equal()
	m.sameTables()
}

// By file and offset a position is the one server's own: another one under the same address must not
// be asked for it, whatever it would answer.
func TestAPositionOfAnotherServerIsNotFollowed(t *testing.T) {
	t.Parallel()
	src := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, sandboxtest.Options("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"))
	m := newMigration(t, src, sandboxtest.Target(t), "CREATE TABLE a (id INT PRIMARY KEY)", "INSERT INTO a VALUES (1)")
	m.mustRun(CaughtUp)
	m.must(src.Kill())
	m.must(src.Restart(t.Context()))
	m.mustRun(CaughtUp) // the same server, restarted
	m.must(src.Kill())
	m.must(os.Remove(filepath.Join(src.DataDir, "auto.cnf"))) // where a server keeps who it is
	m.must(src.Restart(t.Context()))
	m.wantError(m.run(CaughtUp), fault.StreamIdentity, "another server answers", "is no position of it")
}
