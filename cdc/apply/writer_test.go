package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// once is a table without a key, into which each transaction inserts its number: twice would be
// seen.
func (b *bench) once() *row.Table { return b.table("once", "n INT NOT NULL") }

func insert(t *row.Table, values ...string) row.Change {
	return row.Change{Table: t, After: vals(values...)}
}

func remove(t *row.Table, values ...string) row.Change {
	return row.Change{Table: t, Before: vals(values...)}
}

func update(t *row.Table, before, after row.Row) row.Change {
	return row.Change{Table: t, Before: before, After: after}
}

type outcome struct {
	Result
	err error
}

// begun runs Apply beside the test.
func (b *bench) begun(w *Writer, txs ...*schedule.Tx) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		r, err := w.Apply(b.Context(), txs)
		done <- outcome{r, err}
	}()
	return done
}

func TestAPacketThatRunsOnInTheServerAfterItsClientIsGoneCountsOnce(t *testing.T) {
	b := onTarget(t)
	once, held := b.once(), b.table("held", "id INT PRIMARY KEY, v INT")
	b.exec("INSERT INTO " + server.Name(b.schema, "held") + " VALUES (1, 1)")
	p, db := b.lossy()
	w := b.writerVia(db, nil)
	b.apply(w, b.tx(insert(once, "0")))

	blocker := b.session()
	b.on(blocker, "BEGIN")
	b.on(blocker, "SELECT * FROM "+server.Name(b.schema, "held")+" FOR UPDATE")
	done := b.begun(w, b.tx(update(held, vals("1", "1"), vals("1", "2")), insert(once, "1")))
	b.waitFor("the packet waiting for the row", b.lockWaiters(b.schema), 1)
	p.cut()
	b.waitFor("the new session waiting for the token", b.lockWaiters("_changeover"), 1)
	select {
	case got := <-done:
		t.Fatalf("settled while the old session was still at work: %+v", got)
	case <-time.After(200 * time.Millisecond):
	}
	b.on(blocker, "COMMIT")
	if got := <-done; got.err != nil || got.Tries != 1 {
		t.Fatalf("%+v: the packet ran to its COMMIT, it must not be sent again", got)
	}
	b.want(once, "0", "1")
	b.want(held, "1|2")
	b.apply(w, b.tx(insert(once, "2")))
	b.want(once, "0", "1", "2")
}

func TestALostAnswerToACommitIsSettled(t *testing.T) {
	b := onTarget(t)
	once := b.once()
	p, db := b.lossy()
	w := b.writerVia(db, nil)
	b.apply(w, b.tx(insert(once, "0")))
	p.swallow.Store(true)
	if r := b.apply(w, b.tx(insert(once, "1")), b.tx(insert(once, "2"))); r.Tries != 1 {
		t.Errorf("sent %d times, the first was committed", r.Tries)
	}
	b.want(once, "0", "1", "2")
}

func TestAPacketThatNeverArrivedIsSentAgain(t *testing.T) {
	b := onTarget(t)
	once := b.once()
	p, db := b.lossy()
	w := b.writerVia(db, nil)
	b.apply(w, b.tx(insert(once, "0")))
	p.drop.Store(true)
	if r := b.apply(w, b.tx(insert(once, "1"))); r.Tries != 2 {
		t.Errorf("sent %d times", r.Tries)
	}
	b.want(once, "0", "1")
}

func TestConnectionsCutAtRandomLoseAndDoubleNothing(t *testing.T) {
	b := onTarget(t)
	once := b.once()
	p, db := b.lossy()
	w := b.writerVia(db, nil)
	p.odds.Store(60) // making a connection takes some twenty packets, a batch two
	var want []string
	tries := 0
	for i := range 250 {
		tries += b.apply(w, b.tx(insert(once, fmt.Sprint(i)))).Tries
		want = append(want, fmt.Sprint(i))
	}
	p.odds.Store(0)
	b.want(once, want...)
	t.Logf("%d batches sent %d times", len(want), tries)
}

func TestALockWaitThatTakesTooLongIsTriedAgain(t *testing.T) {
	b := onTarget(t)
	once, held := b.once(), b.table("held", "id INT PRIMARY KEY, v INT")
	b.exec("INSERT INTO " + server.Name(b.schema, "held") + " VALUES (1, 1)")
	session := Session(2)
	session.Vars["innodb_lock_wait_timeout"] = "1"
	w := b.writerVia(b.pool(b.endpoint, session), nil)
	blocker := b.session()
	b.on(blocker, "BEGIN")
	b.on(blocker, "SELECT * FROM "+server.Name(b.schema, "held")+" FOR UPDATE")
	done := b.begun(w, b.tx(insert(once, "1"), update(held, vals("1", "1"), vals("1", "2"))))
	time.Sleep(1500 * time.Millisecond)
	b.on(blocker, "COMMIT")
	if got := <-done; got.err != nil || got.Tries < 2 {
		t.Fatalf("%+v", got)
	}
	b.want(once, "1")
	b.want(held, "1|2")
}

