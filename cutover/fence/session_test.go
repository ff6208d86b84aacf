package fence_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"changeover/cutover/fence"
	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
)

var sessionCases = []testCase{
	{name: "the application's sessions are listed and ended", run: sessions},
	{name: "what runs is listed", run: running},
	{name: "an account without CONNECTION_ADMIN kills by the procedure", on: []string{"TestOnRDS"}, run: killsByProcedure},
}

func sessions(t *testing.T, b *bench) {
	s := b.helm(t)
	app, reader := b.app(t), b.newAccount(t, "reader", "GRANT SELECT ON school.* TO reader@`%`")
	all, err := fence.Sessions(t.Context(), s.Side, b.options())
	if err != nil {
		t.Fatal(err)
	}
	var id uint64
	if err := app.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	mine := slices.IndexFunc(all, func(a fence.AppSession) bool { return a.ID == id })
	if mine < 0 || all[mine].User != "app" || all[mine].Database != "school" || all[mine].Client == "" {
		t.Errorf("sessions: %v", all)
	}
	for _, a := range all {
		if a.User == "reader" || a.User == string(b.own) {
			t.Errorf("%v may write nothing, or is ours", a)
		}
	}
	must(t, app, "BEGIN", "UPDATE pupil SET name = 'open' WHERE id = 1")
	if n, err := b.survey(t, s).EndSessions(t.Context(), s); err != nil || n == 0 {
		t.Errorf("ended %d sessions: %v", n, err)
	}
	if err := exec(t, app, "COMMIT"); err == nil {
		t.Error("the application's session is still there")
	}
	must(t, reader, "DO 1")
	again := b.app(t)
	n, err := fence.EndSessions(t.Context(), s, "root")
	if err != nil || n < 2 {
		t.Errorf("ended %d sessions: %v", n, err)
	}
	if exec(t, again, "DO 1") == nil || exec(t, reader, "DO 1") == nil {
		t.Error("a session is still there")
	}
	must(t, s.Helm, "DO 1")
	must(t, b.root, "DO 1")
}

func running(t *testing.T, b *bench) {
	s := b.helm(t)
	if b.kind == fence.RDS {
		s.Side = b.root // the stand-in's master does not see performance_schema
	}
	gate := b.gate(t)
	writer, sleeper, open := b.app(t), b.app(t), b.app(t)
	done := b.background(t, writer, "UPDATE school.pupil SET name = 'job' WHERE id = 1 AND GET_LOCK('fence_test', 15) = 1")
	must(t, sleeper, "CREATE TABLE IF NOT EXISTS other (id INT PRIMARY KEY)", "LOCK TABLES other WRITE")
	t.Cleanup(func() { b.Exec(t, "DROP TABLE school.other") })
	t.Cleanup(func() { _, _ = sleeper.ExecContext(context.WithoutCancel(t.Context()), "UNLOCK TABLES") })
	must(t, open, "BEGIN", "INSERT INTO pupil (name) VALUES ('open')")
	of := func(what string, older time.Duration) []fence.Blocker {
		all, err := fence.Running(t.Context(), s.Side, older)
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(all, func(b fence.Blocker) bool { return b.What != what || b.User != "app" && b.ID != 0 })
	}
	for what, stalls := range map[string]bool{"statement": true, "lock": true, "transaction": false} {
		b.await(t, "one "+what+" is listed", func() bool { // a session is busy for a moment after its answer
			found := of(what, 0)
			return len(found) == 1 && found[0].Stalls == stalls
		})
	}
	if found := of("statement", time.Hour); len(found) > 0 {
		t.Errorf("not that old: %v", found)
	}
	gate()
	if err := <-done; err != nil {
		t.Error(err)
	}
	must(t, open, "ROLLBACK")
	if !b.mariadb() {
		conn, err := b.root.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		must(t, conn, "LOCK INSTANCE FOR BACKUP")
		b.await(t, "a backup lock is listed", func() bool {
			all, err := fence.Running(t.Context(), s.Side, time.Hour)
			return err == nil && slices.ContainsFunc(all, func(b fence.Blocker) bool { return b.What == "backup" && b.Statement == "" })
		})
		must(t, conn, "UNLOCK INSTANCE")
		_ = conn.Close()
	}
}

