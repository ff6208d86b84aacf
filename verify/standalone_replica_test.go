package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// eachReplica runs a test with a source of either flavor and a replica of it.
func eachReplica(t *testing.T, test func(t *testing.T, r replicated)) {
	for _, flavor := range []sandbox.Flavor{sandbox.MySQL, sandbox.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			// Servers of their own: what is stopped and locked is all of it.
			spec := sandbox.Spec{Role: sandbox.Source, Flavor: flavor}
			r := replicated{source: sandboxtest.Fresh(t, spec), replica: sandboxtest.Fresh(t, spec), flavor: flavor}
			r.source.Exec(t, "CREATE DATABASE school")
			r.replicate(t)
			test(t, r)
		})
	}
}

// replicated is a source and its replica.
type replicated struct {
	source, replica *sandboxtest.Server
	flavor          sandbox.Flavor
}

func (r replicated) replicate(t testing.TB) {
	t.Helper()
	password, err := r.source.Password(sandbox.Changeover)
	if err != nil {
		t.Fatal(err)
	}
	// A password of the sandbox is letters and digits.
	change := fmt.Sprintf(`CHANGE REPLICATION SOURCE TO SOURCE_HOST='%s', SOURCE_PORT=%d, SOURCE_USER='changeover', SOURCE_PASSWORD='%s', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1`,
		r.source.Host, r.source.Port, password)
	start := "START REPLICA"
	if r.flavor == sandbox.MariaDB {
		change = fmt.Sprintf(`CHANGE MASTER TO MASTER_HOST='%s', MASTER_PORT=%d, MASTER_USER='changeover', MASTER_PASSWORD='%s', MASTER_USE_GTID=slave_pos`,
			r.source.Host, r.source.Port, password)
		start = "START SLAVE"
	}
	r.replica.Exec(t, change, start)
	r.waitForReplica(t)
}

// waitForReplica waits until the replica has applied all that is committed on the source.
func (r replicated) waitForReplica(t testing.TB) {
	t.Helper()
	position, wait := "SELECT @@GLOBAL.gtid_executed", "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)"
	if r.flavor == sandbox.MariaDB {
		position, wait = "SELECT @@GLOBAL.gtid_binlog_pos", "SELECT MASTER_GTID_WAIT(?, 60)"
	}
	var gtids string
	var late int
	if err := r.source.DB(t, sandbox.Root).QueryRow(position).Scan(&gtids); err != nil {
		t.Fatal(err)
	}
	if err := r.replica.DB(t, sandbox.Root).QueryRow(wait, gtids).Scan(&late); err != nil || late != 0 {
		t.Fatalf("the replica did not come to %s: %d, %v", gtids, late, err)
	}
}

// waitUntil waits until the replica applies up to a position.
func (r replicated) waitUntil(t testing.TB) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for now := "None"; now == "None"; now = r.status(t)["Until_Condition"] {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Error("the replica was not told to stop at a position")
			return
		}
	}
}

// status is the replica's.
func (r replicated) status(t testing.TB) replicaStatus {
	show := "SHOW REPLICA STATUS"
	if r.flavor == sandbox.MariaDB {
		show = "SHOW ALL SLAVES STATUS"
	}
	all, err := readStatus(context.Background(), r.replica.DB(t, sandbox.Root), show)
	if err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
		return nil
	}
	return all[0]
}

// running tells whether the replica applies, and was not told to stop anywhere.
func (r replicated) running(t testing.TB) bool {
	t.Helper()
	thread, io := "Replica_SQL_Running", "Replica_IO_Running"
	if r.flavor == sandbox.MariaDB {
		thread, io = "Slave_SQL_Running", "Slave_IO_Running"
	}
	now := r.status(t)
	return now[thread] == "Yes" && now[io] != "No" && now["Until_Condition"] == "None"
}