func TestADeadlockIsTriedAgain(t *testing.T) {
	b := onTarget(t)
	once, a, z := b.once(), b.table("a", "id INT PRIMARY KEY, v INT"), b.table("z", "id INT PRIMARY KEY, v INT")
	b.exec("INSERT INTO "+server.Name(b.schema, "a")+" VALUES (1, 1)", "INSERT INTO "+server.Name(b.schema, "z")+" VALUES (1, 1)",
		"CREATE TABLE "+server.Name(b.schema, "weight")+" (n INT)")
	other := b.session()
	b.on(other, "BEGIN")
	// The server gives up the transaction that has changed less.
	b.on(other, "INSERT INTO "+server.Name(b.schema, "weight")+" VALUES (1)"+strings.Repeat(",(1)", 500))
	b.on(other, "UPDATE "+server.Name(b.schema, "z")+" SET v = 7")
	w := b.writer()
	done := b.begun(w, b.tx(insert(once, "1"), update(a, vals("1", "1"), vals("1", "2")), update(z, vals("1", "1"), vals("1", "2"))))
	b.waitFor("the packet waiting", b.lockWaiters(b.schema), 1)
	b.on(other, "UPDATE "+server.Name(b.schema, "a")+" SET v = 7")
	b.on(other, "ROLLBACK")
	if got := <-done; got.err != nil || got.Tries < 2 {
		t.Fatalf("%+v", got)
	}
	b.want(once, "1")
	b.want(a, "1|2")
	b.want(z, "1|2")
}

func TestAWriterWhoseLeaseIsLostWritesNothing(t *testing.T) {
	b := onTarget(t)
	once := b.once()
	w := b.writer()
	b.apply(w, b.tx(insert(once, "1")))
	b.lease = b.acquire()
	_, err := w.Apply(t.Context(), []*schedule.Tx{b.tx(insert(once, "2"))})
	if !fault.Is(err, fault.LeaseLost) {
		t.Fatal(err)
	}
	err = w.Large(t.Context(), "u:9", 9, func(context.Context) ([]row.Change, error) { t.Error("asked for changes"); return nil, io.EOF })
	if !fault.Is(err, fault.LeaseLost) {
		t.Fatal(err)
	}
	err = w.Do(t.Context(), func(context.Context, TargetTx) error { t.Error("ran"); return nil },
		func(context.Context, TargetTx) (bool, error) { return false, nil })
	if !fault.Is(err, fault.LeaseLost) {
		t.Fatal(err)
	}
	b.want(once, "1")
	b.apply(b.writer(), b.tx(insert(once, "3")))
	b.want(once, "1", "3")
}

func TestAWriterWhoseTokenChangedUnderAKeptLeaseTakesANewOne(t *testing.T) {
	b := onTarget(t)
	once := b.once()
	w := b.writer()
	b.apply(w, b.tx(insert(once, "1")))
	b.exec("UPDATE _changeover.worker SET token = 'late' WHERE migration = _utf8mb4'" + b.schema + "'")
	b.apply(w, b.tx(insert(once, "2")))
	b.want(once, "1", "2")
}

func TestTheSameTransactionTwiceIsRefused(t *testing.T) {
	b := onTarget(t)
	once := b.once()
	tx := b.tx(insert(once, "1"))
	w := b.writer()
	b.apply(w, tx)
	if _, err := w.Apply(t.Context(), []*schedule.Tx{tx}); !fault.Is(err, fault.ApplyRow) {
		t.Fatal(err)
	}
	b.want(once, "1")
}

