package cdc

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// eventually waits until fn is true.
func eventually(t testing.TB, what string, fn func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for !fn() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// running is a Runner that runs until stop.
type running struct {
	*Runner
	t    testing.TB
	stop func() error // ends it, and gives what Run returned
	done chan struct{}
}

// start runs the migration; edit changes the options, or the Runner, before.
func (m *migration) start(until Until, edit func(*Options), before func(*Runner)) *running {
	m.t.Helper()
	o := m.options(until)
	if edit != nil {
		edit(&o)
	}
	x := &running{Runner: New(o), t: m.t, done: make(chan struct{})}
	if before != nil {
		before(x.Runner)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	go func() {
		defer close(x.done)
		err = x.Run(ctx)
	}()
	x.stop = func() error {
		cancel()
		<-x.done
		return ignoreCanceled(err)
	}
	m.t.Cleanup(func() { _ = x.stop() })
	return x
}

// wait waits until the status is as fn wants it.
func (x *running) wait(what string, fn func(Status) bool) {
	x.t.Helper()
	eventually(x.t, what, func() bool {
		select {
		case <-x.done:
			x.t.Fatalf("%s: the run has ended: %v", what, x.stop())
		default:
		}
		return fn(x.Status())
	})
}

// streams waits until the stream is read; then the Runner's parts may be looked at.
func (x *running) streams() {
	x.t.Helper()
	x.wait("the stream is read", func(s Status) bool { return s.Stream.Connected })
}

// catchUp waits until everything that is committed on the source is applied.
func (x *running) catchUp() {
	x.t.Helper()
	x.streams()
	ctx, cancel := context.WithTimeout(x.t.Context(), patience)
	defer cancel()
	go func() { // an end of the run ends the wait
		select {
		case <-x.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	n, err := x.marks.Mark(ctx)
	if err == nil {
		err = x.flow.WaitMark(ctx, n)
	}
	if err != nil {
		x.t.Fatalf("catch up: %v; the run: %v", err, x.stop())
	}
}

// mustStop ends the run, which must have gone well.
func (x *running) mustStop() {
	x.t.Helper()
	if err := x.stop(); err != nil {
		x.t.Fatal(err)
	}
}

// halfway starts a run that pauses when some, but not all, of a table's rows are copied.
func (m *migration) halfway(table string, edit func(*Options)) *running {
	m.t.Helper()
	x := m.start(Forever, edit, nil)
	x.wait("half of "+table+" is copied", func(s Status) bool {
		for _, t := range s.Tables {
			if t.Table == table && t.Rows > 0 {
				x.Pause()
				return true
			}
		}
		return false
	})
	return x
}

func (m *migration) on(db *sql.DB, statements ...string) {
	m.t.Helper()
	conn, err := db.Conn(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	defer discard(conn)
	for _, q := range statements {
		if _, err := conn.ExecContext(m.t.Context(), q); err != nil {
			m.t.Fatalf("%.100s: %v", q, err)
		}
	}
}

var autoIncrement = regexp.MustCompile(` AUTO_INCREMENT=\d+`)

// How a column's charset and collation are shown depends on how it was made.
var collated = regexp.MustCompile(` CHARACTER SET \w+| COLLATE \w+`)

// create is a table's definition, without the next number.
func (m *migration) create(db *sql.DB, table string) string {
	m.t.Helper()
	var name, text string
	var collations sql.NullString
	if err := db.QueryRow("SHOW CREATE TABLE "+server.Name(m.name, table)).Scan(&name, &text); err != nil {
		m.t.Errorf("%s: %v", table, err)
	}
	// Indexes that were built after the rows come last: their order is nobody's business.
	var keys, others []string
	for line := range strings.SplitSeq(collated.ReplaceAllString(autoIncrement.ReplaceAllString(text, ""), ""), "\n") {
		if line = strings.TrimSuffix(line, ","); strings.HasPrefix(line, "  KEY ") {
			keys = append(keys, line)
		} else {
			others = append(others, line)
		}
	}
	slices.Sort(keys)
	if err := db.QueryRow("SELECT GROUP_CONCAT(COLLATION_NAME ORDER BY ORDINAL_POSITION) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?", m.name, table).Scan(&collations); err != nil {
		m.t.Errorf("%s: %v", table, err)
	}
	return strings.Join(append(append(others, keys...), collations.String), "\n")
}

// sameTables compares definitions, and that neither side has a table more.
func (m *migration) sameTables() {
	m.t.Helper()
	want := m.tables()
	var n int
	if err := m.to.QueryRow("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE'", m.name).Scan(&n); err != nil {
		m.t.Fatal(err)
	}
	if n != len(want) {
		m.t.Errorf("the target has %d tables, the source %d", n, len(want))
	}
	if m.src.Flavor == sandbox.MariaDB {
		return // it prints everything in another way
	}
	for _, table := range want {
		if a, b := m.create(m.from, table), m.create(m.to, table); a != b {
			m.t.Errorf("%s on the source:\n%s\non the target:\n%s", table, a, b)
		}
	}
}

// plainTable is a table of a few chunks, with indexes that are built after its rows.
func plainTable(name string, n int) []string {
	return []string{
		"CREATE TABLE " + name + " (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, a INT, v VARCHAR(250), KEY v (v), KEY a (a)) DEFAULT CHARSET=utf8mb4",
		fmt.Sprintf("INSERT INTO %s SELECT seq, seq * 7 %% 1000, REPEAT('v', 100 + seq %% 100) FROM %s", name, sequence(n)),
	}
}

// ddlSteps is every kind of table DDL, on tables whose names begin with p.
func ddlSteps(p string) []string {
	steps := `
CREATE TABLE P_new (id INT PRIMARY KEY, v VARCHAR(20))
INSERT INTO P_new VALUES (1, 'one'), (2, 'two')
CREATE TABLE P_like LIKE P_k
INSERT INTO P_like SELECT * FROM P_k WHERE id < 100
CREATE TABLE P_select (PRIMARY KEY (id)) SELECT id, v FROM P_k WHERE id < 500
UPDATE P_select SET v = 'changed' WHERE id < 10
CREATE TABLE IF NOT EXISTS P_new (other INT)
ALTER TABLE P_k ADD COLUMN c INT NOT NULL DEFAULT 7
UPDATE P_k SET c = id WHERE id % 2 = 0
ALTER TABLE P_k ADD COLUMN first VARCHAR(10) DEFAULT 'f' FIRST
UPDATE P_k SET first = id WHERE id % 3 = 0
ALTER TABLE P_k ADD INDEX (a, c)
ALTER TABLE P_k DROP INDEX v
CREATE INDEX vv ON P_k (v(10))
DROP INDEX a ON P_k
ALTER TABLE P_k MODIFY v VARCHAR(260) CHARACTER SET latin1
INSERT INTO P_k (id, v) VALUES (1000000, 'é')
ALTER TABLE P_k DROP COLUMN first
RENAME TABLE P_r1 TO P_tmp, P_r2 TO P_r1, P_tmp TO P_r2
UPDATE P_r1 SET v = 'in r1' WHERE id % 5 = 0
UPDATE P_r2 SET v = 'in r2' WHERE id % 7 = 0
ALTER TABLE P_l RENAME TO P_m
UPDATE P_m SET v = 'renamed' WHERE id % 5 = 0
ALTER TABLE P_m RENAME P_n, ADD COLUMN c INT
UPDATE P_n SET c = 1 WHERE id % 3 = 0
TRUNCATE TABLE P_t
INSERT INTO P_t (id, v) VALUES (5, 'after')
INSERT INTO P_d (a) VALUES (0)
DROP TABLE P_d
DROP TABLE IF EXISTS P_nothing
CREATE TEMPORARY TABLE P_temp SELECT id, v FROM P_k WHERE id < 5
INSERT INTO P_new SELECT id + 100, 'temp' FROM P_temp
ALTER TABLE P_temp ADD COLUMN x INT
DROP TEMPORARY TABLE P_temp
ALTER TABLE P_pk MODIFY a INT NOT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (a, id), ADD KEY (id)
UPDATE P_pk SET a = a + 5 WHERE id % 10 = 0
ALTER TABLE P_num ADD COLUMN n INT NOT NULL AUTO_INCREMENT UNIQUE
INSERT INTO P_num (id) VALUES (777777)
ALTER TABLE P_parent ADD UNIQUE (a, id)
CREATE TABLE P_child (id INT PRIMARY KEY, a INT, b INT, CONSTRAINT P_fk FOREIGN KEY (a, b) REFERENCES P_parent (a, id))
INSERT INTO P_child SELECT id, a, id FROM P_parent
CREATE TABLE P_drop1 (id INT PRIMARY KEY)
CREATE TABLE P_drop2 (id INT PRIMARY KEY)
DROP TABLE P_drop1, P_drop2
CREATE TABLE ` + "`P_we``ird näme`" + ` (id INT PRIMARY KEY, ` + "`a b`" + ` INT)
INSERT INTO ` + "`P_we``ird näme`" + ` VALUES (1, 2)
ALTER TABLE P_keyless ADD COLUMN c INT DEFAULT 3
INSERT INTO P_keyless VALUES (1, 'x', 1), (1, 'x', 1)
DELETE FROM P_keyless WHERE a % 2 = 0 OR b = 'x'
ALTER TABLE P_keyless ADD PRIMARY KEY (b, a)
UPDATE P_keyless SET c = 9`
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(steps, "P_", p+"_")), "\n")
}

func ddlTables(p string, n int) []string {
	var out []string
	for _, t := range []string{"k", "l", "r1", "r2", "t", "d", "parent"} {
		out = append(out, plainTable(p+"_"+t, n)...)
	}
	for _, t := range []string{"pk", "num"} {
		out = append(out, fmt.Sprintf("CREATE TABLE %s_%s (id INT PRIMARY KEY, a INT, v VARCHAR(200))", p, t),
			fmt.Sprintf("INSERT INTO %s_%s SELECT seq, seq %% 10, REPEAT('v', 150) FROM %s", p, t, sequence(n)))
	}
	return append(out, "ALTER TABLE "+p+"_r2 ADD COLUMN other INT DEFAULT 4",
		"CREATE TABLE "+p+"_keyless (a INT NOT NULL, b VARCHAR(20) NOT NULL)",
		fmt.Sprintf("INSERT INTO %s_keyless SELECT seq, CONCAT('b', seq) FROM %s", p, sequence(100)))
}

func sources(t *testing.T) map[string]*sandboxtest.Server {
	return map[string]*sandboxtest.Server{
		"mysql":   sandboxtest.MySQLSource(t, sandboxtest.Options("--max-binlog-size=4096")),
		"mariadb": sandboxtest.MariaDBSource(t, sandboxtest.Options("--max-binlog-size=4096")),
	}
}

func TestDDLPassesBeforeTheCopyDuringItAndAfter(t *testing.T) {
	target := sandboxtest.Target(t)
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			m := newMigration(t, src, target)
			for _, p := range []string{"x", "y", "z"} {
				m.on(m.from, ddlTables(p, 400)...)
			}
			x := m.start(Forever, nil, (*Runner).Pause)
			x.streams()
			m.on(m.from, ddlSteps("x")...)
			x.catchUp()
			x.Resume()
			x.wait("some rows are copied", func(s Status) bool { return s.Copy.Rows > 0 })
			m.on(m.from, ddlSteps("y")...)
			x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
			for _, table := range x.Status().Tables {
				if strings.HasSuffix(table.Table, "_d") && !strings.HasPrefix(table.Table, "z") {
					t.Errorf("status shows %s, which is dropped", table.Table)
				}
			}
			m.on(m.from, ddlSteps("z")...)
			x.catchUp()
			x.wait("tables that started over are copied", func(s Status) bool { return s.Copy.TablesDone == s.Copy.Tables })
			x.mustStop()
			m.mustRun(CaughtUp)
			m.equal()
			m.sameTables()
		})
	}
}

