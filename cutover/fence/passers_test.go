package fence_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"changeover/cutover/fence"
	"changeover/internal/config"
	"changeover/internal/fault"
)

var passerCases = []testCase{
	{name: "an account that passes is found by itself and by its role", run: passingAccounts},
	{name: "an account that can't be locked is found", run: passingAccountsUnlocked},
	{name: "a procedure of a privileged definer passes and is found", run: passingProcedure},
	{name: "a prepared XA transaction is found before and behind the fence", run: preparedXA},
	{name: "an open XA transaction would pass and ends the attempt", on: []string{"TestOnMySQL", "TestOnRDS"}, run: openXA},
	{name: "a replication channel into the server is found", on: []string{"TestOnMySQL", "TestOnMariaDB"}, run: passingChannel},
	{name: "a binlog that leaves databases out is found", on: []string{"TestOnMySQL", "TestOnMariaDB"}, run: passingFilter},
	{name: "objects of other databases that write into ours are found", run: passingCross},
	{name: "on a server where nothing passes nothing blocks", run: nothingPasses},
}

// passers asks for what passes; the tests' own root session is an operator's.
func (b *bench) passers(t testing.TB, s fence.Session, change ...func(*fence.Options)) []fence.Problem {
	t.Helper()
	o := b.options()
	o.Operators = []string{"root@localhost", "root@127.0.0.1"}
	for _, f := range change {
		f(&o)
	}
	problems, err := fence.Passers(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

func about(problems []fence.Problem, text string) (found []fence.Problem) {
	for _, p := range problems {
		if strings.Contains(p.Detail, text) {
			found = append(found, p)
		}
	}
	return found
}

func nothingPasses(t *testing.T, b *bench) {
	s := b.helm(t)
	b.app(t)
	for _, want := range []config.Fence{config.FenceAuto, config.FenceAccounts} {
		if blocking := codes(b.passers(t, s.Helm, func(o *fence.Options) { o.Want = want }), true); len(blocking) > 0 {
			t.Errorf("%s: %v", want, blocking)
		}
	}
	root := b.passers(t, s.Helm, func(o *fence.Options) { o.Operators = nil })
	if !slices.Contains(codes(root, true), fault.FenceAccount) {
		t.Errorf("root is connected, and nobody answers for it: %v", root)
	}
}

func passingAccounts(t *testing.T, b *bench) {
	privilege := "CONNECTION_ADMIN"
	if b.mariadb() {
		privilege = "READ_ONLY ADMIN"
	}
	b.Exec(t, "CREATE ROLE boss", "GRANT "+privilege+" ON *.* TO boss", "CREATE ROLE chief", "GRANT boss TO chief")
	t.Cleanup(func() { b.Exec(t, "DROP ROLE boss, chief") })
	writes := "GRANT SELECT, INSERT, UPDATE ON school.* TO "
	b.Exec(t, "CREATE USER absent@`%` IDENTIFIED BY 'Some-Pass-1'", "GRANT "+privilege+" ON *.* TO absent@`%`")
	t.Cleanup(func() { b.Exec(t, "DROP USER absent@`%`") })
	direct := b.newAccount(t, "direct", writes+"direct@`%`", "GRANT "+privilege+" ON *.* TO direct@`%`")
	byRole := b.newAccount(t, "byrole", writes+"byrole@`%`", "GRANT chief TO byrole@`%`")
	plain := b.newAccount(t, "plain", writes+"plain@`%`", "GRANT PROCESS ON *.* TO plain@`%`")
	s := b.helm(t)
	problems := b.passers(t, s.Helm)
	for name, want := range map[string]struct{ blocking, found bool }{
		"direct@%": {true, true}, "byrole@%": {true, true}, "absent@%": {false, true}, "plain@%": {}, "app@%": {}, string(b.own) + "@%": {},
	} {
		found := about(problems, name)
		if len(found) > 0 != want.found || want.found && (found[0].Blocks != want.blocking || found[0].Code != fault.FenceAccount) {
			t.Errorf("%s: %v", name, found)
		}
	}
	allowed := b.passers(t, s.Helm, func(o *fence.Options) { o.Operators = append(o.Operators, "direct@%") })
	if found := about(allowed, "direct@%"); len(found) > 0 {
		t.Errorf("an operator's: %v", found)
	}
	// It is as was found: who is named writes behind the fence, who is not does not.
	p := b.survey(t, s)
	lift(t, p, s)
	raise(t, p, s)
	role := "SET ROLE chief"
	if !b.mariadb() {
		role = "SET ROLE ALL"
	}
	must(t, direct, "UPDATE school.pupil SET name = 'passes' WHERE id = 1")
	must(t, byRole, role, "UPDATE school.pupil SET name = 'passes' WHERE id = 2")
	if err := exec(t, plain, "UPDATE school.pupil SET name = 'x'"); !fence.Refused(err) {
		t.Errorf("a plain account: %v", err)
	}
}

func passingAccountsUnlocked(t *testing.T, b *bench) {
	s := b.helm(t)
	o := func(o *fence.Options) { o.Want, o.Operators = config.FenceAccounts, nil }
	found := about(b.passers(t, s.Helm, o), "root@127.0.0.1")
	if len(found) == 0 || !found[0].Blocks {
		t.Errorf("root is not locked, and is connected: %v", found)
	}
	p := b.survey(t, s, o)
	for _, a := range p.Accounts {
		if a.User == "root" {
			t.Errorf("%s would be locked: nobody could get in", a)
		}
	}
	if !b.mariadb() {
		b.Exec(t, "CREATE USER strong@`%` IDENTIFIED BY 'Some-Pass-1'", "GRANT INSERT ON school.* TO strong@`%`", "GRANT SYSTEM_USER ON *.* TO strong@`%`")
		t.Cleanup(func() { b.Exec(t, "DROP USER strong@`%`") })
		if p := b.survey(t, s, o); !slices.Contains(codes(p.Problems, true), fault.FenceKill) {
			t.Errorf("an account with SYSTEM_USER: %v", p.Problems)
		}
	}
}

func passingProcedure(t *testing.T, b *bench) {
	b.Exec(t, "CREATE DEFINER = root@localhost PROCEDURE school.close_year() SQL SECURITY DEFINER UPDATE school.pupil SET name = 'procedure' WHERE id = 1",
		"CREATE DEFINER = root@localhost PROCEDURE school.invoker() SQL SECURITY INVOKER UPDATE school.pupil SET name = 'invoker' WHERE id = 1",
		"CREATE DEFINER = root@localhost FUNCTION school.mark(i INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA SQL SECURITY DEFINER BEGIN UPDATE school.pupil SET name = 'function' WHERE id = i; RETURN i; END",
		"CREATE DEFINER = app@`%` PROCEDURE school.plain() SQL SECURITY DEFINER UPDATE school.pupil SET name = 'plain' WHERE id = 1")
	t.Cleanup(func() {
		b.Exec(t, "DROP PROCEDURE school.close_year", "DROP PROCEDURE school.invoker", "DROP FUNCTION school.mark", "DROP PROCEDURE school.plain")
	})
	s := b.helm(t)
	problems := b.passers(t, s.Helm)
	if found := about(problems, "school.close_year"); len(found) != 1 || !found[0].Blocks || found[0].Code != fault.FenceRoutine {
		t.Errorf("a procedure of root: %v", problems)
	}
	for _, name := range []string{"school.invoker", "school.mark", "school.plain"} {
		if found := about(problems, name); len(found) > 0 {
			t.Errorf("false alarm: %v", found)
		}
	}
	p := b.survey(t, s)
	lift(t, p, s)
	app := b.app(t)
	raise(t, p, s)
	must(t, app, "CALL close_year()") // it does write
	for _, call := range []string{"CALL invoker()", "CALL plain()", "DO mark(1)", "SET @name = mark(1)"} {
		if err := exec(t, app, call); !fence.Refused(err) {
			t.Errorf("%s behind the fence: %v", call, err)
		}
	}
	if err := p.Lift(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	// By account, whoever may call it is locked, also who could do nothing else.
	b.newAccount(t, "caller", "GRANT EXECUTE ON PROCEDURE school.close_year TO caller@`%`")
	p = b.survey(t, s, func(o *fence.Options) { o.Want = config.FenceAccounts })
	if !slices.ContainsFunc(p.Accounts, func(a fence.Account) bool { return a.User == "caller" }) {
		t.Errorf("who may call it is not locked: %v", p.Accounts)
	}
}

func preparedXA(t *testing.T, b *bench) {
	s := b.helm(t)
	app := b.app(t)
	p := b.survey(t, s)
	lift(t, p, s)
	must(t, app, "XA START 'order-1'", "UPDATE pupil SET name = 'xa' WHERE id = 1", "XA END 'order-1'", "XA PREPARE 'order-1'")
	done := func() { _, _ = app.ExecContext(context.WithoutCancel(t.Context()), "XA ROLLBACK 'order-1'") }
	t.Cleanup(done)
	if found := about(b.passers(t, s.Helm), "order-1"); len(found) != 1 || !found[0].Blocks || found[0].Code != fault.FenceXA {
		t.Errorf("passers: %v", found)
	}
	if err := patiently(func() error { return p.Raise(t.Context(), s) }); err != nil {
		t.Fatal(err)
	}
	if err := p.Settle(t.Context(), s); !fault.Is(err, fault.FenceXA) {
		t.Errorf("Settle: %v", err)
	}
	if err := p.Lift(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func openXA(t *testing.T, b *bench) {
	s := b.helm(t)
	app := b.app(t)
	p := b.survey(t, s)
	lift(t, p, s)
	must(t, app, "UPDATE pupil SET name = 'before' WHERE id = 1", "XA START 'order-2'", "UPDATE pupil SET name = 'xa passes' WHERE id = 1")
	if found := about(b.passers(t, s.Helm), "order-2"); len(found) != 1 || !found[0].Blocks {
		t.Errorf("passers: %v", found)
	}
	if err := patiently(func() error { return p.Raise(t.Context(), s) }); err != nil {
		t.Fatal(err)
	}
	if err := p.Settle(t.Context(), s); !fault.Is(err, fault.FenceXA) {
		t.Errorf("Settle: %v", err)
	}
	must(t, app, "XA END 'order-2'", "XA PREPARE 'order-2'", "XA COMMIT 'order-2'") // that is why
	if n := b.count(t, "SELECT COUNT(*) FROM school.pupil WHERE name = 'xa passes'"); n != 1 {
		t.Errorf("%d rows: is the rule needed at all?", n)
	}
}

func passingChannel(t *testing.T, b *bench) {
	change, start, stop := "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1, SOURCE_USER = 'nobody'",
		[]string{"START REPLICA"}, []string{"STOP REPLICA", "RESET REPLICA ALL"}
	if b.mariadb() {
		change, start, stop = "CHANGE MASTER 'up' TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1, MASTER_USER = 'nobody'",
			[]string{"START SLAVE 'up'"}, []string{"STOP SLAVE 'up'", "RESET SLAVE 'up' ALL"}
	}
	b.Exec(t, change)
	t.Cleanup(func() { b.Exec(t, stop...) })
	s := b.helm(t)
	if found := about(b.passers(t, s.Helm), "channel"); len(found) != 1 || found[0].Blocks {
		t.Errorf("a channel that is stopped: %v", found)
	}
	b.Exec(t, start...)
	if found := about(b.passers(t, s.Helm), "channel"); len(found) != 1 || !found[0].Blocks || found[0].Code != fault.FenceChannel {
		t.Errorf("a channel that runs: %v", found)
	}
}

func passingFilter(t *testing.T, b *bench) {
	b.restart(t, "--binlog-ignore-db=school")
	if found := about(b.passers(t, b.helm(t).Helm), "binlog_ignore_db"); len(found) != 1 || !found[0].Blocks || found[0].Code != fault.FenceBinlog {
		t.Errorf("ignored: %v", found)
	}
	b.restart(t, "--binlog-do-db=school")
	if found := about(b.passers(t, b.helm(t).Helm), "binlog_do_db"); len(found) != 1 || !strings.Contains(found[0].Detail, "_changeover") {
		t.Errorf("only ours: %v", found)
	}
	b.restart(t)
}

func passingCross(t *testing.T, b *bench) {
	b.Exec(t, "CREATE DATABASE shop", "CREATE TABLE shop.cart (id INT PRIMARY KEY)",
		"CREATE DEFINER = root@localhost VIEW shop.pupils AS SELECT * FROM school.pupil",
		"CREATE DEFINER = root@localhost TRIGGER shop.sold AFTER INSERT ON shop.cart FOR EACH ROW UPDATE school.pupil SET name = 'sold' WHERE id = 1",
		"CREATE DEFINER = root@localhost TRIGGER shop.own AFTER DELETE ON shop.cart FOR EACH ROW SET @old_school = 1",
		"CREATE DEFINER = root@localhost PROCEDURE shop.sell() DELETE FROM `school`.pupil")
	t.Cleanup(func() { b.Exec(t, "DROP DATABASE shop") })
	problems := b.passers(t, b.helm(t).Helm)
	for _, name := range []string{"shop.pupils", "shop.sold", "shop.sell"} {
		if found := about(problems, name); len(found) != 1 || !found[0].Blocks || found[0].Code != fault.FenceCross {
			t.Errorf("%s: %v", name, found)
		}
	}
	if found := about(problems, "shop.own"); len(found) > 0 {
		t.Errorf("false alarm: %v", found)
	}
}
