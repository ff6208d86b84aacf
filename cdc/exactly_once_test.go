package cdc

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// commitLoser stands between a runner and its target and loses connections at a COMMIT: one in
// seven, until it is told to stop.
type commitLoser struct {
	listener net.Listener
	server   string
	answered bool // the server's answer is waited for, and then lost; else the connection is, at once
	idle     atomic.Bool
	commits  atomic.Int64
	lost     atomic.Int64

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

func newCommitLoser(t testing.TB, server string, answered bool) *commitLoser {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &commitLoser{listener: l, server: server, answered: answered, open: map[net.Conn]struct{}{}}
	var all sync.WaitGroup
	all.Go(func() { p.accept(&all) })
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for c := range p.open {
			_ = c.Close()
		}
		p.mu.Unlock()
		all.Wait()
	})
	return p
}

func (p *commitLoser) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *commitLoser) accept(all *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = struct{}{}, struct{}{}
		p.mu.Unlock()
		swallow := new(atomic.Bool)
		all.Go(func() { p.requests(server, client, swallow) })
		all.Go(func() { p.answers(client, server, swallow) })
	}
}

func (p *commitLoser) hangUp(a, b net.Conn) {
	_, _ = a.Close(), b.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, a)
	delete(p.open, b)
}

// requests copies what the client says. It says nothing more before it has its answer, so what is
// read ends where its packet ends.
func (p *commitLoser) requests(server, client net.Conn, swallow *atomic.Bool) {
	defer p.hangUp(server, client)
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		lose := bytes.HasSuffix(buf[:n], []byte("COMMIT")) && p.commits.Add(1)%7 == 0 && !p.idle.Load()
		if lose {
			p.lost.Add(1)
			swallow.Store(p.answered)
		}
		if _, err := server.Write(buf[:n]); err != nil || lose && !p.answered {
			return
		}
	}
}

func (p *commitLoser) answers(client, server net.Conn, swallow *atomic.Bool) {
	defer p.hangUp(client, server)
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil || swallow.Load() {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestACommitWhoseConnectionIsLostCountsOnce(t *testing.T) {
	src, dst := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	for name, answered := range map[string]bool{"with the connection": false, "with the answer": true} {
		t.Run(name, func(t *testing.T) {
			const n = 2000
			m := newMigration(t, src, dst, crashSchema(n)...)
			stop := m.load(2, paced(t, 100, counted(n, adverse(n))))
			loser := newCommitLoser(t, endpoint(t, dst, sandbox.Admin).Addr(), answered)
			o := m.crashOptions(Forever)
			o.Target.Port, o.Target.NoTLS = loser.port(), true
			r := m.begin(o)
			r.until("many lost commits", func(s Status) bool { return s.Phase == phaseStreaming && loser.lost.Load() > 60 })
			stop()
			loser.idle.Store(true)
			r.applied(2)
			r.end()
			t.Logf("%d of %d commits were lost", loser.lost.Load(), loser.commits.Load())
			m.mustRun(CaughtUp)
			m.equal()
		})
	}
}

// waitFor asks the database until the answer is true.
func waitFor(t testing.TB, db *sql.DB, what, query string, args ...any) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var ok bool
		if err := db.QueryRow(query, args...).Scan(&ok); err != nil {
			t.Fatal(err)
		} else if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s did not happen within 30 s", what)
		}
	}
}

// The server runs a packet to its end, COMMIT included, after its client was killed. A successor
// must not believe `applied` before that.
func TestAPacketThatRunsOnAfterItsRunnerWasKilledCountsOnce(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t),
		"CREATE TABLE held (id INT PRIMARY KEY, v INT)", "INSERT INTO held VALUES (1, 0)",
		"CREATE TABLE numbers (n BIGINT NOT NULL)")
	first := m.spawn(m.crashOptions(Forever))
	first.saw(30*time.Second, childStage+" "+stageStream)

	release := m.hold("held", "id = 1")
	tx, err := m.from.Begin()
	m.must(err)
	for _, q := range []string{"INSERT INTO numbers VALUES (1)", "UPDATE held SET v = 1 WHERE id = 1", "INSERT INTO numbers VALUES (2)"} {
		_, err := tx.Exec(q)
		m.must(err)
	}
	m.must(tx.Commit())
	m.waitHeld()

	first.kill()
	second := m.spawn(m.crashOptions(CaughtUp))
	second.saw(30*time.Second, "still runs in the server")
	release()
	second.wait(time.Minute)
	m.equal()
}

func TestASecondRunnerIsRefusedWhileTheFirstLivesAndTakesOverSoonAfter(t *testing.T) {
	const n = 500
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), crashSchema(n)...)
	stop := m.load(2, paced(t, 100, counted(n, adverse(n))))
	o := m.options(Forever)
	o.Control = "127.0.0.1:7070"
	first := m.spawn(o)
	first.saw(30*time.Second, childStage+" "+stageStream)

	err := m.run(CaughtUp)
	if !fault.Is(err, fault.LeaseHeld) || !strings.Contains(err.Error(), o.Control) || !strings.Contains(err.Error(), fmt.Sprintf(":%d", first.cmd.Process.Pid)) {
		t.Fatalf("a second runner is told %v", err)
	}
	first.kill()
	killed := time.Now()
	for err = m.run(Copied); fault.Is(err, fault.LeaseHeld); err = m.run(Copied) {
		if time.Since(killed) > 20*time.Second {
			t.Fatal(err)
		}
	}
	m.must(err)
	t.Logf("taken over and ended %v after the kill", time.Since(killed))
	stop()
	m.mustRun(CaughtUp)
	m.equal()
}