func (r replicated) options(t testing.TB) StandaloneOptions {
	return StandaloneOptions{
		Source: endpointOf(t, r.source, sandbox.Changeover), Target: endpointOf(t, r.replica, sandbox.Changeover),
		Databases: []string{"school"}, Limit: 20, Consistent: true, Say: func(text string) { t.Log(text) },
	}
}

// load changes rows on the source, without end, in both tables and in one transaction each time.
func (r replicated) load(t testing.TB) {
	for i := range 3 {
		db := r.source.DBIn(t, sandbox.App, "school")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { // ends with ctx
			for n := 0; ctx.Err() == nil; n++ {
				tx, err := db.BeginTx(ctx, nil)
				if err == nil {
					_, err = tx.Exec("UPDATE t SET v = ? WHERE id BETWEEN ? AND ?", n, i*1000+n%1000, i*1000+n%1000+3)
				}
				if err == nil {
					_, err = tx.Exec("INSERT INTO k VALUES (?)", n)
				}
				if err == nil {
					err = tx.Commit()
				}
				if err != nil && ctx.Err() == nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				t.Errorf("the load: %v", err)
			}
		})
	}
}

// The replica is behind all the time, and yet at one position all is equal; but for what was planted.
func TestAReplicaUnderLoadIsComparedAtOnePosition(t *testing.T) {
	eachReplica(t, func(t *testing.T, r replicated) {
		r.source.Exec(t, "USE school", numbered, numbers(0, 50_000), "CREATE TABLE k (a int)")
		r.waitForReplica(t)
		r.load(t)
		for range 3 {
			o := r.options(t)
			report, err := NewStandalone(o).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if report.Verdict() != Same || report.Position == "" || report.of(t, "k").SourceRows == 0 {
				t.Errorf("at %q: %v", report.Position, report.Tables)
			}
			if !r.running(t) {
				t.Fatal("the replica stands still")
			}
		}
		r.replica.Exec(t, "USE school", "SET sql_log_bin = 0", "UPDATE t SET v = 'planted' WHERE id = 40000", "DELETE FROM t WHERE id = 45000", "INSERT INTO k VALUES (-77)")
		report, err := NewStandalone(r.options(t)).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		named, unnamed := report.of(t, "t"), report.of(t, "k")
		if named.Different != 2 || named.Unsettled != 0 || unnamed.Different != 1 || unnamed.Verdict != Different {
			t.Errorf("planted differences: %v", report.Tables)
		}
		if text := describe(append(named.Differences, unnamed.Differences...)); !strings.Contains(text, "id=40000 1/1: v ") || !strings.Contains(text, "id=45000 1/0") || !strings.Contains(text, "a=-77 0/1") {
			t.Errorf("described: %s", text)
		}
	})
}

