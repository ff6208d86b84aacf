package fence_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/cutover/fence"
	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
)

var fenceCases = []testCase{
	{name: "the server refuses plain accounts and nobody else", run: refusesPlainAccounts},
	{name: "what is open fails cleanly", run: openTransactionFails},
	{name: "locked accounts are out and their sessions end", run: lockedAccountsAreOut},
	{name: "a long statement ends the attempt and is named", run: longStatementBlocks},
	{name: "an idle LOCK TABLES ends the attempt and is named", run: lockTablesBlocks},
	{name: "the caller's deadline ends it too and keeps the helm", run: deadlineKeepsTheHelm},
	{name: "a dead coordinator's late statement is harmless once its session is killed", run: lateStatement},
	{name: "the lasting part outlives a restart", run: outlivesARestart},
	{name: "read_only that can't be persisted is kept by locks", on: []string{"TestOnMySQL"}, run: persistRefused},
	{name: "a server that others use is fenced by account", run: sharedServer},
	{name: "the writer of another migration is fenced by account", run: writerOfAnother},
	{name: "a server that is read only already is nobody's to fence", run: foundReadOnly},
	{name: "privileges that are missing are named", run: privilegesMissing},
	{name: "a shield never locks accounts", run: shield},
	{name: "no event runs behind the fence", run: eventsStop},
	{name: "an event is stopped whatever it is called", run: eventsOfAllNames},
	{name: "a privileged event that runs is waited for", run: runningEvent},
	{name: "an event that runs is killed by an account fence", run: runningEventAndAccounts},
	{name: "a scheduler that was off does not come back on by a restart", on: []string{"TestOnMySQL"}, run: schedulerStaysOff},
	{name: "who is just logging in when accounts are locked is thrown out", run: arrivingIsThrownOut},
	{name: "raising again what a restart took away changes nothing of the undo", run: raiseAgain},
}

func refusesPlainAccounts(t *testing.T, b *bench) {
	s := b.helm(t)
	p := b.survey(t, s)
	if p.Kind != b.kind {
		t.Fatalf("kind %s, want %s: %v", p.Kind, b.kind, p.Problems)
	}
	old := b.app(t)
	must(t, old, "UPDATE pupil SET name = 'before' WHERE id = 1")
	lift(t, p, s)
	raise(t, p, s)
	for which, c := range map[string]*sql.Conn{"old": old, "new": b.app(t)} {
		for _, write := range []string{"UPDATE pupil SET name = 'x' WHERE id = 1", "CREATE TABLE t (i INT)", "DELETE FROM pupil"} {
			if err := exec(t, c, write); !fence.Refused(err) {
				t.Errorf("%s on the %s connection: %v", write, which, err)
			}
		}
		must(t, c, "DO (SELECT COUNT(*) FROM pupil)")
	}
	must(t, s.Helm, "UPDATE school.pupil SET name = 'behind the fence' WHERE id = 2") // the reverse stream does so
	standing(t, p, s, true)
	if err := p.Lift(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	standing(t, p, s, false)
	must(t, old, "UPDATE pupil SET name = 'after' WHERE id = 1")
}

func openTransactionFails(t *testing.T, b *bench) {
	s := b.helm(t)
	p := b.survey(t, s)
	lift(t, p, s)
	app, other := b.app(t), b.app(t)
	must(t, app, "UPDATE pupil SET name = 'whole' WHERE id = 1", "BEGIN", "UPDATE pupil SET name = 'half' WHERE id = 1")
	must(t, other, "BEGIN", "UPDATE pupil SET name = 'half' WHERE id = 2")
	began := time.Now()
	raise(t, p, s)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("idle transactions kept the fence waiting for %v", took)
	}
	if err := exec(t, app, "UPDATE pupil SET name = 'x' WHERE id = 2"); !fence.Refused(err) {
		t.Errorf("a statement of an open transaction: %v", err)
	}
	for _, c := range []*sql.Conn{app, other} {
		if err := exec(t, c, "COMMIT"); !fence.Refused(err) {
			t.Errorf("COMMIT behind the fence: %v", err)
		}
	}
	if n := b.count(t, "SELECT COUNT(*) FROM school.pupil WHERE name = 'half'"); n != 0 {
		t.Errorf("%d rows of transactions that were refused", n)
	}
}