// MariaDB converts some values to others than MySQL does: such a table is copied again, as MariaDB made
// it. One without a key can't be, and stops.
func TestWhatMariaDBConvertsIsCopiedAgain(t *testing.T) {
	src, target := sandboxtest.MariaDBSource(t), sandboxtest.Target(t)
	tables := []string{"SET SESSION sql_mode = ''", "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(30), b BIT(40), c VARCHAR(30), d INT) DEFAULT CHARSET=sjis",
		"INSERT INTO t VALUES (1, '12abc', 5, 'x', 1), (2, '-0', b'1111111100000000', '-0', 2), (3, '99999', 7, '1e3', 3)",
		"CREATE TABLE keyless (a VARCHAR(30), d INT)", "INSERT INTO keyless VALUES ('-0', 1)"}
	m := newMigration(t, src, target)
	m.on(m.from, append([]string{"USE " + m.name}, tables...)...)
	x := m.start(Forever, nil, nil)
	x.wait("all is copied", func(s Status) bool { return s.Phase == phaseStreaming })
	m.on(m.from, "SET SESSION sql_mode = ''", "ALTER TABLE t MODIFY a TINYINT, CHANGE b bb TINYTEXT CHARACTER SET utf8mb4, MODIFY c DOUBLE, MODIFY d BIGINT",
		"UPDATE t SET d = 10 WHERE id = 2", "ALTER TABLE t ADD COLUMN j JSON DEFAULT '{}', ADD COLUMN IF NOT EXISTS d BIGINT, ADD COLUMN u UUID", "ALTER TABLE t ADD COLUMN IF NOT EXISTS j JSON",
		"CREATE TABLE made (id INT PRIMARY KEY, j JSON, i INET6 DEFAULT '::1', v TEXT DEFAULT 'x')", "INSERT INTO made (id, j) VALUES (1, '1e400')")
	x.catchUp()
	x.wait("the table is copied again", func(s Status) bool { return s.Copy.TablesDone == s.Copy.Tables })
	x.catchUp()
	m.sameBytes("after the conversions")
	m.on(m.from, "SET SESSION sql_mode = ''", "ALTER TABLE keyless MODIFY d BIGINT", "INSERT INTO keyless VALUES ('x', 5000000000)")
	x.catchUp()
	m.sameBytes("after what grows a column")
	m.on(m.from, "SET SESSION sql_mode = ''", "ALTER TABLE keyless MODIFY a DOUBLE")
	m.wantFault(x, fault.StreamDDL, "has no key")
}