func killsByProcedure(t *testing.T, b *bench) {
	conn := b.newAccount(t, "older", "GRANT SELECT, SHOW DATABASES, PROCESS, CREATE USER ON *.* TO older@`%`", "GRANT XA_RECOVER_ADMIN ON *.* TO older@`%`",
		"GRANT EXECUTE ON PROCEDURE mysql.rds_kill TO older@`%`", "GRANT EXECUTE ON PROCEDURE mysql.rds_kill_query TO older@`%`")
	s := fence.Server{Helm: conn, Side: b.poolAs(t, "older", "Some-Pass-1"), Log: b.helm(t).Log}
	p := b.survey(t, s)
	if p.Kind != fence.Accounts || len(codes(p.Problems, true)) > 0 {
		t.Fatalf("kind %s, %v", p.Kind, p.Problems)
	}
	lift(t, p, s)
	app := b.app(t)
	raise(t, p, s)
	if err := exec(t, app, "DO 1"); err == nil {
		t.Error("the session was not killed")
	}
	if _, err := b.DB(t, sandbox.App).Conn(t.Context()); !fence.Refused(err) {
		t.Errorf("a new connection: %v", err)
	}
}

var probeCases = []testCase{
	{name: "the probe sees the fence go up and come down", run: probeSees(config.FenceAuto)},
	{name: "the probe is locked with the others", run: probeSees(config.FenceAccounts)},
	{name: "the probe takes no other error for a fence", run: probeIsParticular},
}

func probeSees(want config.Fence) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		s := b.helm(t)
		left, err := fence.OpenProbe(t.Context(), b.endpoint(t), s.Helm, b.options()) // of an attempt that died
		if err != nil {
			t.Fatal(err)
		}
		probe, err := fence.OpenProbe(t.Context(), b.endpoint(t), s.Helm, b.options())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(left.Close(context.WithoutCancel(t.Context())), probe.Close(context.WithoutCancel(t.Context()))); err != nil {
				t.Error(err)
			}
		})
		both := func(when string, refused bool) {
			t.Helper()
			for which, write := range map[string]func(context.Context) error{"old": probe.Write, "new": probe.WriteFresh} {
				if err := write(t.Context()); (err != nil) != refused || probe.Refused(err) != refused {
					t.Errorf("%s, on the %s connection: %v", when, which, err)
				}
			}
		}
		p := b.survey(t, s, func(o *fence.Options) { o.Want = want })
		lift(t, p, s)
		both("before", false)
		if err := patiently(func() error { return p.Raise(t.Context(), s) }); err != nil {
			t.Fatal(err)
		}
		both("behind the fence", true)
		settle(t, p, s)
		if err := patiently(func() error { return p.Keep(t.Context(), s) }); err != nil {
			t.Fatal(err)
		}
		both("when it lasts", true)
		if err := p.Lift(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		both("after", false)
		if b.mariadb() {
			if text := b.binlog(t); !strings.Contains(text, "changeover_probe_") || regexp.MustCompile(`IDENTIFIED BY 'aA1-`).MatchString(text) {
				t.Error("the probe's password is in the binlog, or its account is not")
			}
		}
		if n := b.count(t, "SELECT n FROM _changeover.probe WHERE migration = 'school'"); n < 4 {
			t.Errorf("%d writes arrived", n)
		}
		b.Exec(t, "DELETE FROM _changeover.probe")
	}
}

func probeIsParticular(t *testing.T, b *bench) {
	s := b.helm(t)
	app := b.app(t)
	b.Exec(t, "GRANT FILE ON *.* TO app@`%`")
	t.Cleanup(func() { b.Exec(t, "REVOKE FILE ON *.* FROM app@`%`") })
	for _, statement := range []string{"SELECT 1 INTO OUTFILE '/nowhere/x'", "INSERT INTO pupil VALUES (1, 'twice')", "SELECT nothing", "INSERT INTO mysql.user (user) VALUES ('x')"} {
		if err := exec(t, b.app(t), statement); err == nil || fence.Refused(err) {
			t.Errorf("%s: %v", statement, err)
		}
	}
	must(t, app, "DO 1")
	endpoint := b.endpoint(t)
	b.Exec(t, "RENAME TABLE _changeover.probe TO _changeover.gone")
	_, err := fence.OpenProbe(t.Context(), endpoint, s.Helm, b.options())
	b.Exec(t, "RENAME TABLE _changeover.gone TO _changeover.probe")
	if !fault.Is(err, fault.FenceProbe) {
		t.Errorf("without its table: %v", err)
	}
}

// binlog is all that the server's last binlog file says in words.
func (b *bench) binlog(t *testing.T) string {
	t.Helper()
	var file string
	logs, err := b.root.QueryContext(t.Context(), "SHOW BINARY LOGS")
	if err != nil {
		t.Fatal(err)
	}
	for logs.Next() {
		if err := logs.Scan(&file, new(any)); err != nil {
			t.Fatal(err)
		}
	}
	logs.Close()
	events, err := b.root.QueryContext(t.Context(), "SHOW BINLOG EVENTS IN '"+file+"'")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	var text strings.Builder
	for events.Next() {
		var info string
		if err := events.Scan(new(any), new(any), new(any), new(any), new(any), &info); err != nil {
			t.Fatal(err)
		}
		text.WriteString(info + "\n")
	}
	return text.String()
}