func lockedAccountsAreOut(t *testing.T, b *bench) {
	s := b.helm(t)
	p := b.survey(t, s, func(o *fence.Options) { o.Want = config.FenceAccounts })
	if p.Kind != fence.Accounts {
		t.Fatalf("kind %s", p.Kind)
	}
	lift(t, p, s)
	app, reader := b.app(t), b.newAccount(t, "reader", "GRANT SELECT ON school.* TO reader@`%`")
	must(t, app, "BEGIN", "UPDATE pupil SET name = 'half' WHERE id = 1",
		"INSERT INTO pupil (name) SELECT 'half' FROM information_schema.COLUMNS a JOIN (SELECT 1 FROM information_schema.COLUMNS LIMIT 20) b") // takes a while to roll back
	if err := patiently(func() error { return p.Raise(t.Context(), s) }); err != nil {
		t.Fatal(err)
	}
	if n := b.count(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'app'"); n != 0 {
		t.Errorf("%d sessions of a locked account are still there", n)
	}
	settle(t, p, s)
	if err := exec(t, app, "COMMIT"); err == nil {
		t.Error("a session of a locked account still commits")
	}
	if n := b.count(t, "SELECT COUNT(*) FROM school.pupil WHERE name = 'half'"); n != 0 {
		t.Errorf("%d rows of a session that was killed", n)
	}
	if _, err := b.DB(t, sandbox.App).Conn(t.Context()); !fence.Refused(err) {
		t.Errorf("a new connection: %v", err)
	}
	must(t, reader, "DO (SELECT COUNT(*) FROM school.pupil)") // whoever only reads is left alone
	standing(t, p, s, true)
	must(t, b.root, "ALTER USER app@`%` ACCOUNT UNLOCK")
	standing(t, p, s, false)
	if err := p.Lift(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	must(t, b.app(t), "UPDATE pupil SET name = 'after' WHERE id = 1")
}

// blocked raises a fence that can't stand, and sees that the server is as before, at once.
func blocked(t *testing.T, b *bench, s fence.Server, p *fence.Plan) *fence.Blocked {
	t.Helper()
	began := time.Now()
	err := p.Raise(t.Context(), s)
	took := time.Since(began)
	var who *fence.Blocked
	if !errors.As(err, &who) || !fault.Is(err, fault.FenceBlocked) {
		t.Fatalf("Raise: %v", err)
	}
	if took < 100*time.Millisecond || took > 5*time.Second {
		t.Errorf("gave up after %v", took)
	}
	if b.readOnly(t) {
		t.Error("the server is read only all the same")
	}
	if err := p.Lift(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return who
}

func longStatementBlocks(t *testing.T, b *bench) {
	s := b.helm(t)
	p := b.survey(t, s)
	lift(t, p, s)
	gate := b.gate(t)
	job := b.app(t)
	const update = "UPDATE school.pupil SET name = 'job' WHERE id = 1 AND GET_LOCK('fence_test', 15) = 1"
	done := b.background(t, job, update)
	who := blocked(t, b, s, p)
	if len(who.By) == 0 || who.By[0].User != "app" || !strings.Contains(who.By[0].Statement, "UPDATE school.pupil") {
		t.Errorf("blamed: %v", who)
	}
	must(t, b.app(t), "UPDATE pupil SET name = 'goes on' WHERE id = 2") // nobody waits any longer
	gate()
	if err := <-done; err != nil {
		t.Errorf("the job: %v", err)
	}
	raise(t, p, s) // and now it stands
}

func lockTablesBlocks(t *testing.T, b *bench) {
	s := b.helm(t)
	p := b.survey(t, s)
	lift(t, p, s)
	job := b.app(t)
	must(t, job, "LOCK TABLES pupil WRITE")
	t.Cleanup(func() { _, _ = job.ExecContext(context.WithoutCancel(t.Context()), "UNLOCK TABLES") })
	who := blocked(t, b, s, p)
	if len(who.By) == 0 || who.By[0].What != "lock" {
		t.Errorf("blamed: %v", who)
	}
	must(t, job, "UNLOCK TABLES")
}

func deadlineKeepsTheHelm(t *testing.T, b *bench) {
	s := b.helm(t)
	p := b.survey(t, s)
	lift(t, p, s)
	gate := b.gate(t)
	done := b.background(t, b.app(t), "UPDATE school.pupil SET name = 'job' WHERE id = 1 AND GET_LOCK('fence_test', 15) = 1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Raise(ctx, s); !errors.Is(err, context.DeadlineExceeded) || !fault.Is(err, fault.FenceBlocked) {
		t.Errorf("Raise: %v", err)
	}
	must(t, s.Helm, "DO 1") // the session with the lock is still there
	gate()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if b.readOnly(t) {
		t.Error("the statement took effect after it was given up")
	}
}

// lateStatement: a coordinator dies while its SET GLOBAL read_only waits behind a long UPDATE. Its statement
// would take effect when the UPDATE ends, long after its successor has undone everything. The successor ends
// that session, and has the helm's lock only when it is gone.
func lateStatement(t *testing.T, b *bench) {
	raise := map[fence.Kind]string{fence.ReadOnly: "SET GLOBAL read_only = 1", fence.RDS: "CALL mysql.rds_set_read_only(1)"}[b.kind]
	for _, c := range []struct {
		name   string
		killed bool
	}{{"the session is left alone", false}, {"the session is killed", true}} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Cleanup(func() { b.Exec(t, "SET GLOBAL read_only = 0") })
			gate := b.gate(t)
			job := b.background(t, b.app(t), "UPDATE school.pupil SET name = 'job' WHERE id = 1 AND GET_LOCK('fence_test', 15) = 1")
			dead, id := b.dyingHelm(t, raise)
			next := b.helm(t)
			if c.killed {
				if _, err := next.Side.ExecContext(t.Context(), fmt.Sprintf("KILL %d", id)); err != nil {
					t.Fatal(err)
				}
				var got sql.NullInt64
				if err := next.Helm.QueryRowContext(t.Context(), "SELECT GET_LOCK('changeover/school', 10)").Scan(&got); err != nil || got.Int64 != 1 {
					t.Fatalf("the helm's lock: %v %v", got, err)
				}
			}
			p := b.survey(t, next)
			if err := p.Lift(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			gate()
			if err := <-job; err != nil {
				t.Error(err)
			}
			<-dead
			b.await(t, "the dead session is gone", func() bool {
				return b.count(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = ?", id) == 0
			})
			if late := b.readOnly(t); late == c.killed {
				t.Errorf("killed %v, and the late statement took effect: %v", c.killed, late)
			}
		})
	}
}

// dyingHelm is a helm whose process dies while its statement waits: the connection is cut, no KILL.
func (b *bench) dyingHelm(t *testing.T, statement string) (dead <-chan error, id int) {
	t.Helper()
	conn, err := b.DB(t, b.own).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID() FROM (SELECT GET_LOCK('changeover/school', 0) AS got) x WHERE got = 1").Scan(&id); err != nil {
		t.Fatal(err)
	}
	life, die := context.WithCancel(context.WithoutCancel(t.Context()))
	answer := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(life, statement)
		_ = conn.Close()
		answer <- err
	}()
	b.await(t, "the fence waits", func() bool {
		return b.count(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = ? AND STATE LIKE '%lock%'", id) == 1
	})
	die()
	return answer, id
}

