package cdc

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"changeover/cdc/apply"
	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// watching is a watchman for the length of a test.
type watching struct {
	m      *migration
	mu     sync.Mutex
	strays []Stray
	passed string
	ended  chan error
	stop   context.CancelFunc
	marks  int
}

// watch has the source of m watched from a position on: m is the migration as it was before the writer role
// went away.
func (m *migration) watch(from string) *watching {
	m.t.Helper()
	w := &watching{m: m, ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	o := m.options(Forever)
	go func() {
		w.ended <- Watch(ctx, WatchOptions{Migration: m.name, Endpoint: o.Source, From: from, Databases: o.Databases, Log: o.Log,
			Stray: func(s Stray) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.strays = append(w.strays, s)
			},
			Passed: func(position string) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.passed = position
			}})
	}()
	m.t.Cleanup(func() { stop(); <-w.ended; w.ended <- nil })
	return w
}

// sees gives the strays so far, and forgets them. It makes one of its own, by which it knows that all
// before it was looked at.
func (w *watching) sees(db *sql.DB) (strays []Stray) {
	w.m.t.Helper()
	w.marks++
	name := fmt.Sprintf("stray_%d", w.marks)
	for _, q := range []string{"CREATE TABLE %s (id INT)", "DROP TABLE %s"} {
		_, err := db.Exec(fmt.Sprintf(q, server.Name(w.m.name, name)))
		w.m.must(err)
	}
	eventually(w.m.t, "the watchman sees a stray of the test's own", func() bool {
		select {
		case err := <-w.ended:
			w.ended <- err // for the end of the test
			w.m.t.Fatalf("the watchman has ended: %v", err)
		default:
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, s := range w.strays {
			if strings.HasPrefix(s.Statement, "DROP TABLE") && strings.Contains(s.Statement, name) {
				strays, w.strays = w.strays[:i], w.strays[i+1:]
				return true
			}
		}
		return false
	})
	return strays[:len(strays)-1] // without the CREATE
}

func TestTheWatchmanTellsWhatIsNotChangeovers(t *testing.T) {
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			m := newMigration(t, src, sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(300), b BLOB) DEFAULT CHARSET=utf8mb4", "CREATE TABLE other (id INT PRIMARY KEY)")
			m.mustRun(CaughtUp)
			db := src.DB(t, sandbox.Root)
			flavor := server.Flavor(src.Flavor)
			from, err := source.Current(t.Context(), db, flavor)
			m.must(err)
			w := m.watch(from.String())
			if strays := w.sees(db); len(strays) != 0 {
				t.Fatalf("nothing was written: %+v", strays)
			}
			m.on(m.from, "USE "+m.name, "SET NAMES utf8mb4", "BEGIN", "INSERT INTO t VALUES (1, 'Zoë', 'blob')", "UPDATE t SET name = REPEAT('x', 300) WHERE id = 1", "COMMIT",
				"DELETE FROM t", "INSERT INTO t (id) SELECT seq FROM "+sequence(50))
			first := w.sees(db) // columns have the names that they have when he reads of them: before the table is another
			m.on(m.from, "USE "+m.name, "ALTER TABLE t ADD w INT", "CREATE TEMPORARY TABLE tmp (id INT)", "INSERT INTO tmp VALUES (1)", "/* changeover test */ ALTER TABLE t DROP w")
			_, err = db.Exec("CREATE DATABASE IF NOT EXISTS " + m.name + "_other")
			m.must(err)
			t.Cleanup(func() { _, _ = db.Exec("DROP DATABASE " + m.name + "_other") })
			for _, q := range []string{"CREATE TABLE %s_other.t (id INT PRIMARY KEY)", "INSERT INTO %s_other.t VALUES (1)"} {
				_, err = db.Exec(fmt.Sprintf(q, m.name))
				m.must(err)
			}
			// Another migration's appliers are not this one's.
			m.must(state.Install(t.Context(), db, state.Target))
			for i, owner := range []string{m.name, "not_" + m.name} {
				m.on(m.from, "USE "+m.name, "BEGIN", fmt.Sprintf("INSERT INTO _changeover.applied (migration, id, seq, worker) VALUES ('%s', 'x', 1, 1)", owner),
					"INSERT INTO other VALUES ("+fmt.Sprint(i)+")", "COMMIT")
			}
			strays := append(first, w.sees(db)...)
			table := m.name + ".t"
			want := []Stray{
				{Tables: []string{table}, Count: 2, Rows: []string{table + " inserted: id=1, name=Zoë, b=blob", table + " updated: id=1, name=" + strings.Repeat("x", strayBytes) + "…, b=blob"}},
				{Tables: []string{table}, Count: 1, Rows: []string{table + " deleted: id=1, name=" + strings.Repeat("x", strayBytes) + "…, b=blob"}},
				{Tables: []string{table}, Count: 50},
				{Tables: []string{table}, Statement: "ALTER TABLE t ADD w INT"},
				{Tables: []string{m.name + ".other"}, Count: 1, Rows: []string{m.name + ".other inserted: id=1"}},
			}
			if len(strays) != len(want) {
				t.Fatalf("%d strays: %+v", len(strays), strays)
			}
			for i, s := range strays {
				if s.ID == "" || s.At.IsZero() || fmt.Sprint(s.Tables) != fmt.Sprint(want[i].Tables) || s.Count != want[i].Count || s.Statement != want[i].Statement ||
					want[i].Rows != nil && fmt.Sprint(s.Rows) != fmt.Sprint(want[i].Rows) || len(s.Rows) != min(s.Count, strayRows) {
					t.Errorf("stray %d is %+v\nnot %+v", i, s, want[i])
				}
			}
			// A successor goes on where it was.
			eventually(t, "the watchman says how far he is", func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return w.passed != ""
			})
			w.stop()
			if err := <-w.ended; !errors.Is(err, context.Canceled) {
				t.Errorf("told to stop: %v", err)
			}
			w.ended <- nil
		})
	}
}