func TestAStalledRunnerThatComesBackWritesNothingMore(t *testing.T) {
	const n = 500
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), crashSchema(n)...)
	stop := m.load(2, paced(t, 200, counted(n, adverse(n))))
	first := m.spawn(m.crashOptions(Forever))
	first.saw(30*time.Second, childStage+" "+stageStream)
	for range 3 { // stalled at other moments each time
		first.signal(syscall.SIGSTOP)
		second := m.spawn(m.crashOptions(Forever))
		second.saw(30*time.Second, childStage+" "+stageStream)
		first.signal(syscall.SIGCONT)
		if line := first.saw(30*time.Second, childFailed); !strings.Contains(line, fault.LeaseLost.String()) {
			t.Fatalf("the stalled runner ended with %q", line)
		}
		<-first.ended
		first = second
	}
	stop()
	first.kill()
	m.finish()
	m.equal()
}

// A target whose tables all lie in one file of a limited size is full as one is whose disk is, and
// has room again when a table in the file is dropped. It takes no root to have one.
func TestATargetWithoutRoomIsWaitedForAndSaidSo(t *testing.T) {
	t.Parallel()
	target := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true},
		sandboxtest.Options("--innodb-data-file-path=ibdata1:12M:autoextend:max:64M", "--innodb-file-per-table=0"))
	m := newMigration(t, sandboxtest.MySQLSource(t), target,
		"CREATE TABLE big (id INT PRIMARY KEY, v VARBINARY(8000) NOT NULL)",
		fmt.Sprintf("INSERT INTO big SELECT seq, REPEAT('x', 7000) FROM %s", sequence(2000)),
		"CREATE TABLE numbers (n BIGINT NOT NULL, v VARBINARY(8000) NOT NULL)")
	target.Exec(t, "CREATE DATABASE ballast", "CREATE TABLE ballast.a (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)",
		"CREATE TABLE ballast.b LIKE ballast.a", "CREATE TABLE ballast.c LIKE ballast.a")
	m.ballast("a", 42)
	full := func(s Status) bool { return strings.Contains(strings.Join(s.Waiting, " "), fault.ApplyFull.String()) }
	nobody := func(s Status) bool { return len(s.Waiting) == 0 }

	r := m.begin(m.options(Forever))
	s := r.until("a full target in the copy", full)
	if s.Phase != phaseCopying {
		t.Fatalf("the target was full in the phase %s", s.Phase)
	}
	target.Exec(t, "DROP TABLE ballast.a")
	r.until("the copy's end", func(s Status) bool { return s.Phase == phaseStreaming && nobody(s) })

	m.ballast("b", 1000)
	for i := range 200 {
		m.exec(fmt.Sprintf("INSERT INTO numbers VALUES (%d, REPEAT('y', 7000))", i))
		m.exec(fmt.Sprintf("INSERT INTO big VALUES (%d, REPEAT('y', 7000))", 10000+i))
	}
	r.until("a full target in the stream", full)
	target.Exec(t, "DROP TABLE ballast.b")
	r.until("the stream's going on", nobody)
	r.applied(2)

	m.ballast("c", 1000)
	m.exec("ALTER TABLE big ADD KEY (v(700))")
	r.until("a full target in a DDL", full)
	target.Exec(t, "DROP TABLE ballast.c")
	r.until("the DDL's going on", nobody)
	r.applied(2)
	r.end()
	m.mustRun(CaughtUp)
	m.equal()
}

// ballast fills a table of the target with so many MB, or until there is no room.
func (m *migration) ballast(table string, mb int) {
	m.t.Helper()
	for _, size := range []int{1 << 20, 16 << 10} {
		for range mb * (1 << 20) / size {
			_, err := m.to.Exec("INSERT INTO ballast."+table+" (v) VALUES (REPEAT('b', ?))", size-1000)
			if err != nil && strings.Contains(err.Error(), "is full") {
				break
			}
			m.must(err)
			if size < 1<<20 && mb < 1000 {
				return
			}
		}
	}
}

func TestTheAppliedPositionMovesWhileTheSourceIsIdle(t *testing.T) {
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t), "CREATE TABLE a (id INT PRIMARY KEY)", "INSERT INTO a VALUES (1)")
	r := m.begin(m.options(Forever))
	s := r.until("the stream", func(s Status) bool { return s.Phase == phaseStreaming && s.Stream.Position != "" })
	var saved uint64
	m.must(m.to.QueryRow("SELECT seq FROM _changeover.stream WHERE migration = ?", m.name).Scan(&saved))
	now := r.until("another position", func(now Status) bool { return now.Stream.Position != s.Stream.Position })
	if now.Stream.LagMaxMS <= 0 {
		t.Error("no lag is measured while the source is idle")
	}
	waitFor(t, m.to, "the saving of the position", "SELECT seq > ? + 1 FROM _changeover.stream WHERE migration = ?", saved, m.name)
	waitFor(t, m.to, "the forgetting of applied ids", "SELECT COUNT(*) < 3 FROM _changeover.applied WHERE migration = ?", m.name)
	r.end()
}