func outlivesARestart(t *testing.T, b *bench) {
	s := b.helm(t)
	p := b.survey(t, s)
	raise(t, p, s)
	if err := patiently(func() error { return p.Keep(t.Context(), s) }); err != nil {
		t.Fatal(err)
	}
	b.restart(t)
	again := b.helm(t)
	lift(t, p, again)
	_, err := b.DB(t, sandbox.App).ExecContext(t.Context(), "UPDATE school.pupil SET name = 'x'")
	if !fence.Refused(err) {
		t.Errorf("a write after the restart: %v", err)
	}
	if want := map[fence.Lasting]bool{fence.LastingPersist: true}[p.Lasting]; b.readOnly(t) != want {
		t.Errorf("lasting by %s, read_only %v", p.Lasting, !want)
	}
	if p.Lasting == fence.LastingPersist {
		b.liftBesideAnOperator(t, p, again)
	} else if err := p.Lift(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	must(t, b.app(t), "UPDATE pupil SET name = 'after' WHERE id = 1")
}

// liftBesideAnOperator: an account that somebody else has locked meanwhile stays locked.
func (b *bench) liftBesideAnOperator(t *testing.T, p *fence.Plan, s fence.Server) {
	t.Helper()
	b.Exec(t, "ALTER USER app@`%` ACCOUNT LOCK")
	err := p.Lift(t.Context(), s)
	if _, locked := b.DB(t, sandbox.App).Conn(t.Context()); err != nil || !fence.Refused(locked) {
		t.Errorf("Lift: %v; the account that an operator has locked: %v", err, locked)
	}
	b.Exec(t, "ALTER USER app@`%` ACCOUNT UNLOCK")
}

func persistRefused(t *testing.T, b *bench) {
	s := b.helm(t)
	p := b.survey(t, s)
	lift(t, p, s)
	raise(t, p, s)
	b.Exec(t, "REVOKE SYSTEM_VARIABLES_ADMIN ON *.* FROM changeover@`%`")
	err := p.Keep(t.Context(), s)
	b.Exec(t, "GRANT SYSTEM_VARIABLES_ADMIN ON *.* TO changeover@`%` WITH GRANT OPTION")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.DB(t, sandbox.App).Conn(t.Context()); number(err) != 3118 {
		t.Errorf("the account is not locked: %v", err)
	}
}

func sharedServer(t *testing.T, b *bench) {
	b.Exec(t, "CREATE DATABASE shop", "CREATE TABLE shop.cart (id INT PRIMARY KEY)")
	t.Cleanup(func() { b.Exec(t, "DROP DATABASE shop") })
	clerk := b.newAccount(t, "clerk", "GRANT INSERT ON shop.* TO clerk@`%`")
	s := b.helm(t)
	p := b.survey(t, s)
	if p.Kind != fence.Accounts || !slices.Contains(codes(p.Problems, false), fault.FenceShared) {
		t.Fatalf("kind %s, problems %v", p.Kind, p.Problems)
	}
	if insisted := b.survey(t, s, func(o *fence.Options) { o.Want = config.FenceReadOnly }); !slices.Contains(codes(insisted.Problems, true), fault.FenceShared) {
		t.Errorf("read_only on a shared server: %v", insisted.Problems)
	}
	if all := b.survey(t, s, func(o *fence.Options) { o.Databases = []string{"school", "shop"} }); all.Kind != b.kind {
		t.Errorf("a server of which all is migrated: %s, %v", all.Kind, all.Problems)
	}
	lift(t, p, s)
	raise(t, p, s)
	must(t, clerk, "INSERT INTO shop.cart VALUES (1)") // nobody else notices
	if b.readOnly(t) {
		t.Error("the whole server is fenced")
	}
}

func writerOfAnother(t *testing.T, b *bench) {
	b.Exec(t, "CREATE TABLE _changeover.route (migration VARCHAR(64) PRIMARY KEY, side VARCHAR(8), writer VARCHAR(8))",
		"INSERT INTO _changeover.route VALUES ('school', 'target', 'target'), ('other', 'target', 'source')")
	t.Cleanup(func() { b.Exec(t, "DROP TABLE _changeover.route") })
	s := b.helm(t)
	if p := b.survey(t, s); p.Kind != b.kind {
		t.Errorf("our own route, and another's server that is no writer: %s, %v", p.Kind, p.Problems)
	}
	b.Exec(t, "UPDATE _changeover.route SET writer = 'target' WHERE migration = 'other'")
	if p := b.survey(t, s); p.Kind != fence.Accounts {
		t.Errorf("the writer of another migration: %s, %v", p.Kind, p.Problems)
	}
	p := b.survey(t, s, func(o *fence.Options) { o.Want = config.FenceReadOnly })
	if !slices.Contains(codes(p.Problems, true), fault.FenceShared) {
		t.Errorf("it is to be fenced as a whole: %v", p.Problems)
	}
}

func foundReadOnly(t *testing.T, b *bench) {
	s := b.helm(t)
	must(t, b.root, "SET GLOBAL read_only = 1")
	p := b.survey(t, s)
	if !slices.Contains(codes(p.Problems, true), fault.FenceFound) {
		t.Errorf("problems: %v", p.Problems)
	}
	raise(t, p, s)
	if err := p.Lift(t.Context(), s); err != nil || !b.readOnly(t) {
		t.Errorf("what somebody else has set was undone: %v", err)
	}
	must(t, b.root, "SET GLOBAL read_only = 0")
}

func privilegesMissing(t *testing.T, b *bench) {
	for _, c := range []struct {
		grant string
		want  config.Fence
		code  fault.Code
		says  string
	}{
		{"GRANT SELECT, SHOW DATABASES ON *.* TO weak@`%`", config.FenceReadOnly, fault.FencePrivilege, "pass read_only itself"},
		{"GRANT SELECT, SHOW DATABASES, PROCESS ON *.* TO weak@`%`", config.FenceAccounts, fault.FencePrivilege, "CREATE USER"},
		{"GRANT SELECT, SHOW DATABASES, CREATE USER ON *.* TO weak@`%`", config.FenceAccounts, fault.FencePrivilege, "PROCESS"},
		{"GRANT SHOW DATABASES, CREATE USER ON *.* TO weak@`%`", config.FenceAccounts, fault.FencePrivilege, "SELECT on mysql"},
		{"GRANT ALL ON school.* TO weak@`%`", config.FenceReadOnly, fault.FenceShared, "does not see all databases"},
	} {
		weak := b.newAccount(t, "weak", c.grant)
		o := b.options()
		o.Want = c.want
		p, err := fence.Survey(t.Context(), weak, o)
		if err != nil {
			t.Errorf("%s: %v", c.grant, err)
			continue
		}
		if !slices.ContainsFunc(p.Problems, func(p fence.Problem) bool {
			return p.Blocks && p.Code == c.code && (strings.Contains(p.Detail, c.says) || strings.Contains(p.Detail, "read_only ("))
		}) {
			t.Errorf("%s: want %v %q, got %v", c.grant, c.code, c.says, p.Problems)
		}
		b.Exec(t, "DROP USER weak@`%`")
	}
}

func shield(t *testing.T, b *bench) {
	s := b.helm(t)
	p, err := fence.Shield(t.Context(), s.Helm, b.options())
	if err != nil || p.Kind != b.kind {
		t.Fatalf("kind %v, %v", p, err)
	}
	lift(t, p, s)
	raise(t, p, s)
	if err := patiently(func() error { return p.Keep(t.Context(), s) }); err != nil {
		t.Fatal(err)
	}
	if err := exec(t, b.app(t), "UPDATE pupil SET name = 'x'"); !fence.Refused(err) { // it connects: gates warm their pools
		t.Errorf("a write to a shielded server: %v", err)
	}
	b.liftBesideAnOperator(t, p, s)
	o := b.options()
	o.Want = config.FenceAccounts
	if wide, err := fence.Shield(t.Context(), s.Helm, o); err != nil || wide.Kind != b.kind {
		t.Errorf("where the writer is to be fenced by account: %+v, %v", wide, err)
	}
	b.Exec(t, "CREATE DATABASE others", "CREATE TABLE others.t (id INT PRIMARY KEY)")
	t.Cleanup(func() { b.Exec(t, "DROP DATABASE others") })
	o.Want = config.FenceReadOnly
	none, err := fence.Shield(t.Context(), s.Helm, o)
	if err != nil || none.Kind != fence.None || !slices.Contains(codes(none.Problems, false), fault.FenceOpen) {
		t.Fatalf("of a server that others use: %+v, %v", none, err)
	}
	if err := whole(t.Context(), none, s); err != nil {
		t.Error(err)
	}
	standing(t, none, s, false)
}

func eventsStop(t *testing.T, b *bench) {
	b.scheduler(t)
	for _, c := range []struct {
		want    config.Fence
		definer string
	}{{config.FenceAuto, "root@localhost"}, {config.FenceAuto, "app@`%`"}, {config.FenceAccounts, "app@`%`"}} {
		s := b.helm(t)
		b.Exec(t, "CREATE TABLE school.beat (id INT PRIMARY KEY AUTO_INCREMENT)",
			"CREATE DEFINER = "+c.definer+" EVENT school.tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO school.beat VALUES (NULL)")
		beats := func() int { return b.count(t, "SELECT COUNT(*) FROM school.beat") }
		b.await(t, "the event runs", func() bool { return beats() > 0 })
		p := b.survey(t, s, func(o *fence.Options) { o.Want = c.want })
		if b.kind == fence.RDS && strings.HasPrefix(c.definer, "root") { // nobody but root's like may alter it
			if !slices.Contains(codes(p.Problems, true), fault.FenceEvent) {
				t.Errorf("an event of root: %v", p.Problems)
			}
		} else {
			lift(t, p, s)
			raise(t, p, s)
			was, then := beats(), b.count(t, "SELECT UNIX_TIMESTAMP()")
			b.await(t, "it would have run again", func() bool { return b.count(t, "SELECT UNIX_TIMESTAMP()") >= then+2 })
			if n := beats() - was; n > 0 {
				t.Errorf("%s: it ran %d times behind the fence", p.Kind, n)
			}
			if err := patiently(func() error { return p.Keep(t.Context(), s) }); err != nil {
				t.Error(err)
			}
			if err := p.Lift(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			b.await(t, "the event runs again", func() bool { return beats() > was })
		}
		b.Exec(t, "DROP EVENT school.tick", "DROP TABLE school.beat")
	}
}

func eventsOfAllNames(t *testing.T, b *bench) {
	b.furnish(t)
	s := b.helm(t)
	p := b.survey(t, s, func(o *fence.Options) { o.Want = config.FenceAccounts })
	if len(p.Events) != 2 {
		t.Errorf("events: %v", p.Events)
	}
	lift(t, p, s)
	raise(t, p, s)
	if n := b.count(t, "SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'school' AND STATUS = 'ENABLED'"); n != 0 {
		t.Errorf("%d events are still enabled", n)
	}
}

func runningEvent(t *testing.T, b *bench) {
	s, gate := b.helm(t), b.gate(t)
	b.longEvent(t, "root@localhost")
	p := b.survey(t, s)
	lift(t, p, s)
	if err := patiently(func() error { return p.Raise(t.Context(), s) }); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := p.Settle(short, s); !fault.Is(err, fault.FenceEvent) {
		t.Errorf("an event of a privileged definer runs: %v", err)
	}
	gate()
	settle(t, p, s)
	if n := b.count(t, "SELECT COUNT(*) FROM school.pupil WHERE name = 'event'"); n != 1 {
		t.Errorf("it wrote %d rows: what it writes passes the fence, and has to be before Settle returns", n)
	}
}

func runningEventAndAccounts(t *testing.T, b *bench) {
	s := b.helm(t)
	b.gate(t)
	b.longEvent(t, map[bool]string{true: "root@localhost", false: string(b.own) + "@`%`"}[b.mariadb()]) // who isn't locked
	p := b.survey(t, s, func(o *fence.Options) { o.Want = config.FenceAccounts })
	lift(t, p, s)
	raise(t, p, s)
	if n := b.count(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%fence_test%' AND ID <> CONNECTION_ID()"); n != 0 {
		t.Errorf("%d events still run", n)
	}
}

func schedulerStaysOff(t *testing.T, b *bench) {
	b.Exec(t, "SET GLOBAL event_scheduler = OFF")
	t.Cleanup(func() { b.Exec(t, "SET GLOBAL event_scheduler = ON") })
	s := b.helm(t)
	p := b.survey(t, s)
	raise(t, p, s)
	if err := patiently(func() error { return p.Keep(t.Context(), s) }); err != nil {
		t.Fatal(err)
	}
	b.restart(t) // by its own configuration the scheduler would be ON
	again := b.helm(t)
	lift(t, p, again)
	if n := b.count(t, "SELECT @@GLOBAL.event_scheduler = 'OFF'"); n != 1 {
		t.Error("events run on a fenced server after a restart")
	}
}

// arrivingIsThrownOut: a login looks its account up when it begins. One that began before the lock may be let
// in long after it.
func arrivingIsThrownOut(t *testing.T, b *bench) {
	arriving, err := net.Dial("tcp", net.JoinHostPort(b.Host, strconv.Itoa(b.Port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = arriving.Close() })
	if _, err := arriving.Read(make([]byte, 4096)); err != nil { // the greeting
		t.Fatal(err)
	}
	s := b.helm(t)
	p := b.survey(t, s, func(o *fence.Options) { o.Want = config.FenceAccounts })
	lift(t, p, s)
	if err := patiently(func() error { return p.Raise(t.Context(), s) }); err != nil {
		t.Fatal(err)
	}
	_ = arriving.SetReadDeadline(time.Now().Add(5 * time.Second)) // less than the server's own patience
	for {
		if _, err := arriving.Read(make([]byte, 4096)); err != nil {
			if os.IsTimeout(err) {
				t.Error("it may still log in")
			}
			return
		}
	}
}

// raiseAgain: a shielded server restarts, and the coordinator raises its fence by the old plan.
func raiseAgain(t *testing.T, b *bench) {
	b.furnish(t)
	found := b.snapshot(t)
	s := b.helm(t)
	p := b.survey(t, s)
	lift(t, p, s)
	raise(t, p, s)
	for _, forget := range []string{"SET GLOBAL read_only = 0", "SET GLOBAL event_scheduler = ON"} {
		must(t, b.root, forget) // what a restart does
	}
	standing(t, p, s, false)
	raise(t, p, s)
	raise(t, p, s)
	standing(t, p, s, true)
	if err := p.Lift(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if after := b.snapshot(t); after != found {
		t.Errorf("not as it was found:\n%s", difference(found, after))
	}
}

// longEvent is an event that runs until the gate is opened, and writes then.
func (b *bench) longEvent(t *testing.T, definer string) {
	t.Helper()
	b.scheduler(t)
	b.Exec(t, "UPDATE school.pupil SET name = 'nobody'",
		"CREATE DEFINER = "+definer+" EVENT school.long ON SCHEDULE AT NOW() DO BEGIN DO GET_LOCK('fence_test', 15); UPDATE school.pupil SET name = 'event' WHERE id = 1; END")
	t.Cleanup(func() { b.Exec(t, "DROP EVENT IF EXISTS school.long") })
	b.await(t, "the event runs", func() bool {
		return b.count(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%GET_LOCK(''fence_test''%' AND ID <> CONNECTION_ID()") == 1
	})
}

// scheduler has the event scheduler run, for this case.
func (b *bench) scheduler(t *testing.T) {
	t.Helper()
	if b.count(t, "SELECT @@GLOBAL.event_scheduler = 'ON'") == 1 {
		return
	}
	b.Exec(t, "SET GLOBAL event_scheduler = ON")
	t.Cleanup(func() { b.Exec(t, "SET GLOBAL event_scheduler = OFF") })
}

// gate takes the lock for which the tests' long statements wait; open lets them on.
func (b *bench) gate(t *testing.T) (open func()) {
	t.Helper()
	conn, err := b.root.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	must(t, conn, "DO GET_LOCK('fence_test', 10)")
	opened := false
	open = func() {
		if !opened {
			opened = true
			_, _ = conn.ExecContext(context.WithoutCancel(t.Context()), "DO RELEASE_LOCK('fence_test')")
			_ = conn.Close()
		}
	}
	t.Cleanup(open)
	return open
}

// newAccount makes an account for this case and connects as it.
func (b *bench) newAccount(t *testing.T, name string, grants ...string) *sql.Conn {
	t.Helper()
	const password = "Some-Pass-1"
	b.Exec(t, append([]string{"CREATE USER " + name + "@`%` IDENTIFIED BY '" + password + "'"}, grants...)...)
	t.Cleanup(func() { b.Exec(t, "DROP USER IF EXISTS "+name+"@`%`") })
	return b.connectAs(t, name, password)
}

func (b *bench) restart(t *testing.T, options ...string) {
	t.Helper()
	if err := b.Restart(t.Context(), options...); err != nil {
		t.Fatal(err)
	}
	b.await(t, "the pool is connected again", func() bool { return b.root.PingContext(t.Context()) == nil })
}

func raise(t *testing.T, p *fence.Plan, s fence.Server) {
	t.Helper()
	if err := patiently(func() error { return p.Raise(t.Context(), s) }); err != nil {
		t.Fatal(err)
	}
	settle(t, p, s)
}

// patiently repeats what a busy machine, and nobody on the server, kept from being done in 150 ms.
func patiently(f func() error) error {
	for try := 0; ; try++ {
		err := f()
		var who *fence.Blocked
		if try == 5 || !errors.As(err, &who) || len(who.By) > 0 {
			return err
		}
	}
}

func settle(t *testing.T, p *fence.Plan, s fence.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Settle(ctx, s); err != nil {
		t.Fatal(err)
	}
}

// lift lifts the fence after the case, whatever becomes of it.
func lift(t *testing.T, p *fence.Plan, s fence.Server) {
	t.Cleanup(func() {
		if err := p.Lift(context.WithoutCancel(t.Context()), s); err != nil {
			t.Error(err)
		}
	})
}

func standing(t *testing.T, p *fence.Plan, s fence.Server, want bool) {
	t.Helper()
	if got, err := p.Standing(t.Context(), s.Helm); err != nil || got != want {
		t.Errorf("standing: %v %v, want %v", got, err, want)
	}
}

func number(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}