// A DDL on a table that is half copied: what was copied, and what was not, must both stay right.
func TestAHalfCopiedTableSurvivesADDL(t *testing.T) {
	src, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	for name, statements := range map[string][]string{
		"renamed":            {"RENAME TABLE t TO now"},
		"renamed by ALTER":   {"ALTER TABLE t RENAME TO now, ADD COLUMN c INT"},
		"swapped":            {"RENAME TABLE t TO tmp, other TO t, tmp TO other", "UPDATE t SET v = 'in t'"},
		"another key":        {"ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (a, id), ADD KEY (id)"},
		"the key turned":     {"ALTER TABLE two DROP PRIMARY KEY, ADD PRIMARY KEY (b, a)"},
		"numbered":           {"ALTER TABLE n ADD COLUMN number INT NOT NULL AUTO_INCREMENT UNIQUE"},
		"computed":           {"ALTER TABLE t ADD COLUMN c VARCHAR(40) DEFAULT (a + 1)"},
		"emptied":            {"TRUNCATE TABLE t", "INSERT INTO t (id, v) VALUES (3, 'x')"},
		"dropped":            {"DROP TABLE t"},
		"dropped and made":   {"DROP TABLE t", "CREATE TABLE t (id INT PRIMARY KEY, w INT)", "INSERT INTO t VALUES (1, 1)"},
		"a column more":      {"ALTER TABLE t ADD COLUMN c INT DEFAULT 1", "UPDATE t SET c = id"},
		"a column less":      {"ALTER TABLE t DROP COLUMN a"},
		"built anew":         {"OPTIMIZE TABLE t", "ALTER TABLE t FORCE"},
		"the database's own": {"ALTER DATABASE CHARACTER SET latin1", "CREATE TABLE l (v VARCHAR(10))"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 1500
			m := newMigration(t, src, target, plainTable("t", n)...)
			m.on(m.from, plainTable("other", 300)...)
			m.on(m.from, "CREATE TABLE n (id INT PRIMARY KEY, v VARCHAR(200))", "INSERT INTO n SELECT id, v FROM t",
				"CREATE TABLE two (a INT, b INT, v VARCHAR(200), PRIMARY KEY (a, b))", "INSERT INTO two SELECT id, a, v FROM t")
			half := "t"
			for _, table := range []string{"n", "two"} {
				if strings.Contains(statements[0], "TABLE "+table+" ") {
					half = table
				}
			}
			x := m.halfway(half, func(o *Options) { o.CopyWorkers = 1 })
			m.on(m.from, statements...)
			x.catchUp()
			if name == "dropped" {
				for _, table := range x.Status().Tables {
					if table.Table == "t" {
						t.Error("status shows the table that was dropped")
					}
				}
			}
			x.Resume()
			x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming && s.Copy.TablesDone == s.Copy.Tables })
			x.catchUp()
			x.mustStop()
			m.mustRun(CaughtUp) // what is recorded fits what is there
			m.equal()
			m.sameTables()
		})
	}
}

