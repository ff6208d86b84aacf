package fence_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"changeover/cutover/fence"
	"changeover/internal/config"
)

var crashCases = []testCase{
	{name: "a coordinator that dies after any statement is undone exactly", run: diesAnywhere(config.FenceAuto)},
	{name: "one that locks accounts too", run: diesAnywhere(config.FenceAccounts)},
	{name: "what was persisted before is persisted again", on: []string{"TestOnMySQL"}, run: func(t *testing.T, b *bench) {
		must(t, b.root, "SET PERSIST read_only = OFF")
		t.Cleanup(func() { b.Exec(t, "RESET PERSIST read_only") })
		diesAnywhere(config.FenceAuto)(t, b)
	}},
}

var errDied = errors.New("the coordinator has died")

// mortal is a session whose process dies right after its n-th statement that may change something: that one
// is carried out, its answer is never read, and no other follows.
type mortal struct {
	*sql.Conn
	life int
	did  int
	last string
}

func (m *mortal) dead() bool { return m.did >= m.life }

func (m *mortal) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if m.dead() {
		return nil, errDied
	}
	m.did, m.last = m.did+1, query
	result, err := m.Conn.ExecContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	if m.dead() {
		return nil, errDied
	}
	return result, nil
}

func (m *mortal) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if m.dead() {
		return nil, errDied
	}
	return m.Conn.QueryContext(ctx, query, args...)
}

// diesAnywhere plays a cutover that is undone, and cuts it off after its first statement, its second, and
// so on; a successor with a new session and the plan as it was written down lifts the fence.
func diesAnywhere(want config.Fence) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		b.furnish(t)
		found := b.snapshot(t)
		for k := 0; ; k++ {
			first := b.helm(t)
			plan := b.survey(t, first, func(o *fence.Options) { o.Want = want })
			if blocking := codes(plan.Problems, true); len(blocking) > 0 {
				t.Fatalf("blocks: %v", plan.Problems)
			}
			session := &mortal{Conn: first.Helm.(*sql.Conn), life: k}
			first.Helm = session
			err := whole(t.Context(), plan, first)
			if err != nil && !errors.Is(err, errDied) {
				t.Fatalf("after %d statements: %v", k, err)
			}
			if err == nil {
				if after := b.snapshot(t); after != found {
					t.Errorf("nobody died, and the server is not as it was found:\n%s", difference(found, after))
				}
				if k < 4 {
					t.Errorf("only %d statements: is anything done at all?", k)
				}
				t.Logf("%s: %d points", plan.Kind, k)
				return
			}
			next := b.helm(t)
			if err := readBack(t, plan).Lift(t.Context(), next); err != nil {
				t.Fatalf("the successor, after %d statements (%s): %v", k, session.last, err)
			}
			if after := b.snapshot(t); after != found {
				t.Fatalf("died after %d statements (%s), and the server is not as it was found:\n%s", k, session.last, difference(found, after))
			}
		}
	}
}

func whole(ctx context.Context, p *fence.Plan, s fence.Server) error {
	for _, act := range []func(context.Context, fence.Server) error{p.Raise, p.Settle, p.Keep, p.Lift} {
		if err := patiently(func() error { return act(ctx, s) }); err != nil {
			return err
		}
	}
	return nil
}

// furnish makes the server one on which there is much to be put back: events of other character sets,
// definers and states, accounts that are locked and accounts that are not.
func (b *bench) furnish(t *testing.T) {
	t.Helper()
	scheduler := b.count(t, "SELECT @@GLOBAL.event_scheduler = 'ON'") == 1
	b.Exec(t,
		"CREATE USER 'teacher'@'10.%' IDENTIFIED BY 'Teacher-1'", "GRANT UPDATE ON school.pupil TO 'teacher'@'10.%'",
		"CREATE USER 'te`ll''er'@'%' IDENTIFIED BY 'Teller-12' ACCOUNT LOCK", "GRANT INSERT ON school.* TO 'te`ll''er'@'%'",
		"CREATE USER 'reader'@'%' IDENTIFIED BY 'Reader-12'", "GRANT SELECT ON school.* TO 'reader'@'%'",
		"CREATE ROLE clerk", "GRANT DELETE ON school.* TO clerk",
		"CREATE USER 'bob'@'%' IDENTIFIED BY 'Bobby-123'", "GRANT clerk TO 'bob'@'%'",
		"CREATE DEFINER = app@`%` EVENT school.nightly ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 03:00:00' COMMENT 'x' DO DELETE FROM school.pupil WHERE id < 0",
		"CREATE DEFINER = app@`%` EVENT school.off ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 03:00:00' DISABLE DO DELETE FROM school.pupil WHERE id < 0",
		"CREATE DEFINER = app@`%` EVENT school.replica ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 03:00:00' DISABLE ON SLAVE DO DELETE FROM school.pupil WHERE id < 0",
		"SET sql_mode = 'ANSI_QUOTES', time_zone = '+05:00', character_set_client = latin1, collation_connection = latin1_bin",
		"CREATE DEFINER = app@`%` EVENT school.\"f\xfcr`s\" ON SCHEDULE AT '2036-01-01 00:00:00' DO UPDATE school.pupil SET name = 'Z\xfcrich' WHERE id < 0",
		"SET GLOBAL event_scheduler = ON",
	)
	t.Cleanup(func() {
		b.Exec(t, "DROP EVENT school.nightly", "DROP EVENT school.off", "DROP EVENT school.replica", "DROP EVENT school.`für``s`",
			"DROP USER 'teacher'@'10.%', 'te`ll''er'@'%', 'reader'@'%', 'bob'@'%'", "DROP ROLE clerk")
		if !scheduler {
			b.Exec(t, "SET GLOBAL event_scheduler = OFF")
		}
	})
}
