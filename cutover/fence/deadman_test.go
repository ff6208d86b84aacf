package fence_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"changeover/cutover/fence"
	"changeover/internal/config"
)

var deadManCases = []testCase{
	{name: "a stored program lifts the fence exactly, from wherever another stopped", run: liftsByItself(config.FenceAuto)},
	{name: "one of accounts too", run: liftsByItself(config.FenceAccounts)},
	{name: "what was persisted is persisted again by it", on: []string{"TestOnMySQL"}, run: func(t *testing.T, b *bench) {
		must(t, b.root, "SET PERSIST read_only = OFF")
		t.Cleanup(func() { b.Exec(t, "RESET PERSIST read_only") })
		liftsByItself(config.FenceAuto)(t, b)
	}},
	{name: "where no event could lift the fence the scheduler is stopped", run: withoutDeadMan},
	{name: "an event that is made after the fence was planned is stopped with the scheduler", on: []string{"TestOnMySQL", "TestOnMariaDB"}, run: eventMadeMeanwhile},
	{name: "an event that can't be stopped in time is stopped with the scheduler", on: []string{"TestOnMySQL"}, run: eventBlocked},
}

func asksForDeadMan(o *fence.Options) { o.DeadMan = true }

// liftsByItself raises the fence as far as it goes, has a stored program of Changeover's account do the first
// k statements of what lifts it, and then another one all of them.
func liftsByItself(want config.Fence) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		b.furnish(t)
		found := b.snapshot(t)
		s := b.helm(t)
		for k := 0; ; k++ {
			p := b.survey(t, s, asksForDeadMan, func(o *fence.Options) { o.Want = want })
			if !p.DeadMan || p.Alone != "" {
				t.Fatalf("no event could lift it: %q %v", p.Alone, p.Problems)
			}
			lift(t, p, s)
			acts := []func(context.Context, fence.Server) error{p.Raise, p.Settle, p.Keep}
			for _, act := range acts[:1+2*(k%2)] {
				if err := patiently(func() error { return act(t.Context(), s) }); err != nil {
					t.Fatal(err)
				}
			}
			standing(t, p, s, true)
			if n := b.count(t, "SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'school' AND STATUS = 'ENABLED'"); n != 0 {
				t.Errorf("%d events run behind the fence", n)
			}
			if b.count(t, "SELECT @@GLOBAL.event_scheduler = 'ON'") != 1 {
				t.Error("the scheduler was stopped")
			}
			body := p.LiftBody()
			b.perform(t, body[:k])
			b.perform(t, body)
			if after := b.snapshot(t); after != found {
				t.Fatalf("after %d statements and then all, the server is not as it was found:\n%s", k, difference(found, after))
			}
			if k == len(body) {
				t.Logf("%s: %d statements", p.Kind, k)
				return
			}
		}
	}
}

// perform runs statements as a stored program of Changeover's account.
func (b *bench) perform(t testing.TB, body []string) {
	t.Helper()
	b.Exec(t, fmt.Sprintf("CREATE DEFINER = `%s`@`%%` PROCEDURE _changeover.lift() BEGIN\n%s\nEND", b.own, strings.Join(slices.Concat(body, []string{""}), ";\n")))
	_, err := b.root.ExecContext(t.Context(), "CALL _changeover.lift()")
	b.Exec(t, "DROP PROCEDURE _changeover.lift")
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(body, ";\n"))
	}
}

func withoutDeadMan(t *testing.T, b *bench) {
	b.furnish(t)
	s := b.helm(t)
	for i := range 16 { // with those that are there already, more than are stopped one by one
		b.Exec(t, fmt.Sprintf("CREATE DEFINER = app@`%%` EVENT school.e%d ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 03:00:00' DO DO 1", i))
		t.Cleanup(func() { b.Exec(t, fmt.Sprintf("DROP EVENT school.e%d", i)) })
	}
	p := b.survey(t, s, asksForDeadMan)
	if p.DeadMan || !strings.Contains(p.Alone, "events are to be stopped") || p.Scheduler != (p.Kind == fence.ReadOnly) {
		t.Errorf("too many events: %q, the scheduler is stopped: %v", p.Alone, p.Scheduler)
	}
	b.Exec(t, "SET GLOBAL event_scheduler = OFF")
	p = b.survey(t, s, asksForDeadMan)
	b.Exec(t, "SET GLOBAL event_scheduler = ON")
	if p.DeadMan || !strings.Contains(p.Alone, "event_scheduler is OFF") {
		t.Errorf("no scheduler: %q", p.Alone)
	}
	if p = b.survey(t, s); p.DeadMan || p.Alone != "" {
		t.Errorf("nobody asked for it: %q", p.Alone)
	}
}

func eventMadeMeanwhile(t *testing.T, b *bench) {
	schedulerStops(t, b, "school.late", func() func() {
		b.Exec(t, "CREATE DEFINER = app@`%` EVENT school.late ON SCHEDULE EVERY 1 DAY STARTS '2035-01-01 03:00:00' DO DO 1")
		t.Cleanup(func() { b.Exec(t, "DROP EVENT school.late") })
		return func() {}
	})
}

// eventBlocked: a backup holds up all definitions, so no event can be disabled. SET is no definition.
func eventBlocked(t *testing.T, b *bench) {
	schedulerStops(t, b, "CO-2010", func() func() {
		backup, err := b.root.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		must(t, backup, "LOCK INSTANCE FOR BACKUP")
		return func() {
			must(t, backup, "UNLOCK INSTANCE")
			if err := backup.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// schedulerStops: what can't be disabled one by one, since something happened after the fence was planned, is stopped
// with the scheduler, for good too, and put back.
func schedulerStops(t *testing.T, b *bench, says string, happens func() (over func())) {
	t.Helper()
	b.furnish(t)
	s := b.helm(t)
	p := b.survey(t, s, asksForDeadMan)
	over := happens()
	found := b.snapshot(t)
	lift(t, p, s)
	for _, act := range []func(context.Context, fence.Server) error{p.Raise, p.Settle, p.Keep} {
		if err := patiently(func() error { return act(t.Context(), s) }); err != nil {
			t.Fatal(err)
		}
	}
	if b.count(t, "SELECT @@GLOBAL.event_scheduler = 'ON'") != 0 || !strings.Contains(p.Alone, says) {
		t.Errorf("an event runs behind the fence: %q", p.Alone)
	}
	if !b.mariadb() && b.count(t, "SELECT COUNT(*) FROM performance_schema.persisted_variables WHERE VARIABLE_NAME = 'event_scheduler' AND VARIABLE_VALUE = 'OFF'") != 1 {
		t.Error("a restart would start the scheduler")
	}
	over()
	if err := readBack(t, p).Lift(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if after := b.snapshot(t); after != found {
		t.Errorf("the server is not as it was found:\n%s", difference(found, after))
	}
}