func TestAStrangersUniqueValueIsLoudAndUnharmed(t *testing.T) {
	b := onTarget(t)
	once, users := b.once(), b.table("users", "id INT PRIMARY KEY, email VARCHAR(50) UNIQUE, name VARCHAR(50)")
	b.exec("INSERT INTO " + server.Name(b.schema, "users") + " VALUES (1, 'a', 'one'), (9, 'taken', 'stranger')")
	w := b.writer()
	for name, c := range map[string]row.Change{
		"insert": insert(users, "2", "taken", "secret"),
		"update": update(users, vals("1", "a", "one"), vals("1", "taken", "secret")),
	} {
		bad := b.tx(c)
		_, err := w.Apply(t.Context(), []*schedule.Tx{b.tx(insert(once, "1")), bad, b.tx(insert(once, "2"))})
		if !fault.Is(err, fault.ApplyRow) {
			t.Fatalf("%s: %v", name, err)
		}
		for _, part := range []string{bad.ID, b.schema + ".users", "key id=", "Duplicate entry"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not tell %q", name, err, part)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %q tells values", name, err)
		}
	}
	b.want(users, "1|a|one", "9|taken|stranger")
	b.want(once)
}

func TestAnUpdateOfARowThatIsNotThereYetBringsIt(t *testing.T) {
	b := onTarget(t)
	users := b.table("users", "id INT PRIMARY KEY, email VARCHAR(50) UNIQUE, name VARCHAR(50)")
	b.apply(b.writer(),
		b.tx(update(users, vals("1", "a", "one"), vals("1", "a", "uno"))),
		b.tx(update(users, vals("2", "b", "two"), vals("2", "c", "two"))),
		b.tx(update(users, vals("3", "d", "x"), vals("3", "d", "y")), update(users, vals("3", "d", "y"), vals("3", "d", "x"))),
		b.tx(remove(users, "4", "e", "gone")))
	b.want(users, "1|a|uno", "2|c|two", "3|d|x")
}

func TestRowsWithoutAKeyAreToldApartByCount(t *testing.T) {
	b := onTarget(t)
	log := b.table("log", "a INT, b VARCHAR(20), c FLOAT")
	w := b.writer()
	b.apply(w, b.tx(insert(log, "1", "x", "0.1"), insert(log, "1", "x", "0.1"), insert(log, "1", "X", "0.1"), insert(log, "NULL", "NULL", "NULL"), insert(log, "NULL", "NULL", "NULL")))
	b.apply(w, b.tx(remove(log, "1", "x", "0.1"), remove(log, "NULL", "NULL", "NULL"),
		update(log, vals("1", "X", "0.1"), vals("1", "x", "0.1"))), b.tx(update(log, vals("1", "x", "0.1"), vals("2", "x", "0.1"))))
	b.want(log, "1|x|0.1", "2|x|0.1", "NULL|NULL|NULL")

	_, err := w.Apply(t.Context(), []*schedule.Tx{b.tx(insert(log, "3", "y", "0")), b.tx(remove(log, "1", "X", "0.1"))})
	if !fault.Is(err, fault.ApplyRow) || !strings.Contains(err.Error(), ".log, a row without a key: the row to delete is not on the target") {
		t.Fatal(err)
	}
	b.want(log, "1|x|0.1", "2|x|0.1", "NULL|NULL|NULL")
}

func TestABatchOfManyPacketsIsOneTransaction(t *testing.T) {
	b := onTarget(t)
	big := b.table("big", "id INT PRIMARY KEY, v VARCHAR(2000)")
	w := NewWriter(WriterConfig{DB: b.db, Lease: b.lease, Worker: 500, Log: b.log(), Statement: 10_000, Packet: 50_000})
	t.Cleanup(func() { _ = w.Close() })
	var changes []row.Change
	var want []string
	v := strings.Repeat("v", 1000)
	for i := range 300 {
		changes = append(changes, insert(big, fmt.Sprint(i), v))
		want = append(want, fmt.Sprintf("%d|%s", i, v))
	}
	if r := b.apply(w, b.tx(changes...)); r.Packets < 5 {
		t.Errorf("%d packets", r.Packets)
	}
	b.want(big, want...)
	changes = append(changes[:0], remove(big, "7", v))
	for i := range 300 {
		changes = append(changes, insert(big, fmt.Sprint(1000-i), v)) // 299 collides in the last packets
	}
	changes = append(changes, insert(big, "299", v))
	if _, err := w.Apply(t.Context(), []*schedule.Tx{b.tx(changes...)}); !fault.Is(err, fault.ApplyRow) {
		t.Fatal(err)
	}
	b.want(big, want...)
}

