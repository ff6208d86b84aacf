package cdc

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/cdc/schema"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestBadInputIsAFaultThatSaysWhatToDo(t *testing.T) {
	src, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	m := newMigration(t, src, target, plainTable("t", 10)...)
	maria := sandboxtest.MariaDBSource(t)
	addr := endpoint(t, src, sandbox.Changeover).Addr()
	for _, c := range []struct {
		name  string
		spoil func(*Options)
		code  fault.Code
		says  []string
	}{
		{"wrong host", func(o *Options) { o.Source.Host = "nowhere.invalid" }, fault.Connect, []string{"source", "nowhere.invalid"}},
		{"wrong port", func(o *Options) { o.Target.Port = 1 }, fault.Connect, []string{"target", "127.0.0.1:1", "nothing listens"}},
		{"wrong password", func(o *Options) { o.Source.Password = "guessed" }, fault.Access, []string{"source", "changeover@" + addr}},
		{"wrong password of the target", func(o *Options) { o.Target.Password = "guessed" }, fault.Access, []string{"target", "admin@"}},
		{"no such user", func(o *Options) { o.Target.User = "nobody" }, fault.Access, []string{"nobody@"}},
		{"TLS that is not offered", func(o *Options) {
			o.Source = endpoint(t, maria, sandbox.Changeover)
			o.Source.TLS = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a test
		}, fault.TLS, []string{"source", "offers no TLS"}},
		{"a certificate of nobody's", func(o *Options) { o.Source.TLS = &tls.Config{ServerName: "db.example"} }, fault.TLS, []string{"certificate"}},
		{"an unknown database", func(o *Options) { o.Databases = append(o.Databases, "no_such_db") }, fault.NoDatabase, []string{"no_such_db"}},
		{"source is target", func(o *Options) { o.Target = o.Source }, fault.SameServer, []string{addr}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := m.options(CaughtUp)
			c.spoil(&o)
			o.Migration = "bad-input" // none of them begins
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			at := migration{t: t}
			err := New(o).Run(ctx)
			at.wantError(err, c.code, c.says...)
			for _, secret := range []string{o.Source.Password, o.Target.Password} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("a password is in the message: %v", err)
				}
			}
		})
	}
	var n int
	if err := m.to.QueryRow("SELECT COUNT(*) FROM _changeover.migration WHERE migration = 'bad-input'").Scan(&n); err == nil && n > 0 {
		t.Error("a migration has begun in spite of its bad input")
	}
}

func TestATargetThatIsNotEmptyIsLeftAlone(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), plainTable("t", 10)...)
	m.on(m.to, "CREATE DATABASE "+m.name, "CREATE TABLE "+m.name+".stranger (id INT)")
	m.wantError(m.run(CaughtUp), fault.TargetNotEmpty, m.name+".stranger")
	m.wantError(m.run(CaughtUp), fault.TargetNotEmpty, m.name+".stranger") // it was not taken for ours
	m.on(m.to, "DROP TABLE "+m.name+".stranger")
	m.mustRun(CaughtUp)
	m.equal()
}

func TestAMigrationKeepsTheDatabasesThatItBeganWith(t *testing.T) {
	src, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	m := newMigration(t, src, target, plainTable("t", 10)...)
	other := newMigration(t, src, target, plainTable("t", 10)...)
	m.mustRun(CaughtUp)
	m.on(m.to, "CREATE DATABASE "+other.name, "CREATE TABLE "+other.name+".stranger (id INT)")
	x := m.start(CaughtUp, func(o *Options) { o.Databases = append(o.Databases, other.name) }, nil)
	m.wantFault(x, fault.Config, other.name)
	m.create(m.to, "t") // still there
}

func TestATableThatIsTakenFromTheTargetIsNoticed(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), plainTable("t", 10)...)
	m.mustRun(CaughtUp)
	m.on(m.to, "DROP TABLE "+m.name+".t")
	m.wantError(m.run(CaughtUp), fault.StateBroken, m.name+".t")
}

// A table that is dropped while it is copied, and one that is changed behind the binlog's back.
func TestATableThatVanishesFromTheSource(t *testing.T) {
	src, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	t.Run("with a DROP in the binlog it is gone", func(t *testing.T) {
		m := newMigration(t, src, target, append(plainTable("t", 3000), plainTable("u", 100)...)...)
		x := m.halfway("t", func(o *Options) { o.CopyWorkers = 2 })
		x.Resume()
		m.on(m.from, "DROP TABLE t")
		x.wait("the other one is copied", func(s Status) bool { return s.Phase == phaseStreaming })
		x.catchUp()
		if s := x.Status(); len(s.Tables) != 1 || s.Tables[0].Table != "u" {
			t.Errorf("status shows %v", s.Tables)
		}
		x.mustStop()
		m.equal()
		m.sameTables()
	})
	t.Run("without one it is a fault", func(t *testing.T) {
		m := newMigration(t, src, target, plainTable("t", 3000)...)
		x := m.halfway("t", func(o *Options) { o.CopyWorkers = 1 })
		m.on(m.from, "SET SESSION sql_log_bin = 0", "DROP TABLE t")
		x.Resume()
		m.wantFault(x, fault.StreamTable, m.name+".t", "no statement in its binlog")
	})
}

