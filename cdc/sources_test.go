package cdc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// shapes are the ways in which a source may write its binlog.
func shapes(t *testing.T) map[string]*sandboxtest.Server {
	files := "--secure-file-priv=" // the load writes files and reads them
	return map[string]*sandboxtest.Server{
		"mysql without gtid":           sandboxtest.MySQLSource(t, sandboxtest.Options(files, "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF", "--max-binlog-size=4096")),
		"mysql compressed":             sandboxtest.MySQLSource(t, sandboxtest.Options(files, "--binlog-transaction-compression=ON", "--binlog-checksum=NONE")),
		"mysql that says everything":   sandboxtest.MySQLSource(t, sandboxtest.Options(files, "--binlog-row-metadata=FULL", "--binlog-rows-query-log-events=ON")),
		"mariadb compressed":           sandboxtest.MariaDBSource(t, sandboxtest.Options(files, "--log-bin-compress=ON", "--log-bin-compress-min-len=10", "--binlog-checksum=NONE")),
		"mariadb that says everything": sandboxtest.MariaDBSource(t, sandboxtest.Options(files, "--binlog-row-metadata=FULL", "--log-bin-compress=OFF")),
	}
}

// application is one connection's life: whatever people do with transactions. On MariaDB each
// connection has a domain of its own.
func (m *migration) application(ctx context.Context, i int, files string) {
	conn, err := m.from.Conn(context.Background())
	m.must(err)
	defer discard(conn)
	run := func(statements ...string) {
		for _, q := range statements {
			_, _ = conn.ExecContext(context.Background(), q) // a deadlock, a key that is there: the application's own business
		}
	}
	if m.src.Flavor == sandbox.MariaDB {
		run(fmt.Sprintf("SET SESSION gtid_domain_id = %d", i*7))
	}
	run("SET SESSION innodb_lock_wait_timeout = 1")
	rng := rand.New(rand.NewPCG(uint64(i), 3))
	for n := 0; ctx.Err() == nil; n++ {
		id := func() int { return rng.IntN(3000) }
		switch rng.IntN(9) {
		case 0: // a savepoint that is gone back to, one that is not
			run("BEGIN", fmt.Sprintf("UPDATE p SET v = 'kept %d' WHERE id = %d", n, id()), "SAVEPOINT a", fmt.Sprintf("DELETE FROM p WHERE id = %d", id()),
				"ROLLBACK TO a", fmt.Sprintf("INSERT IGNORE INTO c (id, p) VALUES (%d, %d)", id(), id()), "SAVEPOINT b", "RELEASE SAVEPOINT b", "COMMIT")
		case 1:
			run("BEGIN", fmt.Sprintf("DELETE FROM p WHERE id < %d", id()), "ROLLBACK")
		case 2: // rows from a file
			file := filepath.Join(files, fmt.Sprintf("%d_%d", i, n))
			run(fmt.Sprintf("SELECT id + 5000, v, NULL, NULL FROM p WHERE id BETWEEN %d AND %[1]d + 20 INTO OUTFILE '%s'", id(), file),
				fmt.Sprintf("LOAD DATA INFILE '%s' REPLACE INTO TABLE p (id, v, u, t)", file))
		case 3:
			run("SET SESSION foreign_key_checks = 0", fmt.Sprintf("DELETE FROM p WHERE id = %d", id()), fmt.Sprintf("REPLACE INTO p (id, v) VALUES (%d, 'no checks')", id()), "SET SESSION foreign_key_checks = 1")
		case 4: // several tables in one statement, one from another
			run(fmt.Sprintf("UPDATE p JOIN c ON c.p = p.id SET p.v = 'joined', c.n = c.n + 1 WHERE c.id BETWEEN %d AND %[1]d + 9", id()),
				fmt.Sprintf("DELETE c, d FROM c JOIN d ON d.id = c.id WHERE c.id = %d", id()),
				fmt.Sprintf("INSERT IGNORE INTO d SELECT id, v FROM p WHERE id BETWEEN %d AND %[1]d + 5", id()))
		case 5: // a table of another engine, which is not in the migration, beside those that are
			run(fmt.Sprintf("INSERT INTO isam VALUES (%d, 'x')", n), fmt.Sprintf("UPDATE p SET u = NULL WHERE id = %d", id()), fmt.Sprintf("UPDATE isam SET v = 'y' WHERE id = %d", n-1))
		case 6: // a temporary table
			run("CREATE TEMPORARY TABLE IF NOT EXISTS tmp (id INT PRIMARY KEY, v VARCHAR(60))", fmt.Sprintf("REPLACE INTO tmp SELECT id, v FROM p WHERE id < %d LIMIT 5", id()),
				"BEGIN", "INSERT IGNORE INTO d SELECT id + 7000, v FROM tmp", "DELETE FROM tmp", "COMMIT", "DROP TEMPORARY TABLE tmp")
		case 7:
			run("SET SESSION time_zone = '+05:45'", fmt.Sprintf("UPDATE p SET t = NOW() WHERE id = %d", id()), "SET SESSION time_zone = '-11:00'", fmt.Sprintf("UPDATE p SET t = '2020-03-29 02:30:00' WHERE id = %d", id()))
		default:
			run(fmt.Sprintf("UPDATE p SET u = %d WHERE id = %d", rng.IntN(100000), id()), fmt.Sprintf("INSERT IGNORE INTO c (id, p, n) VALUES (%d, %d, 1)", id(), id()))
		}
	}
}