func TestARowThatIsLargerThanAPacketIsLoud(t *testing.T) {
	b := newBench(t, sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true}, sandboxtest.Options("--max-allowed-packet=1M")))
	big := b.table("big", "id INT PRIMARY KEY, v LONGBLOB")
	w := b.writer()
	some := strings.Repeat("v", 600_000)
	b.apply(w, b.tx(insert(big, "1", some), insert(big, "2", some), insert(big, "3", some)))
	b.want(big, "1|"+some, "2|"+some, "3|"+some)
	_, err := w.Apply(t.Context(), []*schedule.Tx{b.tx(insert(big, "4", some+some))})
	if !fault.Is(err, fault.ApplyPacket) || !strings.Contains(err.Error(), "id=4") {
		t.Fatal(err)
	}
	b.apply(w, b.tx(remove(big, "1", some), remove(big, "2", some), remove(big, "3", some)))
	b.want(big)
}

func TestAChangedDefinitionInTheMiddleOfABatchIsAGroupOfItsOwn(t *testing.T) {
	b := onTarget(t)
	old := b.table("t", "id INT PRIMARY KEY, v INT")
	again := *old
	b.apply(b.writer(), b.tx(insert(old, "1", "1")), b.tx(remove(&again, "1", "1"), insert(&again, "2", "2")), b.tx(update(old, vals("2", "2"), vals("2", "3"))))
	b.want(old, "2|3")
}

// pieces gives changes three at a time.
func pieces(changes []row.Change, end error) func(context.Context) ([]row.Change, error) {
	return func(context.Context) ([]row.Change, error) {
		if len(changes) == 0 {
			return nil, end
		}
		n := min(3, len(changes))
		piece := changes[:n]
		changes = changes[n:]
		return piece, nil
	}
}

func TestALargeTransactionIsWholeOrNotThere(t *testing.T) {
	b := onTarget(t)
	once, users := b.once(), b.table("users", "id INT PRIMARY KEY, email VARCHAR(50) UNIQUE")
	b.exec("INSERT INTO " + server.Name(b.schema, "users") + " VALUES (1, 'a'), (2, 'b')")
	changes := []row.Change{ // two rows swap a value, over several pieces
		update(users, vals("1", "a"), vals("1", "NULL")), insert(once, "1"), insert(once, "2"), insert(once, "3"),
		update(users, vals("2", "b"), vals("2", "a")), insert(once, "4"), insert(once, "5"),
		update(users, vals("1", "NULL"), vals("1", "b")),
	}
	p, db := b.lossy()
	w := b.writerVia(db, nil)

	mine := errors.New("the stream ended")
	if err := w.Large(t.Context(), "u:1", 1, pieces(changes, mine)); !errors.Is(err, mine) || errors.Is(err, ErrAgain) {
		t.Fatal(err)
	}
	b.want(once)
	n := 0
	err := w.Large(t.Context(), "u:1", 1, func(ctx context.Context) ([]row.Change, error) {
		if n++; n == 2 {
			p.cut()
		}
		return pieces(changes[(n-1)*3:], io.EOF)(ctx)
	})
	if !errors.Is(err, ErrAgain) {
		t.Fatal(err)
	}
	b.want(once)
	next := pieces(changes, io.EOF)
	err = w.Large(t.Context(), "u:1", 1, func(ctx context.Context) ([]row.Change, error) {
		piece, err := next(ctx)
		p.swallow.Store(err == io.EOF) // the answer to COMMIT is lost
		return piece, err
	})
	if err != nil {
		t.Fatal(err)
	}
	b.want(once, "1", "2", "3", "4", "5")
	b.want(users, "1|b", "2|a")
	if all, err := b.lease.Store().Applied(t.Context()); err != nil || len(all) != 1 || all[0].ID != "u:1" {
		t.Fatal(all, err)
	}
}

func TestALargeTransactionThatTheServerRolledBackIsNotCommittedInPart(t *testing.T) {
	b := onTarget(t)
	once, held := b.once(), b.table("held", "id INT PRIMARY KEY, v INT")
	b.exec("INSERT INTO " + server.Name(b.schema, "held") + " VALUES (1, 1)")
	w := b.writer()
	next := pieces([]row.Change{insert(once, "1"), insert(once, "2"), insert(once, "3"), insert(once, "4")}, io.EOF)
	err := w.Large(t.Context(), "u:1", 1, func(ctx context.Context) ([]row.Change, error) {
		piece, err := next(ctx)
		if err == io.EOF { // as if the server had done it
			b.on(w.conn, "ROLLBACK")
			b.on(w.conn, "INSERT INTO "+server.Name(b.schema, "once")+" VALUES (5)")
		}
		return piece, err
	})
	if err == nil {
		t.Fatal("half a transaction was committed")
	}
	b.want(once)
	b.want(held, "1|1")
}

