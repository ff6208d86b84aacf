package cdc

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"changeover/cdc/schedule"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// windowOpen is how long semi-sync holds a commit between the binlog and the rows' visibility: long
// enough for a chunk to be read on a busy machine.
const windowOpen = 3 * time.Second

// window holds a transaction's commit open with semi-sync and no replica at all: it waits, after
// the binlog is synced and sent and before its rows can be seen, for an answer that nobody gives.
type window struct{ enable, disable []string }

func windowOf(src *sandboxtest.Server) window {
	name := "rpl_semi_sync_source"
	none := "no_replica"
	if src.Flavor == sandbox.MariaDB {
		name, none = "rpl_semi_sync_master", "no_slave"
	}
	set := func(v string, to any) string { return fmt.Sprintf("SET GLOBAL %s_%s = %v", name, v, to) }
	return window{
		enable: []string{set("timeout", windowOpen.Milliseconds()), set("wait_point", "AFTER_SYNC"), set("wait_"+none, 1),
			set("enabled", 0), set("enabled", 1)},
		disable: []string{set("enabled", 0)},
	}
}

// lose runs a migration in which a row is committed in the window while its chunk is read, and tells
// whether the row is on the target at the end.
func lose(t *testing.T, src, target *sandboxtest.Server, withoutLow bool) (arrived bool) {
	m := newMigration(t, src, target, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))", "INSERT INTO t VALUES (1, 'there'), (100, 'there')")
	x := m.start(CaughtUp, nil, func(r *Runner) {
		r.withoutLow = withoutLow
		r.Pause()
	})
	x.catchUp()
	w := windowOf(src)
	m.on(m.from, w.enable...)
	defer m.on(m.from, w.disable...)
	conn, err := m.from.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer discard(conn)
	var id int64
	if err := conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	committed := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(t.Context(), "INSERT INTO t VALUES (50, 'in the window')")
		committed <- err
	}()
	eventually(t, "the commit waits in the window", func() bool { return m.waitsForACK(id) })
	m.passed(x)
	var n int
	if err := m.from.QueryRow("SELECT COUNT(*) FROM t WHERE id = 50").Scan(&n); err != nil || n != 0 {
		t.Fatalf("the stream has the row, and %d SELECTs see it already: the window was not held (%v)", n, err)
	}
	x.Resume()
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	m.on(m.from, w.disable...)
	<-x.done
	x.mustStop()
	if err := m.to.QueryRow("SELECT COUNT(*) FROM " + m.name + ".t WHERE id = 50").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n == 1
}

func (m *migration) waitsForACK(id int64) bool {
	var state sql.NullString
	_ = m.from.QueryRow("SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = ?", id).Scan(&state)
	return strings.Contains(strings.ToLower(state.String), "semi-sync ack")
}

// passed waits until the stream has taken everything that is in the binlog.
func (m *migration) passed(x *running) {
	m.t.Helper()
	q := "SHOW BINARY LOG STATUS"
	if m.src.Flavor == sandbox.MariaDB {
		q = "SHOW MASTER STATUS"
	}
	rows, err := m.from.Query(q)
	if err != nil {
		m.t.Fatal(err)
	}
	defer rows.Close()
	columns, _ := rows.Columns()
	values := make([]sql.RawBytes, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	if !rows.Next() {
		m.t.Fatal("the source has no binlog position")
	}
	if err := rows.Scan(into...); err != nil {
		m.t.Fatal(err)
	}
	file, end := string(values[0]), string(values[1])
	eventually(m.t, "the stream takes what is in the binlog", func() bool {
		at := x.reader.Stats()
		var applied uint64
		x.flow.With(func(s *schedule.Scheduler) { applied = s.Applied() })
		return at.Log.File == file && fmt.Sprint(at.Log.Offset) == end && applied == uint64(at.Transactions)
	})
}

// A transaction is in the binlog, and read from it, before its rows can be seen. Its change lies in
// a part of the table that no chunk has taken yet, so it is left to the read; the read does not see
// it. The low watermark's commit returns only after it is visible.
func TestARowThatIsInTheBinlogBeforeItIsVisibleIsNotLost(t *testing.T) {
	target := sandboxtest.Target(t)
	for flavor, spec := range map[string]sandbox.Spec{"mysql": {}, "mariadb": {Flavor: sandbox.MariaDB}} {
		t.Run(flavor, func(t *testing.T) {
			src := sandboxtest.Fresh(t, spec)
			if flavor == "mysql" {
				src.Exec(t, "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")
			}
			if !lose(t, src, target, false) {
				t.Error("the row is lost in spite of the low watermark")
			}
			if lose(t, src, target, true) {
				t.Error("the row is there without the low watermark: this test shows nothing")
			}
		})
	}
}

func TestCommitsOutOfOrderStopTheSnapshot(t *testing.T) {
	src, target := sandboxtest.Fresh(t, sandbox.Spec{}), sandboxtest.Target(t)
	m := newMigration(t, src, target, plainTable("t", 3000)...)
	x := m.halfway("t", func(o *Options) { o.CopyWorkers = 1 })
	m.on(m.from, "SET GLOBAL binlog_order_commits = OFF")
	x.Resume()
	m.wantFault(x, fault.SnapshotOrder, "binlog_order_commits=OFF")
	m.on(m.from, "SET GLOBAL binlog_order_commits = ON")
	m.mustRun(CaughtUp)
	m.equal()
}