func TestADDLThatTheTargetRefusesStopsBeforeItAndGoesOnWhenItCan(t *testing.T) {
	src, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	t.Run("once the target takes it", func(t *testing.T) {
		m := newMigration(t, src, target, plainTable("t", 100)...)
		m.mustRun(CaughtUp)
		m.on(m.to, "CREATE TABLE "+server.Name(m.name, "y")+" (stranger INT)")
		m.on(m.from, "INSERT INTO t (id) VALUES (100001)", "CREATE TABLE y (id INT PRIMARY KEY)", "INSERT INTO y VALUES (1)")
		x := m.start(Forever, nil, nil) // the stranger is found before the stream is read
		m.wantFault(x, fault.StateBroken, m.name+".y")
		m.on(m.to, "DROP TABLE "+server.Name(m.name, "y"))
		x = m.start(Forever, nil, nil)
		x.catchUp()
		m.on(m.to, "CREATE TABLE "+server.Name(m.name, "z")+" (stranger INT)")
		m.on(m.from, "INSERT INTO t (id) VALUES (100002)", "CREATE TABLE z (id INT PRIMARY KEY)", "INSERT INTO z VALUES (1)")
		m.wantFault(x, fault.StreamDDL, "CREATE TABLE z (id INT PRIMARY KEY)", "already exists", "tried again", "start the copy again")
		var n int
		if err := m.to.QueryRow("SELECT COUNT(*) FROM " + server.Name(m.name, "t") + " WHERE id = 100002").Scan(&n); err != nil || n != 1 {
			t.Errorf("what stands before the statement: %d rows, %v", n, err)
		}
		m.on(m.to, "DROP TABLE "+server.Name(m.name, "z"))
		m.mustRun(CaughtUp)
		m.equal()
		m.sameTables()
	})
	t.Run("or without the table", func(t *testing.T) {
		m := newMigration(t, src, target, plainTable("t", 100)...)
		x := m.start(Forever, nil, nil)
		x.catchUp()
		m.on(m.from, "CREATE TABLE my (id INT PRIMARY KEY) ENGINE=MyISAM", "INSERT INTO my VALUES (1)", "INSERT INTO t (id) VALUES (100001)")
		m.wantFault(x, fault.StreamDDL, "CREATE TABLE my", "MyISAM")
		x = m.start(CaughtUp, func(o *Options) { o.InScope = func(_, table string) bool { return table != "my" } }, nil)
		<-x.done
		x.mustStop()
		m.on(m.from, "DROP TABLE my")
		m.equal()
	})
	t.Run("a table comes in or goes out", func(t *testing.T) {
		m := newMigration(t, src, target, plainTable("t", 100)...)
		x := m.start(Forever, func(o *Options) { o.InScope = func(_, table string) bool { return table != "out" } }, nil)
		x.catchUp()
		m.on(m.from, "RENAME TABLE t TO `out`")
		m.wantFault(x, fault.StreamDDL, "in and out of the migration", "RENAME TABLE t")
	})
	t.Run("a DROP is cut", func(t *testing.T) {
		m := newMigration(t, src, target, append(plainTable("t", 100), "CREATE TABLE `out` (id INT PRIMARY KEY)")...)
		scope := func(o *Options) { o.InScope = func(_, table string) bool { return table == "t" } }
		x := m.start(Forever, scope, nil)
		x.catchUp()
		m.on(m.to, "CREATE TABLE "+server.Name(m.name, "out")+" (stranger INT)")
		m.on(m.from, "ALTER TABLE t ADD COLUMN unqualified INT", "CREATE TABLE `out2` LIKE t", "DROP TABLE t, `out`")
		x.catchUp()
		x.mustStop()
		if a := m.create(m.to, "out"); !strings.Contains(a, "stranger") {
			t.Error("a stranger's table was dropped")
		}
	})
}