// An ALTER need not wait for the end of the comparison, nor all that queues behind it.
func TestReadViewsLetTablesBeAltered(t *testing.T) {
	eachReplica(t, func(t *testing.T, r replicated) {
		r.source.Exec(t, "USE school", numbered, numbers(0, 30_000), "CREATE TABLE z AS SELECT * FROM t", "ALTER TABLE z ADD PRIMARY KEY (id)")
		r.waitForReplica(t)
		o := r.options(t)
		o.Parallel, o.Share = 1, 0.02 // it is at it for long
		ctx, cancel := context.WithCancel(t.Context())
		run := NewStandalone(o)
		ended := make(chan error, 1)
		go func() { // ends with ctx
			_, err := run.Run(ctx)
			ended <- err
		}()
		waitForRows(t, run)
		r.source.Exec(t, "SET SESSION lock_wait_timeout = 10", "ALTER TABLE school.t ADD COLUMN more int")
		select {
		case err := <-ended:
			t.Fatalf("the comparison was over before: %v", err)
		default:
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// Whatever goes wrong, the replica goes on.
func TestTheReplicaGoesOnWhateverHappens(t *testing.T) {
	eachReplica(t, func(t *testing.T, r replicated) {
		r.source.Exec(t, "USE school", numbered, numbers(0, 1000))
		r.waitForReplica(t)
		t.Run("deadline", func(t *testing.T) {
			o := r.options(t)
			o.Wait = 3 * time.Second
			err := r.blocked(t, t.Context(), o, func(string) {})
			if !fault.Is(err, fault.VerifyPoint) || !strings.Contains(err.Error(), "not within 3s") {
				t.Errorf("%v", err)
			}
		})
		t.Run("interrupted", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var started sync.WaitGroup
			err := r.blocked(t, ctx, r.options(t), func(text string) {
				if strings.Contains(text, "was locked for") {
					started.Go(func() {
						r.waitUntil(t)
						cancel()
					})
				}
			})
			started.Wait()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
		})
	})
}

// blocked runs a comparison whose replica can't come to the position: somebody has locked a row there,
// until the comparison has been given up.
func (r replicated) blocked(t testing.TB, ctx context.Context, o StandaloneOptions, hears func(string)) error {
	t.Helper()
	blocker, err := r.replica.DB(t, sandbox.Root).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close()
	exec := func(statements ...string) {
		for _, q := range statements {
			if _, err := blocker.ExecContext(context.Background(), q); err != nil {
				t.Errorf("%s: %v", q, err)
			}
		}
	}
	o.Say = func(text string) {
		t.Log(text)
		switch {
		case strings.Contains(text, "stopped applying"):
			exec("BEGIN", "SELECT * FROM school.t WHERE id = 5 FOR UPDATE")
			r.source.Exec(t, "UPDATE school.t SET v = UUID_SHORT() WHERE id = 5")
		case strings.Contains(text, "has to end the transaction"):
			exec("ROLLBACK")
		}
		hears(text)
	}
	_, err = NewStandalone(o).Run(ctx)
	_, _ = blocker.ExecContext(context.Background(), "ROLLBACK")
	if !r.running(t) {
		t.Error("the replica stands still")
	}
	r.waitForReplica(t)
	return err
}

// The lock of the source is not waited for by others for longer than a second.
func TestALongStatementInTheWayIsWaitedForOutsideOfTheLock(t *testing.T) {
	eachReplica(t, func(t *testing.T, r replicated) {
		r.source.Exec(t, "USE school", numbered, numbers(0, 10))
		r.waitForReplica(t)
		holder, err := r.source.DB(t, sandbox.Root).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		if _, err := holder.ExecContext(t.Context(), "LOCK TABLES school.t WRITE"); err != nil {
			t.Fatal(err)
		}
		said := make(chan string, 10)
		o := r.options(t)
		o.Say = func(text string) { said <- text }
		result := startStandalone(t, NewStandalone(o))
		for text := ""; !strings.Contains(text, "in the way of the lock"); {
			text = hear(t, said)
		}
		if _, err := holder.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
			t.Fatal(err)
		}
		if report := result(); report.Verdict() != Same {
			t.Errorf("%v", report.Tables)
		}
		if !r.running(t) {
			t.Error("the replica stands still")
		}
	})
}

// An account that may not lock the server locks the tables; one that may neither, or may not stop the
// replica, is told so, and has changed nothing.
func TestAConsistentPointIsTakenAsThePrivilegesAllow(t *testing.T) {
	eachReplica(t, func(t *testing.T, r replicated) {
		password, err := r.source.Password(sandbox.Changeover)
		if err != nil {
			t.Fatal(err)
		}
		r.source.Exec(t, "USE school", numbered, numbers(0, 10),
			"CREATE USER reader IDENTIFIED BY '"+password+"'", "GRANT SELECT ON school.* TO reader", "CREATE USER locker IDENTIFIED BY '"+password+"'", "GRANT SELECT, LOCK TABLES ON school.* TO locker")
		r.waitForReplica(t)
		as := func(o StandaloneOptions, source, target string) StandaloneOptions {
			o.Source.User, o.Target.User = source, target
			if target != "changeover" { // the replica has it from the source
				o.Target.Password = password
			}
			return o
		}
		report, err := NewStandalone(as(r.options(t), "locker", "changeover")).Run(t.Context())
		if err != nil || report.Verdict() != Same {
			t.Errorf("an account that may lock tables only: %v, %v", report, err)
		}
		_, err = NewStandalone(as(r.options(t), "reader", "changeover")).Run(t.Context())
		if !fault.Is(err, fault.VerifyPoint) || !strings.Contains(err.Error(), "reader") {
			t.Errorf("an account that may lock nothing: %v", err)
		}
		_, err = NewStandalone(as(r.options(t), "changeover", "reader")).Run(t.Context())
		if !fault.Is(err, fault.VerifyReplica) {
			t.Errorf("an account that may not see the replica's state: %v", err)
		}
		monitor := "REPLICATION CLIENT"
		if r.flavor == sandbox.MariaDB {
			monitor = "SLAVE MONITOR"
		}
		r.source.Exec(t, "GRANT "+monitor+" ON *.* TO reader")
		r.waitForReplica(t)
		_, err = NewStandalone(as(r.options(t), "changeover", "reader")).Run(t.Context())
		if !fault.Is(err, fault.VerifyPoint) || !strings.Contains(err.Error(), "stop applying") {
			t.Errorf("an account that may not stop the replica: %v", err)
		}
		if !r.running(t) {
			t.Error("the replica stands still")
		}
	})
}

func TestWhatIsNoReplicaIsNotComparedConsistently(t *testing.T) {
	eachReplica(t, func(t *testing.T, r replicated) {
		r.source.Exec(t, "USE school", numbered)
		r.waitForReplica(t)
		o := r.options(t)
		o.Source, o.Target = o.Target, o.Source
		if _, err := NewStandalone(o).Run(t.Context()); !fault.Is(err, fault.VerifyReplica) || !strings.Contains(err.Error(), "does not replicate") {
			t.Errorf("the wrong way round: %v", err)
		}
		stop := "STOP REPLICA SQL_THREAD"
		if r.flavor == sandbox.MariaDB {
			stop = "STOP SLAVE SQL_THREAD"
		}
		r.replica.Exec(t, stop)
		if _, err := NewStandalone(r.options(t)).Run(t.Context()); !fault.Is(err, fault.VerifyReplica) || !strings.Contains(err.Error(), "SQL thread is not running") {
			t.Errorf("a replica that somebody stopped: %v", err)
		}
		if r.running(t) {
			t.Error("a replica that somebody stopped was started")
		}
		o = r.options(t)
		other := sandboxtest.MariaDBSource(t)
		if r.flavor == sandbox.MariaDB {
			other = sandboxtest.MySQLSource(t)
		}
		other.Exec(t, "CREATE DATABASE school", "CREATE TABLE school.t (id int PRIMARY KEY)")
		defer other.Exec(t, "DROP DATABASE school")
		o.Target = endpointOf(t, other, sandbox.Changeover)
		if _, err := NewStandalone(o).Run(t.Context()); !fault.Is(err, fault.VerifyReplica) {
			t.Errorf("a server of the other flavor: %v", err)
		}
	})
}

// A read view that is lost can't be had again: nothing may be read past it.
func TestALostReadViewIsAnError(t *testing.T) {
	eachReplica(t, func(t *testing.T, r replicated) {
		r.source.Exec(t, "USE school", numbered, numbers(0, 30_000))
		r.waitForReplica(t)
		o := r.options(t)
		o.Parallel, o.Share = 1, 0.01
		run := NewStandalone(o)
		ended := make(chan error, 1)
		go func() { // ends when the view is gone
			_, err := run.Run(t.Context())
			ended <- err
		}()
		waitForRows(t, run)
		var id int
		if err := r.replica.DB(t, sandbox.Root).QueryRow("SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX ORDER BY trx_started LIMIT 1").Scan(&id); err != nil {
			t.Fatal(err)
		}
		r.replica.Exec(t, fmt.Sprintf("KILL %d", id))
		if err := <-ended; !fault.Is(err, fault.Connect) {
			t.Errorf("%v", err)
		}
	})
}