// Transactions that are over the budget are applied alone, in one target transaction, as they
// arrive: what breaks in the middle of them undoes them, and they come again from their start.
func TestALargeTransactionThatIsInterruptedIsAppliedOnce(t *testing.T) {
	const n = 10000
	m := newMigration(t, sandboxtest.MySQLSource(t), sandboxtest.Target(t),
		"CREATE TABLE wide (id INT PRIMARY KEY, u INT NOT NULL, v VARBINARY(1000) NOT NULL, UNIQUE KEY u (u))",
		fmt.Sprintf("INSERT INTO wide SELECT seq, seq, RANDOM_BYTES(600 + seq %% 300) FROM %s", sequence(n)),
		"CREATE TABLE numbers (n BIGINT NOT NULL, v VARBINARY(400) NOT NULL)")
	o := m.crashOptions(Forever)
	o.Memory, o.Chunk = 16<<20, 16<<10
	r := m.begin(o)
	r.copied(n / 10)
	for i, c := range []struct {
		compressed bool
		interrupt  func(*live)
	}{
		{false, (*live).killLargeOnTarget},
		{true, (*live).killDump},
		{false, (*live).killDump},
		{true, (*live).killLargeOnTarget},
	} {
		if i == 2 {
			r.until("the copy's end", func(s Status) bool { return s.Phase == phaseStreaming })
		}
		large, phase := r.Status().Stream.Large, r.Status().Phase
		release := m.hold("numbers", "TRUE")
		m.largeTransaction(i, n, c.compressed)
		m.waitHeld()
		c.interrupt(r)
		release()
		r.until("its second beginning", func(s Status) bool { return s.Stream.Large > large+1 })
		t.Logf("compressed=%t, in the phase %s: interrupted", c.compressed, phase)
		waitFor(t, m.to, "its end", "SELECT COUNT(*) > 0 FROM "+m.name+".numbers WHERE n = ?", (i+1)*n)
	}
	r.end()
	m.mustRun(CaughtUp)
	m.equal()
}

// largeTransaction inserts n numbers, between changes of wide.
func (m *migration) largeTransaction(i, n int, compressed bool) {
	m.t.Helper()
	conn, err := m.from.Conn(context.Background())
	m.must(err)
	defer func() { _ = conn.Close() }()
	for _, q := range []string{
		fmt.Sprintf("SET SESSION binlog_transaction_compression = %t", compressed),
		"BEGIN",
		"DELETE FROM wide WHERE id % 7 = 0",
		fmt.Sprintf("INSERT INTO numbers SELECT seq + %d, REPEAT('n', seq %% 100) FROM %s", i*n, sequence(n)),
		"UPDATE wide SET u = -u, v = RANDOM_BYTES(900)", // more than lies in the network between us and the source
		"COMMIT",
	} {
		_, err := conn.ExecContext(context.Background(), q)
		m.must(err)
	}
}

// killLargeOnTarget kills the target's session that applies a large transaction, in its middle.
func (r *live) killLargeOnTarget() {
	r.m.t.Helper()
	var id int
	r.m.must(r.m.to.QueryRow("SELECT COALESCE(MAX(trx_mysql_thread_id), 0) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'").Scan(&id))
	if _, err := r.m.to.Exec(fmt.Sprintf("KILL %d", id)); err != nil {
		r.m.t.Error(err)
	}
}

// killDump kills the source's threads that send the binlog to us.
func (r *live) killDump() {
	r.m.t.Helper()
	rows, err := r.m.from.Query("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")
	r.m.must(err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int
		r.m.must(rows.Scan(&id))
		if _, err := r.m.from.Exec(fmt.Sprintf("KILL %d", id)); err != nil {
			r.m.t.Error(err)
		}
	}
}

// hold locks a row of the target, or all of a table without a key, new rows included, until release.
func (m *migration) hold(table, where string) (release func()) {
	m.t.Helper()
	tx, err := m.to.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	m.must(err)
	rows, err := tx.Query("SELECT * FROM " + m.name + "." + table + " WHERE " + where + " FOR UPDATE")
	m.must(err)
	m.must(rows.Close())
	release = func() { _ = tx.Rollback() }
	m.t.Cleanup(release)
	return release
}

// waitHeld waits until somebody waits for what is held.
func (m *migration) waitHeld() {
	m.t.Helper()
	waitFor(m.t, m.to, "the waiting for a lock", "SELECT COUNT(*) > 0 FROM performance_schema.data_lock_waits w JOIN performance_schema.data_locks l"+
		" ON l.ENGINE_LOCK_ID = w.REQUESTING_ENGINE_LOCK_ID WHERE l.OBJECT_SCHEMA = ?", m.name)
}