// wantFault waits for the run to end with a fault that says all these things.
func (m *migration) wantFault(x *running, code fault.Code, says ...string) {
	m.t.Helper()
	select {
	case <-x.done:
	case <-time.After(patience):
		m.t.Fatalf("the run does not end with %s", code)
	}
	entry, _ := fault.Lookup(code)
	if x.opts.Return {
		entry.Remedy = entry.Return()
	}
	m.wantSaid(x.stop(), code, append(says, entry.Remedy)...)
}

// wantError wants it of a stream to the target.
func (m *migration) wantError(err error, code fault.Code, says ...string) {
	m.t.Helper()
	entry, _ := fault.Lookup(code)
	m.wantSaid(err, code, append(says, entry.Remedy)...)
}

func (m *migration) wantSaid(err error, code fault.Code, says ...string) {
	m.t.Helper()
	if !fault.Is(err, code) {
		m.t.Fatalf("want %s, got: %v", code, err)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			m.t.Errorf("%q is not in: %v", s, err)
		}
	}
}

// partition is a way to a server that can be cut so that the server doesn't notice: its side stays
// open until it says something.
type partition struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	clients  []net.Conn
	servers  []net.Conn
	cut      bool
}

func newPartition(t testing.TB, to server.Endpoint) (*partition, server.Endpoint) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &partition{listener: l, to: to.Addr()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.join(client, &wg)
		}
	})
	t.Cleanup(func() {
		p.Cut()
		for _, c := range p.servers {
			_ = c.Close()
		}
		wg.Wait()
	})
	to.Host, to.Port = "127.0.0.1", l.Addr().(*net.TCPAddr).Port
	return p, to
}