func TestDoRunsAgainUntilItIsCommittedOnce(t *testing.T) {
	b := onTarget(t)
	once := b.once()
	p, db := b.lossy()
	w := b.writerVia(db, nil)
	for i, lose := range []func(){func() {}, func() { p.swallow.Store(true) }, func() { p.drop.Store(true) }, p.cut} {
		chunk := state.Chunk{Table: 1, Number: uint64(i), Rows: 1}
		err := w.Do(t.Context(), func(ctx context.Context, tx TargetTx) error {
			if _, err := tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s VALUES (%d)", server.Name(b.schema, "once"), i)); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, string(state.AppendChunkDone(nil, b.schema, chunk)))
			lose() // what comes next is COMMIT
			lose = func() {}
			return err
		}, func(ctx context.Context, tx TargetTx) (bool, error) {
			return state.ChunkDone(ctx, tx, b.schema, 1, uint64(i))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	b.want(once, "0", "1", "2", "3")
	mine := errors.New("the chunk is no good")
	err := w.Do(t.Context(), func(ctx context.Context, tx TargetTx) error {
		_, _ = tx.ExecContext(ctx, "INSERT INTO "+server.Name(b.schema, "once")+" VALUES (9)")
		return mine
	}, nil)
	if !errors.Is(err, mine) {
		t.Fatal(err)
	}
	b.want(once, "0", "1", "2", "3")
}

func TestATargetThatRestartsIsOutlastedAndSaidSo(t *testing.T) {
	b := newBench(t, sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true}))
	once := b.once()
	var mu sync.Mutex
	var told []error
	w := b.writerVia(b.db, func(reason error) { mu.Lock(); told = append(told, reason); mu.Unlock() })
	b.apply(w, b.tx(insert(once, "0")))
	if err := b.server.Kill(); err != nil {
		t.Fatal(err)
	}
	done := b.begun(w, b.tx(insert(once, "1")))
	if err := b.server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil {
		t.Fatal(got.err)
	}
	b.want(once, "0", "1")
	mu.Lock()
	defer mu.Unlock()
	if len(told) < 2 || !fault.Is(told[0], fault.ApplyTarget) || told[len(told)-1] != nil {
		t.Errorf("told %v", told)
	}
}

func TestAFullTargetIsWaitedFor(t *testing.T) {
	s := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true},
		sandboxtest.Options("--innodb-data-file-path=ibdata1:12M:autoextend:max:24M", "--innodb-file-per-table=0"))
	b := newBench(t, s)
	big := b.table("big", "id INT PRIMARY KEY, v LONGBLOB")
	ballast := b.table("ballast", "id INT PRIMARY KEY, v LONGBLOB")
	full := make(chan error, 1000)
	w := b.writerVia(b.db, func(reason error) { full <- reason })
	half := strings.Repeat("x", 500_000)
	n := 0
	for range 8 {
		n++
		b.apply(w, b.tx(insert(ballast, fmt.Sprint(n), half)))
	}
	var want []string
	for range 80 {
		n++
		want = append(want, fmt.Sprintf("%d|%s", n, half))
		done := b.begun(w, b.tx(insert(big, fmt.Sprint(n), half)))
		select {
		case got := <-done:
			if got.err != nil {
				t.Fatal(got.err)
			}
			continue
		case reason := <-full:
			if !fault.Is(reason, fault.ApplyFull) {
				t.Fatal(reason)
			}
			t.Logf("full with %d rows: %v", len(want), reason)
		}
		b.exec("DROP TABLE " + server.Name(b.schema, "ballast"))
		if got := <-done; got.err != nil {
			t.Fatal(got.err)
		}
		b.want(big, want...)
		return
	}
	t.Fatal("the target never was full")
}

func TestAnOldSessionThatTheServerThinksAliveIsEnded(t *testing.T) {
	b := onTarget(t)
	once := b.once()
	p, _ := b.lossy()
	e, session := b.endpoint, Session(4)
	e.Port, e.NoTLS = p.listener.Addr().(*net.TCPAddr).Port, true
	session.Vars["innodb_lock_wait_timeout"] = "1"
	w := b.writerVia(b.pool(e, session), nil)
	runs := 0
	err := w.Do(t.Context(), func(ctx context.Context, tx TargetTx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO "+server.Name(b.schema, "once")+" VALUES (1)")
		if runs++; runs == 1 {
			p.deaf.Store(true)
			p.drop.Store(true)
		}
		return err
	}, func(context.Context, TargetTx) (bool, error) { return false, nil })
	if err != nil || runs != 2 {
		t.Fatal(runs, err)
	}
	b.want(once, "1")
}
