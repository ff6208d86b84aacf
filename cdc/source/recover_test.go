package source

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// killDumps ends the connections that stream a binlog, as an impatient administrator would.
func (h *harness) killDumps() (n int) {
	h.t.Helper()
	rows, err := h.db.Query("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			h.t.Fatal(err)
		}
		_, _ = h.db.Exec(fmt.Sprintf("KILL %d", id)) // it may be gone by itself
		n++
	}
	return n
}

// kill ends our connection, once there is one.
func (h *harness) kill() {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); h.killDumps() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			h.t.Fatal("nothing to kill")
		}
	}
}

// load inserts rows, a few to a transaction, until stop; wait gives what ended it.
func load(t testing.TB, db *sql.DB, table string) (stop func()) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				ended <- nil
				return
			default:
			}
			if _, err := db.Exec("INSERT INTO " + table + " (v) VALUES (1),(2),(3)"); err != nil {
				ended <- err
				return
			}
		}
	}()
	return func() {
		close(done)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// inserted are the first columns of all rows that were inserted.
func inserted(txs []*Tx) (ids []string) {
	for _, tx := range txs {
		for _, row := range images(tx, Insert) {
			ids = append(ids, fmt.Sprint(row[0]))
		}
	}
	return ids
}

// selected are the first columns of a table's rows, in order.
func selected(t testing.TB, db *sql.DB, table string) (ids []string) {
	t.Helper()
	rows, err := db.Query("SELECT id FROM " + table + " ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func TestAKilledConnectionLosesNothingAndDoublesNothing(t *testing.T) {
	everySource(t, func(t *testing.T, source *sandboxtest.Server) {
		db := source.Database(t)
		source.Exec(t, "CREATE TABLE "+db+".t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
		h := read(t, source, nil)
		stop := load(t, h.db, db+".t")
		var txs []*Tx
		for range 8 {
			for range 30 {
				txs = append(txs, h.next())
			}
			h.kill()
		}
		stop()
		txs = append(txs, h.catchUp()...)
		if got, want := inserted(txs), selected(t, h.db, db+".t"); !slices.Equal(got, want) {
			t.Errorf("%d rows came, %d are there", len(got), len(want))
		}
		if n := h.Stats().Reconnects; n < 4 {
			t.Errorf("%d reconnects", n)
		}
	})
}

func TestAConnectionKilledInALargeTransactionBeginsItAgain(t *testing.T) {
	everySource(t, func(t *testing.T, source *sandboxtest.Server) {
		db := source.Database(t)
		source.Exec(t, "CREATE TABLE "+db+".t (id INT PRIMARY KEY, v MEDIUMTEXT)")
		// The transaction is longer than the queue and the kernel's buffers: it can't be read to
		// its end before.
		h := read(t, source, func(c *ReaderConfig) { c.LargeTx, c.Queue = 1<<20, 2<<20 })
		h.exec("INSERT INTO "+db+".t VALUES (0,'before')",
			"INSERT INTO "+db+".t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i+1 FROM n WHERE i<900) SELECT i, REPEAT('x',40000) FROM n",
			"INSERT INTO "+db+".t VALUES (-1,'after')")
		h.next()
		ctx := t.Context()
		first, err := h.Next(ctx)
		if err != nil || !first.Large || first.Rows != nil {
			t.Fatalf("%+v, %v", first, err)
		}
		if _, err := h.Next(ctx); err == nil {
			t.Fatal("Next went on in the middle of a large transaction")
		}
		if _, err := first.More(ctx); err != nil {
			t.Fatal(err)
		}
		h.kill()
		if _, err := all(ctx, first); err != ErrInterrupted {
			t.Fatalf("the large transaction ended with %v", err)
		}
		if _, err := first.More(ctx); err != ErrInterrupted {
			t.Fatalf("and then with %v", err)
		}
		again := h.next()
		if again.ID != first.ID || len(images(again, Insert)) != 900 {
			t.Errorf("%s with %d rows came again as %s", first.ID, len(images(again, Insert)), again.ID)
		}
		after := h.next()
		if got := fmt.Sprint(images(after, Insert)); got != "[[-1 [97 102 116 101 114]]]" {
			t.Errorf("then came %s", got)
		}
	})
}

func TestTheSourceRestarts(t *testing.T) {
	for name, opts := range map[string][]sandboxtest.Option{
		"MySQL": {sandboxtest.Durable}, "MariaDB": {sandboxtest.Durable, sandboxtest.MariaDB},
		"MySQL without GTIDs": {sandboxtest.Durable, sandboxtest.Options("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")},
	} {
		t.Run(name, func(t *testing.T) {
			source := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, opts...)
			db := source.Database(t)
			source.Exec(t, "CREATE TABLE "+db+".t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
			h := read(t, source, nil)
			h.exec("INSERT INTO " + db + ".t (v) VALUES (1)")
			txs := []*Tx{h.next()}
			if err := source.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := source.Restart(context.Background()); err != nil {
				t.Fatal(err)
			}
			h.exec("INSERT INTO " + db + ".t (v) VALUES (2)")
			txs = append(txs, h.catchUp()...)
			if got, want := inserted(txs), selected(t, h.db, db+".t"); !slices.Equal(got, want) {
				t.Errorf("%v came, %v are there", got, want)
			}
		})
	}
}

func TestARestartWithRelaxedDurabilityStops(t *testing.T) {
	source := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source})
	h := read(t, source, nil)
	h.exec("CREATE DATABASE a")
	h.next()
	time.Sleep(4 * time.Second) // uptimes are whole seconds
	if err := source.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := h.fault(); !fault.Is(err, fault.StreamIdentity) || !strings.Contains(err.Error(), "durability") {
		t.Errorf("stopped with %v", err)
	}
}

// purge drops all binlog files but the last. MariaDB does so only when InnoDB has flushed what is in
// them, a moment later.
func purge(t *testing.T, source *sandboxtest.Server) {
	t.Helper()
	db := source.DB(t, sandbox.Root)
	last, err := currentOffset(t.Context(), db, flavorOf(source))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		source.Exec(t, "PURGE BINARY LOGS TO '"+last.file+"'")
		first, _, err := firstLog(t.Context(), db, "SHOW BINARY LOGS")
		if err != nil {
			t.Fatal(err)
		}
		if first == last.file {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not purged", first)
		}
	}
}