func (p *partition) join(client net.Conn, wg *sync.WaitGroup) {
	p.mu.Lock()
	defer p.mu.Unlock()
	remote, err := net.Dial("tcp", p.to)
	if err != nil || p.cut {
		_ = client.Close()
		return
	}
	p.clients, p.servers = append(p.clients, client), append(p.servers, remote)
	wg.Go(func() { // towards the server: its side outlives the client's
		p.pipe(remote, client)
		if !p.isCut() {
			_ = remote.Close()
		}
	})
	wg.Go(func() { // from the server: what it says to nobody ends its side too
		p.pipe(client, remote)
		_ = client.Close()
		_ = remote.Close()
	})
}

func (p *partition) pipe(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *partition) isCut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut
}

// Cut ends the clients' sides, for good.
func (p *partition) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	_ = p.listener.Close()
	for _, c := range p.clients {
		_ = c.Close()
	}
}

// onceOnly are statements that, done twice, would do more, or something else. Tables t and other are
// plain; parted has the columns of t in two partitions.
var onceOnly = map[string]string{
	"an index without a name": "ALTER TABLE t ADD INDEX (a, v)",
	"a CHECK without a name":  "ALTER TABLE t ADD CHECK (a >= 0)",
	"a swap":                  "RENAME TABLE t TO tmp, other TO t, tmp TO other",
	"a renaming ALTER":        "ALTER TABLE t RENAME TO now, ADD CHECK (a >= 0)",
	"TRUNCATE":                "TRUNCATE TABLE t",
	"another key":             "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (a, id), ADD KEY (id)",
	"EXCHANGE PARTITION":      "ALTER TABLE parted EXCHANGE PARTITION p0 WITH TABLE t",
}

