package state

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestASecondRunnerIsRefusedWhileTheFirstLivesAndTakesOverWhenItIsSilent(t *testing.T) {
	db, migration := target(t)
	first := held(t, db, migration)
	_, err := acquire(t, db, migration, "two:2")
	if !fault.Is(err, fault.LeaseHeld) || !strings.Contains(err.Error(), "one:1 (127.0.0.1:7070)") {
		t.Fatalf("a second runner beside a living one: %v", err)
	}

	ctx, stop := context.WithCancel(t.Context())
	kept := make(chan error, 1)
	go func() { kept <- first.Keep(ctx) }()
	time.Sleep(DefaultTTL + HeartbeatInterval/2)
	if _, err := acquire(t, db, migration, "two:2"); !fault.Is(err, fault.LeaseHeld) {
		t.Fatalf("a heartbeat that is kept up doesn't hold the lease: %v", err)
	}
	stop()
	if err := <-kept; err != nil {
		t.Fatal(err)
	}

	start := time.Now()
	second := takeWithin(t, db, migration, 2*DefaultTTL)
	t.Logf("taken over %v after the last heartbeat", time.Since(start))
	if err := first.Store().SetPhase(t.Context(), "late"); !fault.Is(err, fault.LeaseLost) {
		t.Fatalf("the first runner still writes: %v", err)
	}
	if err := first.Keep(t.Context()); !fault.Is(err, fault.LeaseLost) {
		t.Fatalf("the first runner does not learn that it lost: %v", err)
	}
	if err := second.Store().SetPhase(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
}

func takeWithin(t *testing.T, db *sql.DB, migration string, d time.Duration) *Lease {
	t.Helper()
	for end := time.Now().Add(d); ; time.Sleep(100 * time.Millisecond) {
		l, err := acquire(t, db, migration, "two:2")
		if err == nil {
			return l
		}
		if !fault.Is(err, fault.LeaseHeld) || time.Now().After(end) {
			t.Fatalf("no takeover: %v", err)
		}
	}
}

func TestAReleasedLeaseIsFreeAtOnceAndWritesNoMore(t *testing.T) {
	db, migration := target(t)
	l := held(t, db, migration)
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Store().SetPhase(t.Context(), "late"); !fault.Is(err, fault.LeaseLost) {
		t.Fatalf("a released lease still writes: %v", err)
	}
	if _, err := acquire(t, db, migration, "two:2"); err != nil {
		t.Fatalf("a clean successor has to wait: %v", err)
	}
	if info, ok, err := Open(db, migration).Lease(t.Context()); err != nil || !ok || info.Holder.Name != "two:2" {
		t.Fatalf("holder %+v, %v, %v", info, ok, err)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Fatalf("releasing what is another's: %v", err)
	}
	if _, ok, _ := Open(db, migration).Lease(t.Context()); !ok {
		t.Fatal("releasing a lost lease took it from its holder")
	}
}

func TestOfManyTakersAtOnceOneGetsTheLease(t *testing.T) {
	db, migration := target(t)
	db.SetMaxOpenConns(8)
	got := make(chan error, 6)
	for range cap(got) {
		go func() {
			_, err := acquire(t, db, migration, "one:1")
			got <- err
		}()
	}
	won := 0
	for range cap(got) {
		if err := <-got; err == nil {
			won++
		} else if !fault.Is(err, fault.LeaseHeld) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Fatalf("%d takers have the lease", won)
	}
}

// session is a connection with the given worker's token.
func session(t *testing.T, l *Lease, worker int) (*sql.Conn, Token) {
	t.Helper()
	conn, err := l.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	token, err := l.ChangeToken(t.Context(), conn, worker)
	if err != nil {
		t.Fatal(err)
	}
	return conn, token
}

func TestATokenCheckFailsForAnotherTokenAndForAMissingRow(t *testing.T) {
	db, migration := target(t)
	conn, token := session(t, held(t, db, migration), 3)
	check := func(worker int, token Token) error {
		_, err := conn.ExecContext(t.Context(), string(AppendTokenCheck(nil, migration, worker, token)))
		return err
	}
	if err := check(3, token); err != nil {
		t.Fatalf("the right token: %v", err)
	}
	for name, err := range map[string]error{
		"another token":       check(3, newToken()),
		"no token":            check(3, ""),
		"a missing row":       check(4, token),
		"a token with quotes": check(3, `' OR '1'='1`),
	} {
		if !TokenRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
		if RowCountFailed(err) || AppliedMissing(err) {
			t.Errorf("%s is taken for another assertion: %v", name, err)
		}
	}
}

func TestATakeoverWaitsForThePacketThatStillRuns(t *testing.T) {
	db, migration := target(t)
	db.SetMaxOpenConns(8)
	first := held(t, db, migration)
	if err := first.Store().StartStream(t.Context(), Position{}); err != nil {
		t.Fatal(err)
	}
	conn, token := session(t, first, 0)
	exec := func(q string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	exec("BEGIN")
	exec(string(AppendTokenCheck(nil, migration, 0, token)))
	exec(string(AppendApplied([]byte(AppliedInsert), migration, "u:1", 1, 0)))
	silence(t, db, migration)

	taken := make(chan []Applied, 1)
	go func() {
		l, err := acquire(t, db, migration, "two:2")
		if err != nil {
			t.Error(err)
			taken <- nil
			return
		}
		all, err := l.Store().Applied(t.Context())
		if err != nil {
			t.Error(err)
		}
		taken <- all
	}()
	select {
	case <-taken:
		t.Fatal("the takeover did not wait for the old session's transaction")
	case <-time.After(2500 * time.Millisecond):
	}
	exec("COMMIT")
	if all := <-taken; len(all) != 1 || all[0].ID != "u:1" {
		t.Fatalf("the successor does not see what the old session committed: %v", all)
	}
	exec("BEGIN")
	if _, err := conn.ExecContext(t.Context(), string(AppendTokenCheck(nil, migration, 0, token))); !TokenRefused(err) {
		t.Fatalf("a late packet of the old session passes: %v", err)
	}
	exec("ROLLBACK")
	if _, err := first.ChangeToken(t.Context(), conn, 0); !fault.Is(err, fault.LeaseLost) {
		t.Fatalf("the old runner steals its worker back: %v", err)
	}
	if _, err := first.ChangeToken(t.Context(), conn, 77); !fault.Is(err, fault.LeaseLost) {
		t.Fatalf("the old runner makes new workers: %v", err)
	}
}

// silence makes the last heartbeat old.
func silence(t *testing.T, db *sql.DB, migration string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(),
		"UPDATE _changeover.heartbeat SET beat = beat - INTERVAL 1 MINUTE WHERE migration = ?", migration)
	if err != nil {
		t.Fatal(err)
	}
}

func TestAHeartbeatFromTheFutureDoesNotHoldForEver(t *testing.T) {
	db, migration := target(t)
	held(t, db, migration)
	_, err := db.ExecContext(t.Context(),
		"UPDATE _changeover.heartbeat SET beat = beat + INTERVAL 1 DAY WHERE migration = ?", migration)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := acquire(t, db, migration, "two:2"); err != nil {
		t.Fatal(err)
	}
}

func TestATakeoverEndsTheSessionOfAFrozenRunner(t *testing.T) {
	db, migration := target(t)
	db.SetMaxOpenConns(8)
	first := held(t, db, migration)
	conn, token := session(t, first, 0)
	for _, q := range []string{"BEGIN", string(AppendTokenCheck(nil, migration, 0, token))} {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	silence(t, db, migration)
	start := time.Now()
	if _, err := acquire(t, db, migration, "two:2"); err != nil {
		t.Fatal(err)
	}
	t.Logf("taken over after %v", time.Since(start))
	if _, err := conn.ExecContext(t.Context(), "COMMIT"); !Lost(err) {
		t.Fatalf("the frozen session is still there: %v", err)
	}
}

// frozen is a session of the pool that stands in a transaction after the statement and says no more.
func frozen(t *testing.T, conn *sql.Conn, statement string) {
	t.Helper()
	for _, q := range []string{"BEGIN", statement} {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARunnerFrozenInAWriteOfTheStateKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]bool{"by a write": false, "after a change of token": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, migration := target(t)
			db.SetMaxOpenConns(8)
			first := held(t, db, migration)
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if change { // the session has the pool's patience after it, too
				if _, err := first.ChangeToken(t.Context(), conn, 3); err != nil {
					t.Fatal(err)
				}
			}
			frozen(t, conn, "SELECT token FROM `_changeover`.lease WHERE migration = '"+migration+"' LOCK IN SHARE MODE")
			silence(t, db, migration)
			if _, err := acquire(t, db, migration, "two:2"); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.ExecContext(t.Context(), "COMMIT"); !Lost(err) {
				t.Fatalf("the frozen session is still there: %v", err)
			}
		})
	}
}