func TestSourcesOfEveryShapeEndEqual(t *testing.T) {
	target := sandboxtest.Target(t)
	for name, src := range shapes(t) {
		t.Run(name, func(t *testing.T) {
			m := newMigration(t, src, target,
				"CREATE TABLE p (id INT PRIMARY KEY, v VARCHAR(60), u INT NULL, t TIMESTAMP NULL, UNIQUE KEY u (u))",
				"CREATE TABLE c (id INT PRIMARY KEY, p INT, n INT NOT NULL DEFAULT 0, FOREIGN KEY (p) REFERENCES p (id))",
				"CREATE TABLE d (id INT PRIMARY KEY, v VARCHAR(60))",
				"CREATE TABLE isam (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE=MyISAM",
				"CREATE TRIGGER tr AFTER DELETE ON d FOR EACH ROW UPDATE p SET v = CONCAT('trigger ', OLD.id) WHERE id = OLD.id",
				fmt.Sprintf("INSERT INTO p SELECT seq, REPEAT('p', seq %% 60), seq + 200000, NULL FROM %s", sequence(3000)),
				fmt.Sprintf("INSERT INTO d SELECT seq, 'd' FROM %s", sequence(3000)))
			ctx, stop := context.WithCancel(context.Background())
			var apps sync.WaitGroup
			files := t.TempDir()
			for i := range 3 {
				apps.Go(func() { m.application(ctx, i, files) })
			}
			end := sync.OnceFunc(func() { stop(); apps.Wait() })
			defer end()
			scope := func(o *Options) {
				o.Chunk, o.InScope, o.LeaseTTL = 16<<10, func(_, table string) bool { return table != "isam" }, time.Millisecond
				o.Source = endpoint(t, src, sandbox.RDSLike) // what a managed server gives: no SUPER
			}
			x := m.start(Forever, scope, nil)
			x.wait("some rows are copied", func(s Status) bool { return s.Copy.Rows > 1000 })
			x.mustStop()
			x = m.start(Forever, scope, nil)
			x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
			// What is not of the rows passes by: noted, or nothing to the target.
			m.on(m.from, "USE "+m.name, "CREATE TRIGGER second BEFORE INSERT ON d FOR EACH ROW SET NEW.v = CONCAT(NEW.v, '!')", "CREATE VIEW vw AS SELECT id FROM p",
				"CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DO DELETE FROM d WHERE id < 0", "CREATE PROCEDURE pr() SELECT 1", "DROP PROCEDURE pr",
				fmt.Sprintf("CREATE USER %s@'%%' IDENTIFIED BY 'x'", m.name), fmt.Sprintf("GRANT SELECT ON %s.* TO %[1]s@'%%'", m.name), fmt.Sprintf("DROP USER %s@'%%'", m.name),
				"ANALYZE TABLE p", "FLUSH TABLES", "INSERT IGNORE INTO d VALUES (9000, 'triggered')")
			before := x.Status().Stream.Transactions
			x.wait("the stream goes on", func(s Status) bool { return s.Stream.Transactions > before+100 })
			x.mustStop()
			x = m.start(Forever, scope, nil)
			x.streams()
			end()
			x.catchUp()
			var strangers int
			m.must(m.to.QueryRow("SELECT (SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?) + (SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?)", m.name, m.name).Scan(&strangers))
			if strangers != 0 {
				t.Errorf("%d triggers and events on the target before the cutover", strangers)
			}
			m.exec("DROP TABLE isam")
			m.equal()
			if s := x.Status(); s.Error != "" || s.Stream.Transactions == 0 {
				t.Errorf("%+v", s)
			}
			// What the stream can't carry stops it before it.
			m.on(m.from, "USE "+m.name, "SET SESSION binlog_format = 'STATEMENT'", "UPDATE p SET v = 'as a statement' WHERE id = 1")
			m.wantFault(x, fault.StreamStatement, "as a statement")
		})
	}
}

func TestATransactionOfTwoPhasesIsSaid(t *testing.T) {
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			m := newMigration(t, src, sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY)")
			x := m.start(Forever, nil, nil)
			x.streams()
			m.on(m.from, "USE "+m.name, "XA START 'x'", "INSERT INTO t VALUES (1)", "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'")
			m.wantFault(x, fault.StreamEvent, "XA")
		})
	}
}