func (m *migration) onceTables() {
	m.on(m.from, append(plainTable("t", 1000), plainTable("other", 200)...)...)
	// No index to build first.
	m.on(m.from, "ALTER TABLE t DROP INDEX v, DROP INDEX a", "ALTER TABLE other DROP INDEX v, DROP INDEX a",
		"CREATE TABLE parted LIKE t", "ALTER TABLE parted PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (800000), PARTITION p1 VALUES LESS THAN MAXVALUE)", "INSERT INTO parted SELECT id * 2, a, v FROM t")
}

// holdTable keeps DDL from a table of the target until release.
func (m *migration) holdTable(table string) (release func()) {
	m.t.Helper()
	hold, err := m.to.Conn(m.t.Context())
	m.must(err)
	_, err = hold.ExecContext(m.t.Context(), "BEGIN")
	m.must(err)
	var rows int
	m.must(hold.QueryRowContext(m.t.Context(), "SELECT COUNT(*) FROM "+server.Name(m.name, table)).Scan(&rows))
	if rows == 0 {
		m.t.Fatal("nothing is copied")
	}
	return sync.OnceFunc(func() { discard(hold) })
}

// heldDDL waits until a statement of the stream waits for what is held, and returns its session.
func (m *migration) heldDDL() (id int64) {
	m.t.Helper()
	eventually(m.t, "the DDL waits on the target", func() bool {
		return m.to.QueryRow("SELECT ID FROM information_schema.PROCESSLIST WHERE STATE = 'Waiting for table metadata lock' AND INFO LIKE '/* changeover ddl%' AND DB = ?", m.name).Scan(&id) == nil
	})
	return id
}

// finishAfterDDL lets the old session go on, and the new run come to its end.
func (m *migration) finishAfterDDL(y *running, release func()) {
	m.t.Helper()
	y.wait("it waits for the old session", func(s Status) bool {
		return strings.Contains(strings.Join(s.Waiting, ";"), errOldDDL.Error())
	})
	release()
	y.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming && s.Copy.TablesDone == s.Copy.Tables })
	y.catchUp()
	y.mustStop()
	m.mustRun(CaughtUp)
	m.equal()
	m.sameTables()
}

// The runner's machine is gone in the middle of a DDL; the server does not know it and goes on. The
// next runner waits for it, and finds it done.
func TestADDLThatOutlivesItsClientIsDoneOnce(t *testing.T) {
	src, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	for name, statement := range onceOnly {
		for _, released := range []string{"done", "killed"} {
			t.Run(name+", "+released, func(t *testing.T) {
				t.Parallel()
				m := newMigration(t, src, target)
				m.onceTables()
				way, through := newPartition(t, endpoint(t, target, sandbox.Admin))
				x := m.halfway("t", func(o *Options) { o.Target, o.CopyWorkers = through, 1 })
				x.catchUp()
				release := m.holdTable("t")
				defer release()
				m.on(m.from, statement, "INSERT INTO other (id, v) VALUES (900000, 'behind')")
				id := m.heldDDL()
				way.Cut()
				if err := x.stop(); err != nil {
					t.Logf("the first run: %v", err)
				}
				m.finishAfterDDL(m.restart(), func() {
					if released == "killed" {
						m.on(m.to, fmt.Sprintf("KILL %d", id))
					}
					release()
				})
			})
		}
	}
}