func TestBinlogThatIsPurgedUnderOurFeetIsSaid(t *testing.T) {
	src, target := sandboxtest.Fresh(t, sandbox.Spec{}), sandboxtest.Target(t)
	m := newMigration(t, src, target, plainTable("t", 100)...)
	m.mustRun(CaughtUp)
	m.on(m.from, "INSERT INTO t (id) VALUES (5000)", "FLUSH BINARY LOGS", "INSERT INTO t (id) VALUES (5001)", "FLUSH BINARY LOGS")
	eventually(t, "the old files are purged", func() bool {
		_, err := m.from.Exec("PURGE BINARY LOGS BEFORE '2100-01-01'")
		var n int
		_ = m.from.QueryRow("SELECT @@GLOBAL.gtid_purged <> ''").Scan(&n)
		return err == nil && n == 1
	})
	m.wantError(m.run(CaughtUp), fault.StreamPurged, "purged", "start the copy again")
}

// The objects that may only come after the rows: each is made or deferred, and said to be; nothing
// of them ends the run.
func TestObjectsAreMadeOrDeferredAndListed(t *testing.T) {
	src, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	objects := append(plainTable("t", 500),
		"CREATE VIEW c_first AS SELECT id FROM t", // by name it comes before the one that it stands on
		"CREATE VIEW z_base AS SELECT id, a FROM t",
		"CREATE OR REPLACE VIEW c_first AS SELECT id FROM z_base",
		"CREATE DEFINER=`nobody`@`nowhere` SQL SECURITY DEFINER VIEW by_nobody AS SELECT a FROM c_first JOIN t USING (id)",
		"CREATE DEFINER=`nobody`@`nowhere` PROCEDURE p() SELECT COUNT(*) FROM t",
		"CREATE FUNCTION f(x INT) RETURNS INT DETERMINISTIC RETURN x + 1",
		"CREATE VIEW with_f AS SELECT f(id) AS next FROM t",
		"CREATE DEFINER=`nobody`@`nowhere` TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
		"CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO DELETE FROM t WHERE id < 0",
		"CREATE VIEW broken AS SELECT id FROM c_first", "CREATE TABLE goes (id INT)",
		"CREATE OR REPLACE VIEW broken AS SELECT id FROM goes", "DROP TABLE goes")
	for name, c := range map[string]struct {
		policy  schema.DefinerPolicy
		definer string
	}{
		"kept":     {schema.DefinersAuto, "nobody@nowhere"},
		"replaced": {schema.DefinersReplace, "admin@%"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMigration(t, src, target, objects...)
			x := m.start(CaughtUp, func(o *Options) { o.Definers = c.policy }, nil)
			<-x.done
			x.mustStop()
			m.on(m.from, "UPDATE t SET v = 'after' WHERE id = 9")
			m.mustRun(CaughtUp)
			m.equal()
			lines := m.journal()
			for _, want := range []string{"VIEW @.c_first: created", "VIEW @.z_base: created", "VIEW @.by_nobody: created", "VIEW @.with_f: created",
				"PROCEDURE @.p: created", "FUNCTION @.f: created", "TRIGGER @.tr: deferred", "EVENT @.ev: deferred", "VIEW @.broken: refused"} {
				want = strings.ReplaceAll(want, "@", m.name)
				if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }) {
					t.Errorf("the journal does not say %q:\n%s", want, strings.Join(lines, "\n"))
				}
			}
			var definer string
			if err := m.to.QueryRow("SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = 'by_nobody'", m.name).Scan(&definer); err != nil || definer != c.definer {
				t.Errorf("the view's definer is %q, %v", definer, err)
			}
			var n int
			if err := m.to.QueryRow("SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?", m.name).Scan(&n); err != nil || n != 0 {
				t.Errorf("%d triggers on the target, %v", n, err)
			}
		})
	}
	t.Run("stop says so before anything is copied", func(t *testing.T) {
		m := newMigration(t, src, target, objects...)
		x := m.start(CaughtUp, func(o *Options) { o.Definers = schema.DefinersStop }, nil)
		m.wantFault(x, fault.SchemaDefiner, "nobody@nowhere")
		if x.Status().Copy.Rows > 0 {
			t.Error("rows were copied before")
		}
	})
}