func TestAPurgedBinlogStops(t *testing.T) {
	for name, opts := range map[string][]sandboxtest.Option{
		"MySQL": nil, "MariaDB": {sandboxtest.MariaDB},
		"MySQL without GTIDs": {sandboxtest.Options("--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")},
	} {
		t.Run(name, func(t *testing.T) {
			source := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source}, opts...)
			db := source.DB(t, sandbox.Root)
			start, err := Current(t.Context(), db, flavorOf(source))
			if err != nil {
				t.Fatal(err)
			}
			source.Exec(t, "CREATE DATABASE a", "FLUSH BINARY LOGS", "CREATE DATABASE b", "FLUSH BINARY LOGS", "CREATE DATABASE c")
			purge(t, source)
			h := read(t, source, func(c *ReaderConfig) { c.Start = start })
			if err := h.fault(); !fault.Is(err, fault.StreamPurged) {
				t.Errorf("stopped with %v", err)
			} else {
				t.Log(err)
			}
		})
	}
}

func TestASourceThatLacksWhatWasReadStops(t *testing.T) {
	for name, c := range map[string]struct {
		source *sandboxtest.Server
		more   string
	}{
		"MySQL":   {sandboxtest.MySQLSource(t), "," + uuidA + ":1-3"},
		"MariaDB": {sandboxtest.MariaDBSource(t), ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := read(t, c.source, func(cfg *ReaderConfig) {
				text := cfg.Start.String() + c.more
				if c.more == "" { // far ahead of the server's own
					text = fmt.Sprintf("0-%d-999999", c.source.Port)
				}
				cfg.Start = parse(t, cfg.Flavor, text)
			})
			err := h.fault()
			if !fault.Is(err, fault.StreamIdentity) || !strings.Contains(err.Error(), strings.TrimPrefix(c.more, ",")) {
				t.Errorf("stopped with %v", err)
			}
			t.Log(err)
		})
	}
}

// The master user of RDS has no SUPER, and less than that on MariaDB.
func TestTheMasterUserOfRDSCanRead(t *testing.T) {
	everySource(t, func(t *testing.T, source *sandboxtest.Server) {
		db := source.Database(t)
		h := read(t, source, func(c *ReaderConfig) { c.Endpoint = endpoint(t, source, sandbox.RDSLike) })
		h.exec("CREATE TABLE " + db + ".t (id INT)")
		if tx := h.next(); tx.Statement == nil {
			t.Errorf("%+v", tx)
		}
	})
}

func TestAWrongPasswordStops(t *testing.T) {
	h := read(t, sandboxtest.MySQLSource(t), func(c *ReaderConfig) { c.Endpoint.Password = "wrong" })
	if err := h.fault(); !fault.Is(err, fault.Access) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("stopped with %v", err)
	}
}

// An idle source is no dead one, and a dead one is noticed.
func TestADeadServerIsNoticedAndAnIdleOneIsNot(t *testing.T) {
	source := sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source})
	h := read(t, source, func(c *ReaderConfig) { c.Heartbeat = 200 * time.Millisecond })
	h.exec("CREATE DATABASE a")
	h.next()
	time.Sleep(2 * time.Second)
	if s := h.Stats(); s.Reconnects != 0 || !s.Connected || time.Since(s.LastEvent) > time.Second {
		t.Fatalf("idle: %+v", s)
	}
	if err := source.Pause(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); h.Stats().Connected; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a dead server was not noticed")
		}
	}
	if err := source.Resume(); err != nil {
		t.Fatal(err)
	}
	h.exec("CREATE DATABASE b")
	h.next()
}
