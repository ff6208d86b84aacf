package objects

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/cdc/schema"
	"changeover/internal/fault"
)

// ends runs fn and gives its error; it must end within a second.
func ends(t *testing.T, fn func() error) (time.Duration, error) {
	t.Helper()
	began, done := time.Now(), make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return time.Since(began), err
	case <-time.After(time.Second):
		t.Fatal("it does not end")
		return 0, nil
	}
}

func TestAReaderOfTheTableEndsArmInTime(t *testing.T) {
	readers := map[string]func(ctx context.Context, c *sql.Conn, database string) error{
		"an open transaction": func(ctx context.Context, c *sql.Conn, database string) error {
			_, err := c.ExecContext(ctx, "BEGIN")
			if err == nil {
				err = c.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+database+".t").Scan(new(int))
			}
			return err
		},
		"a long SELECT": func(ctx context.Context, c *sql.Conn, database string) error {
			go func() { _, _ = c.ExecContext(ctx, "SELECT SLEEP(30) FROM "+database+".t") }()
			return nil
		},
	}
	flavors(t, func(t *testing.T, p *place) {
		p.dst.Exec(t, "INSERT INTO "+p.database+".t VALUES (1, 'x')")
		p.src.Exec(t, "INSERT INTO "+p.database+".t VALUES (1, 'x')")
		// The way there, and the way back.
		for what, read := range readers {
			t.Run(what, func(t *testing.T) { blockedBy(t, p, p.source, p.target, what, read) })
		}
		pass(t, p.source, p.target, p.options)
		for what, read := range readers {
			t.Run(what+" on the way back", func(t *testing.T) { blockedBy(t, p, p.target, p.source, what, read) })
		}
	})
}

func blockedBy(t *testing.T, p *place, old, new *sql.DB, what string, read func(context.Context, *sql.Conn, string) error) {
	ctx, cancel := context.WithCancel(t.Context())
	helm, reader := conn(t, new), conn(t, new)
	var id uint64
	must(t, reader.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id))
	defer func() { // the session has ended before another asks
		cancel()
		kill(t, new, id)
	}()
	prepared := prepare(t, old, new, p.options)
	must(t, read(ctx, reader, p.database))
	waitFor(t, new, id, what)

	took, err := ends(t, func() error { return prepared.Arm(ctx, helm, new, nil) })
	var blocked *Blocked
	if !fault.Is(err, fault.ObjectsBlocked) || !errors.As(err, &blocked) {
		t.Fatalf("armed: %v", err)
	}
	if len(blocked.By) != 1 || blocked.By[0].Session != id || blocked.By[0].User == "" || !strings.Contains(err.Error(), fmt.Sprintf("session %d ", id)) {
		t.Errorf("the blocker is %+v, not session %d: %v", blocked.By, id, err)
	}
	if blocked.After < Limit {
		t.Errorf("it waited %v, and ended after %v", blocked.After, took)
	}
	// Nobody waits behind it any more.
	var n int
	if took, err := ends(t, func() error {
		return new.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+p.database+".t").Scan(&n)
	}); err != nil {
		t.Errorf("another reader waited %v: %v", took, err)
	}
	if _, err := ends(t, func() error { return prepared.Disarm(ctx, helm, new) }); err != nil {
		t.Errorf("disarmed: %v", err)
	}
	if got := triggers(t, new, p.database); len(got) > 0 {
		t.Errorf("there are %v", got)
	}
}

// kill ends a session and waits until the server has none of that number.
func kill(t *testing.T, db *sql.DB, id uint64) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		all, err := processes(context.Background(), db)
		must(t, err)
		if !slices.ContainsFunc(all, func(p process) bool { return p.Session == id }) {
			return
		}
		_, _ = db.Exec(fmt.Sprintf("KILL %d", id)) // it may have ended meanwhile
	}
	t.Fatalf("session %d does not end", id)
}

// waitFor waits until the session has what it is about to hold.
func waitFor(t *testing.T, db *sql.DB, id uint64, what string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for what == "a long SELECT" && time.Now().Before(deadline) {
		all, err := processes(t.Context(), db)
		must(t, err)
		for _, p := range all {
			if p.Session == id && strings.Contains(p.Running, "SLEEP") && strings.EqualFold(p.state, "user sleep") {
				return
			}
		}
	}
	if what == "a long SELECT" {
		t.Fatal("it does not run")
	}
}