// Within a change of the token a session is not silent for long; a worker's may be for hours afterwards.
func TestATokensChangeLeavesTheSessionsPatienceAsItWas(t *testing.T) {
	t.Parallel()
	db, migration := target(t)
	workers := pool(t, sandboxtest.Target(t), sandbox.Admin)
	conn, err := workers.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(t.Context(), "SET SESSION wait_timeout = 1000"); err != nil {
		t.Fatal(err)
	}
	if _, err := held(t, db, migration).ChangeToken(t.Context(), conn, 0); err != nil {
		t.Fatal(err)
	}
	var after int
	if err := conn.QueryRowContext(t.Context(), "SELECT @@SESSION.wait_timeout").Scan(&after); err != nil || after != 1000 {
		t.Fatalf("the session's wait_timeout is %d after the change, %v", after, err)
	}
}

func TestWhoKnowsThatTheHolderIsGoneTakesTheLeaseAtOnce(t *testing.T) {
	_, migration := target(t)
	s := sandboxtest.Target(t)
	password, err := s.Password(sandbox.Admin)
	if err != nil {
		t.Fatal(err)
	}
	frozen := Session()
	frozen.Vars = map[string]string{"timestamp": "1700000000"} // no heartbeat is older than another
	db, err := server.Open(server.Endpoint{Host: s.Host, Port: s.Port, User: string(sandbox.Admin), Password: password}, frozen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	old := held(t, db, migration)
	request := LeaseRequest{Migration: migration, Holder: Holder{Name: "successor"}, TTL: 2 * AtOnce}
	if _, err := AcquireLease(t.Context(), db, request); !fault.Is(err, fault.LeaseHeld) {
		t.Fatalf("one who does not know: %v", err)
	}
	request.TTL = AtOnce
	if _, err := AcquireLease(t.Context(), db, request); err != nil {
		t.Fatal(err)
	}
	if err := old.Check(t.Context()); !fault.Is(err, fault.LeaseLost) {
		t.Fatalf("the one before: %v", err)
	}
}