func (m *migration) journal() (lines []string) {
	m.t.Helper()
	entries, err := state.Open(m.to, m.name).Journal(m.t.Context(), 1000)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range entries {
		lines = append(lines, e.Text)
	}
	return lines
}

// A copy takes no lock on a table with a key beyond that of any SELECT, and the source's process
// list says who reads what.
func TestACopyTakesNoLocksAndSaysWhoItIs(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), plainTable("t", 20000)...)
	x := m.start(Copied, func(o *Options) { o.Chunk = 1 << 20 }, nil)
	locks := map[string]bool{}
	var comment bool
	for ended := false; !ended; {
		select {
		case <-x.done:
			ended = true
		case <-time.After(time.Millisecond):
		}
		rows, err := m.from.Query(`SELECT l.LOCK_TYPE, COALESCE(t.PROCESSLIST_INFO, '') FROM performance_schema.metadata_locks l
			JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID
			WHERE l.OBJECT_SCHEMA = ? AND l.OBJECT_TYPE = 'TABLE' AND t.PROCESSLIST_USER = 'changeover'`, m.name)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var lock, info string
			if err := rows.Scan(&lock, &info); err != nil {
				t.Fatal(err)
			}
			locks[lock] = true
			comment = comment || strings.Contains(info, fmt.Sprintf("/* changeover %s chunk ", m.name)) && strings.Contains(info, " of t */")
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	x.mustStop()
	m.equal()
	// What a SELECT takes, and what looking at a table's definition takes, which is less.
	delete(locks, "SHARED_HIGH_PRIO")
	if !locks["SHARED_READ"] || len(locks) != 1 {
		t.Errorf("locks of the copy: %v", locks)
	}
	if !comment {
		t.Error("no SELECT says that it is a chunk of this migration")
	}
}

// A chunk whose read ended at its budget waits for its writer, perhaps for long. Were the rest of its
// SELECT still open meanwhile, an ALTER of the application would wait for it, and behind the ALTER
// everybody who uses the table.
func TestACopyThatWaitsKeepsNobodyFromAlteringTheTable(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY, v TEXT)",
		// The rows grow, so the first ones say too little of the others' size, and budgets are filled.
		fmt.Sprintf("INSERT INTO t SELECT seq, REPEAT('v', IF(seq < 1500, 10, 3000)) FROM %s", sequence(4000)))
	x := m.start(Forever, func(o *Options) { o.CopyWorkers = 1 }, (*Runner).Pause)
	x.streams()
	hold, err := m.to.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer discard(hold)
	if _, err := hold.ExecContext(t.Context(), "LOCK TABLES "+m.name+".t WRITE"); err != nil {
		t.Fatal(err)
	}
	x.Resume()
	eventually(t, "a chunk waits to be written", func() bool {
		var n int
		_ = hold.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_SCHEMA = ? AND LOCK_STATUS = 'PENDING'", m.name).Scan(&n)
		return n > 0
	})
	eventually(t, "the copy lets go of the table", func() bool {
		conn, err := m.from.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer discard(conn)
		_, _ = conn.ExecContext(t.Context(), "SET SESSION lock_wait_timeout = 1")
		_, err = conn.ExecContext(t.Context(), "ALTER TABLE t COMMENT 'altered'")
		return err == nil
	})
	if _, err := hold.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	x.wait("the table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
	x.catchUp()
	x.mustStop()
	m.equal()
}

// An index that is built after the rows must not make another table of it: MySQL copies a partitioned
// one for an index over an expression, and gives it another TABLE_ID.
func TestATableThatItsOwnIndexesRebuildIsKnownAgain(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t),
		"CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL, g INT AS (n % 5) VIRTUAL, KEY expr ((n * 2 + 1), n DESC), KEY g (g, n), KEY n (n))",
		"CREATE TABLE p (id INT PRIMARY KEY, n INT NOT NULL, g INT AS (n % 5) VIRTUAL, j JSON, KEY expr ((n * 2 + 1), n DESC), KEY g (g, n), KEY n (n), KEY j ((CAST(j->'$[*]' AS UNSIGNED ARRAY)))) PARTITION BY KEY (id) PARTITIONS 3",
		"INSERT INTO t (id, n) VALUES (1, 1), (2, 2)", "INSERT INTO p (id, n) VALUES (1, 1), (2, 2)")
	m.mustRun(Copied)
	m.exec("INSERT INTO t (id, n) VALUES (3, 3)")
	m.exec("INSERT INTO p (id, n) VALUES (3, 3)")
	m.mustRun(CaughtUp)
	m.equal()
	m.sameTables()
}