// The run is killed with -9 while a statement of the stream runs on the target, which goes on with it.
func TestADDLInWhichTheRunIsKilledIsDoneOnce(t *testing.T) {
	src, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	for name, statement := range onceOnly {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMigration(t, src, target)
			m.onceTables()
			p := m.spawn(m.crashOptions(Forever))
			if p.saw(patience, childStage+" "+stageStream) == "" {
				t.Fatal(p.output())
			}
			release := m.holdTable("t")
			defer release()
			m.on(m.from, statement, "INSERT INTO other (id, v) VALUES (900000, 'behind')")
			m.heldDDL()
			p.kill()
			m.finishAfterDDL(m.restart(), release)
		})
	}
}

// restart starts a run as soon as the lease of the one before, which is gone, lets it.
func (m *migration) restart() *running {
	m.t.Helper()
	var x *running
	eventually(m.t, "the lease is free", func() bool {
		x = m.start(Forever, func(o *Options) { o.LeaseTTL = time.Millisecond }, nil) // the one before is known to be gone
		held := false
		eventually(m.t, "the lease is taken or refused", func() bool {
			select {
			case <-x.done:
				held = fault.Is(x.stop(), fault.LeaseHeld)
				if !held {
					m.t.Fatal(x.stop())
				}
				return true
			default:
				return x.Status().Phase != "starting" || len(x.Status().Waiting) > 0
			}
		})
		return !held
	})
	return x
}

// onlineSchemaChange alters table g with the tool that people use.
func (m *migration) onlineSchemaChange(alter string) {
	m.t.Helper()
	tool, err := sandbox.FindTool(m.t.Context(), "pt-online-schema-change", nil)
	m.must(err)
	defaults, err := m.src.DefaultsFile(sandbox.Root)
	m.must(err)
	out, err := tool.Command(m.t.Context(), "F="+defaults+",D="+m.name+",t=g", "--alter", alter, "--execute", "--chunk-size=100", "--no-check-replication-filters", "--recursion-method=none",
		"--max-load=Threads_running=1000", "--critical-load=Threads_running=1000", "--tries=copy_rows:100:0.05").CombinedOutput()
	if err != nil {
		m.t.Errorf("%v\n%s", err, out)
	}
}

// A real pt-online-schema-change, in the middle of the copy and in the middle of the stream, while the
// application writes.
func TestAnOnlineSchemaChangeUnderLoadEndsEqual(t *testing.T) {
	target := sandboxtest.Target(t)
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			const n = 1500
			m := newMigration(t, src, target, plainTable("g", n)...)
			stop := m.load(3, func(rng *rand.Rand, tx *sql.Tx) error {
				id := rng.IntN(n) + 1
				q := []string{"UPDATE g SET a = a + 1 WHERE id = %d", "DELETE FROM g WHERE id = %d", "INSERT IGNORE INTO g (id, a) VALUES (%d, 1)",
					"UPDATE g SET v = UUID() WHERE id BETWEEN %d AND %[1]d + 2"}[rng.IntN(4)]
				_, err := tx.Exec(fmt.Sprintf(q, id))
				return err
			})
			x := m.halfway("g", func(o *Options) { o.CopyWorkers = 1 })
			changed := make(chan struct{})
			go func() {
				defer close(changed)
				m.onlineSchemaChange("ADD COLUMN c INT DEFAULT 5, ADD INDEX (a, c)")
			}()
			eventually(t, "its table is being filled", func() bool {
				n := 0
				_ = m.from.QueryRow("SELECT COUNT(*) FROM _g_new").Scan(&n)
				return n > 0
			})
			x.Resume()
			<-changed
			x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
			m.onlineSchemaChange("MODIFY v VARCHAR(260), DROP COLUMN c, ADD COLUMN d DATETIME NULL")
			stop()
			x.catchUp()
			x.mustStop()
			m.mustRun(CaughtUp)
			m.equal()
			m.sameTables()
		})
	}
}