// Whatever a run writes, copying and streaming, says that it is Changeover's: chunks, tables without a key,
// ranges that are emptied, large transactions, DDL, indexes built late.
func TestTheWatchmanKnowsAllThatARunWrites(t *testing.T) {
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			const n = 4000
			m := newMigration(t, src, sandboxtest.Target(t), append(crashSchema(n), "CREATE TABLE big (id INT PRIMARY KEY, v LONGBLOB)",
				"CREATE TABLE parent (id INT PRIMARY KEY, v INT)", "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)")...)
			db := m.dst.DB(t, sandbox.Root)
			from, err := source.Current(t.Context(), db, server.MySQL)
			m.must(err)
			w := m.sides().watch(from.String())
			stop := m.load(2, paced(t, 200, counted(n, adverse(n))))
			x := m.halfway("a", func(o *Options) { o.CopyWorkers, o.Chunk = 2, 8<<10 })
			x.mustStop() // what is begun of a chunk is emptied by the next run
			x = m.start(Forever, nil, nil)
			x.wait("every table is copied", func(s Status) bool { return s.Phase == phaseStreaming })
			m.exec("INSERT INTO big VALUES (1, REPEAT('x', 9000000))")
			m.exec("INSERT INTO parent VALUES (1, 1), (2, 2)")
			m.exec("INSERT INTO child VALUES (1, 1), (2, 1), (3, 2)")
			m.exec("DELETE FROM parent WHERE id = 1")
			m.exec("CREATE TABLE made AS SELECT id, v FROM a")
			m.exec("ALTER TABLE w ADD number INT AUTO_INCREMENT UNIQUE") // it starts over
			stop()
			x.catchUp()
			s, running := x.Stream()
			if !running {
				t.Fatal("it does not stream")
			}
			m.must(s.Alone(t.Context(), func(ctx context.Context, tx apply.TargetTx) error { // a repair
				_, err := tx.ExecContext(ctx, "UPDATE "+server.Name(m.name, "a")+" SET v = CONCAT(v, '!') WHERE id < 100")
				return err
			}))
			x.wait("the table is there again", func(s Status) bool { return s.Copy.TablesDone == s.Copy.Tables })
			x.mustStop()
			if strays := w.sees(db); len(strays) > 0 {
				t.Errorf("%d strays, the first: %+v", len(strays), strays[0])
			}
		})
	}
}

// sides is turned before there is anything on the target.
func (m *migration) sides() *migration {
	back := *m
	back.src, back.dst = m.dst, m.src
	return &back
}

// What the stream refuses to carry passes some fences, XA above all: the watchman tells of it and watches on.
func TestTheWatchmanSeesWhatNoStreamCarries(t *testing.T) {
	for name, src := range sources(t) {
		t.Run(name, func(t *testing.T) {
			m := newMigration(t, src, sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY, v INT)")
			m.mustRun(CaughtUp)
			db := src.DB(t, sandbox.Root)
			from, err := source.Current(t.Context(), db, server.Flavor(src.Flavor))
			m.must(err)
			w := m.watch(from.String())
			m.on(m.from, "USE "+m.name, "XA START 'x'", "INSERT INTO t VALUES (1, 1)", "XA END 'x'", "XA PREPARE 'x'", "XA COMMIT 'x'",
				"XA START 'y'", "INSERT INTO t VALUES (2, 1)", "XA END 'y'", "XA PREPARE 'y'", "XA ROLLBACK 'y'",
				"SET SESSION binlog_format = 'STATEMENT'", "UPDATE t SET v = @a := RAND() WHERE id = 1", "BEGIN", "INSERT INTO t VALUES (3, 1)", "DELETE FROM t WHERE id = 3", "COMMIT",
				"SET SESSION binlog_format = 'ROW'", "SET SESSION binlog_row_image = 'MINIMAL'", "UPDATE t SET v = 5 WHERE id = 1")
			strays := w.sees(db)
			var got []string
			for _, s := range strays {
				got = append(got, fmt.Sprintf("%s%d%s", brief(s.Statement), s.Count, strings.ReplaceAll(strings.Join(s.Rows, ""), m.name, "")))
			}
			want := []string{"1.t inserted: id=1, v=1", "1.t inserted: id=2, v=1", "UPDATE t SET v = @a := RAND() WHERE id = 10", "INSERT INTO t VALUES (3, 1)0", "1.t updated: id=NULL, v=5"}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%q\nnot %q", got, want)
			}
		})
	}
}

// A watchman who can't read on says so: then nobody watches.
func TestAWatchmanWhoCannotReadOnSaysSo(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), "CREATE TABLE t (id INT PRIMARY KEY)")
	m.mustRun(CaughtUp)
	w := m.watch("11111111-1111-1111-1111-111111111111:1-5") // what this server never had
	select {
	case err := <-w.ended:
		w.ended <- nil
		if !fault.Is(err, fault.WatchmanGone) {
			t.Errorf("%v", err)
		}
	case <-t.Context().Done():
	}
}