func TestAheadLeavesABusyTableForLater(t *testing.T) {
	p := newPlace(t, "mysql")
	helm, busy := conn(t, p.target), conn(t, p.target)
	_, err := busy.ExecContext(t.Context(), "BEGIN")
	must(t, err)
	must(t, busy.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+p.database+".gap").Scan(new(int)))
	prepared := prepare(t, p.source, p.target, p.options)
	must(t, prepared.Ahead(t.Context(), helm, p.target))
	if prepared.Todo != (Work{Triggers: 5, AutoIncrement: 1}) {
		t.Errorf("left: %+v", prepared.Todo)
	}
	_, err = busy.ExecContext(t.Context(), "ROLLBACK")
	must(t, err)
	must(t, prepared.Arm(t.Context(), helm, p.target, func(string, string) bool { return false }))
	if prepared.Done != (Work{Triggers: 5, AutoIncrement: 1}) {
		t.Errorf("done: %+v", prepared.Done)
	}
}

// A KILL QUERY that comes when the statement is through must not meet the next one.
func TestAKillMeetsNoOtherStatement(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		for _, db := range []*sql.DB{p.target, p.source} {
			helm := conn(t, db)
			m, err := open(t.Context(), helm, db, p.options, 0)
			must(t, err)
			ended := 0
			for i := range 150 {
				m.limit = time.Duration(i%30) * 50 * time.Microsecond // of which the fivefold counts: nothing is waited for
				err := m.ddl(t.Context(), schema.Object{Kind: schema.KindTable, Schema: p.database, Name: "gap"},
					fmt.Sprintf("%sSELECT COUNT(*) FROM %s.gap WHERE SLEEP(0.002)", mark, p.database))
				if fault.Is(err, fault.ObjectsBlocked) {
					ended++
				} else if err != nil {
					t.Fatalf("statement %d: %v", i, err)
				}
				var one int
				if err := helm.QueryRowContext(t.Context(), "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'mysql'").Scan(&one); err != nil {
					t.Fatalf("after statement %d: %v", i, err)
				}
			}
			must(t, m.close())
			if ended == 0 || ended == 150 {
				t.Errorf("%d of 150 were ended: nothing is shown", ended)
			}
		}
	})
}

func TestACallersDeadlineDoesNotCostTheSession(t *testing.T) {
	p := newPlace(t, "mysql")
	helm, reader := conn(t, p.target), conn(t, p.target)
	prepared := prepare(t, p.source, p.target, p.options)
	_, err := reader.ExecContext(t.Context(), "BEGIN")
	must(t, err)
	must(t, reader.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+p.database+".t").Scan(new(int)))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := ends(t, func() error { return prepared.Arm(ctx, helm, p.target, nil) }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("armed: %v", err)
	}
	must(t, helm.PingContext(t.Context()))
	_, err = reader.ExecContext(t.Context(), "ROLLBACK")
	must(t, err)
	must(t, Disarm(t.Context(), helm, p.target, p.options))
	must(t, prepare(t, p.source, p.target, p.options).Arm(t.Context(), helm, p.target, nil))
}

// Statements that are no DDL are not ended with the caller's context either.
func TestTheSessionOutlastsACallerWhoGivesUp(t *testing.T) {
	p := newPlace(t, "mysql")
	helm, other := conn(t, p.target), conn(t, p.target)
	must(t, prepare(t, p.source, p.target, p.options).Ahead(t.Context(), helm, p.target))
	for c, statement := range map[*sql.Conn]string{helm: "SET SESSION innodb_lock_wait_timeout = 1", other: "BEGIN"} {
		_, err := c.ExecContext(t.Context(), statement)
		must(t, err)
	}
	var n int
	must(t, other.QueryRowContext(t.Context(), "SELECT attempt FROM _changeover.objects WHERE migration = ? FOR UPDATE", p.options.Migration).Scan(&n))
	prepared := prepare(t, p.source, p.target, p.options)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := prepared.Arm(ctx, helm, p.target, nil); err == nil {
		t.Error("it is armed, behind a lock")
	}
	must(t, helm.PingContext(t.Context()))
}
