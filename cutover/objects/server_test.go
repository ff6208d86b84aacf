package objects

import (
	"context"
	"database/sql"
	"os"
	"slices"
	"strings"
	"testing"

	"changeover/cdc/schema"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// options let accounts without SUPER make triggers, as a migration's plan asks for, and events run.
var options = sandboxtest.Options("--log-bin-trust-function-creators=1", "--event-scheduler=ON")

// place is a migration that has been copied: its two servers, and the database that both have.
type place struct {
	t        *testing.T
	database string
	source   *sql.DB
	target   *sql.DB
	src, dst *sandboxtest.Server
	options  Options
}

// flavors runs a test for each kind of source.
func flavors(t *testing.T, test func(t *testing.T, p *place)) {
	for _, f := range []string{"mysql", "mariadb"} {
		t.Run(f, func(t *testing.T) { test(t, newPlace(t, f)) })
	}
}

func newPlace(t *testing.T, flavor string) *place {
	t.Helper()
	source := sandboxtest.MySQLSource
	if flavor == "mariadb" {
		source = sandboxtest.MariaDBSource
	}
	return newPlaceOn(t, &sandboxtest.Pair{Source: source(t, options), Target: sandboxtest.Target(t, options)})
}

func newPlaceOn(t *testing.T, pair *sandboxtest.Pair) *place {
	t.Helper()
	p := &place{t: t, src: pair.Source, dst: pair.Target, database: pair.Database(t)}
	p.source, p.target = p.src.DB(t, sandbox.Changeover), p.dst.DB(t, sandbox.Admin)
	p.options = Options{Migration: p.database, Databases: []string{p.database}}
	for _, db := range []*sql.DB{p.source, p.target} {
		if err := state.Install(t.Context(), db, state.Source); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), "/* changeover state */ CREATE TABLE IF NOT EXISTS `_changeover`.`objects` (migration VARCHAR(64) NOT NULL PRIMARY KEY,"+
			" attempt BIGINT UNSIGNED NOT NULL, state VARCHAR(16) NOT NULL, document LONGBLOB NOT NULL, updated DATETIME(6) NOT NULL)"+
			" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*sandboxtest.Server{p.src, p.dst} {
		s.Exec(t, "ALTER DATABASE "+p.database+" CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
	}
	p.script("objects.sql")
	p.copyTables()
	return p
}

// script runs a testdata file on the source.
func (p *place) script(file string) {
	p.t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		p.t.Fatal(err)
	}
	statements := []string{"USE " + p.database, "SET NAMES utf8mb4"}
	for _, sql := range strings.Split(strings.TrimSpace(string(text)), "\n---\n") {
		statements = append(statements, strings.ReplaceAll(sql, "DB", p.database))
	}
	p.src.Exec(p.t, statements...)
}

// copyTables makes the tables on the target with the rows that are there: AUTO_INCREMENT is as rows
// that are written with their ids leave it.
func (p *place) copyTables() {
	p.t.Helper()
	ctx := p.t.Context()
	s, err := schema.Read(ctx, p.source, []string{p.database}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i, t := range s.Databases[0].Tables {
		at := strings.Index(t.Create, " AUTO_INCREMENT=")
		if at < 0 {
			continue
		}
		rest := t.Create[at+1:]
		s.Databases[0].Tables[i].Create = t.Create[:at] + rest[strings.IndexByte(rest, ' '):]
	}
	target, err := schema.Inspect(ctx, p.target)
	if err != nil {
		p.t.Fatal(err)
	}
	made, _, err := s.Translate(target, schema.TranslateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := schema.CreateTables(ctx, p.target, made); err != nil {
		p.t.Fatal(err)
	}
	p.dst.Exec(p.t, "INSERT INTO "+p.database+".gap (id) VALUES (1), (2), (3)")
}

// conn is a session, as the helm's.
func conn(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func prepare(t *testing.T, old, new *sql.DB, o Options) *Prepared {
	t.Helper()
	p, err := Prepare(t.Context(), old, new, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range p.Problems {
		if problem.Blocks {
			t.Fatalf("it blocks: %v %s", problem.Code, problem.Detail)
		}
	}
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pass passes the role from old to new.
func pass(t *testing.T, old, new *sql.DB, o Options) *Prepared {
	t.Helper()
	ctx, helm, oldHelm := t.Context(), conn(t, new), conn(t, old)
	p := prepare(t, old, new, o)
	must(t, p.Ahead(ctx, helm, new))
	must(t, p.Arm(ctx, helm, new, nil))
	must(t, p.Enable(ctx, helm, new))
	must(t, p.SetAside(ctx, oldHelm, old))
	return p
}

// objectsOf reads a server's objects, triggers with their place among those of their table.
func objectsOf(t *testing.T, db *sql.DB, database string) map[name]schema.Object {
	t.Helper()
	s, err := schema.ReadObjects(t.Context(), db, []string{database}, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[name]schema.Object{}
	for _, o := range all(s) {
		found[nameOf(o)] = o
	}
	return found
}

// triggers lists a server's triggers in the order in which they fire.
func triggers(t *testing.T, db *sql.DB, database string) []string {
	t.Helper()
	found, err := schema.Triggers(t.Context(), db, database, func(string, string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range found {
		names = append(names, o.Name)
	}
	return names
}

// same fails the test where two readings of a server differ.
func same(t *testing.T, want, got map[name]schema.Object) {
	t.Helper()
	for n, w := range want {
		if g, ok := got[n]; !ok {
			t.Errorf("%v is missing", n)
		} else if g != w {
			t.Errorf("%v is\n%+v\nnot\n%+v", n, g, w)
		}
	}
	for n := range got {
		if _, ok := want[n]; !ok {
			t.Errorf("%v is there", n)
		}
	}
}

func withoutTriggers(all map[name]schema.Object) map[name]schema.Object {
	out := map[name]schema.Object{}
	for n, o := range all {
		if n.kind != schema.KindTrigger {
			out[n] = o
		}
	}
	return out
}

var inOrder = []string{"before_it", "second", "third", "quotes"}

func TestTheNewWriterFiresWhatTheOldOneFired(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		ctx, helm := t.Context(), conn(t, p.target)
		before := objectsOf(t, p.source, p.database)
		prepared := prepare(t, p.source, p.target, p.options)
		if got := triggers(t, p.target, p.database); len(got) > 0 {
			t.Fatalf("before the hold there are %v", got)
		}
		must(t, prepared.Ahead(ctx, helm, p.target))
		if got := triggers(t, p.target, p.database); len(got) > 0 {
			t.Fatalf("ahead of the hold there are %v", got)
		}
		if want := (Work{Events: 3, Views: 2, Routines: 3, AutoIncrement: 1}); prepared.Done != want {
			t.Errorf("done ahead: %+v", prepared.Done)
		}
		if want := (Work{Triggers: 5}); prepared.Todo != want {
			t.Errorf("left for the hold: %+v", prepared.Todo)
		}
		must(t, prepared.Arm(ctx, helm, p.target, func(string, string) bool { return false }))
		if want := (Work{Triggers: 5}); prepared.Done != want {
			t.Errorf("done in the hold: %+v", prepared.Done)
		}
		got := objectsOf(t, p.target, p.database)
		for n, o := range got {
			if n.kind == schema.KindEvent && o.Enabled() {
				t.Errorf("%v runs before the new writer is open", n)
			}
		}
		must(t, prepared.Enable(ctx, helm, p.target))
		got = objectsOf(t, p.target, p.database)
		if p.src.Flavor == sandbox.MySQL {
			same(t, before, got)
		}
		for n, o := range before {
			if g, ok := got[n]; !ok || n.kind == schema.KindEvent && g.Enabled() != o.Enabled() || g.Definer != o.Definer {
				t.Errorf("%v on the new writer: %+v", n, g)
			}
		}
		// The order in which they fire.
		var names []string
		for _, n := range triggers(t, p.target, p.database) {
			if slices.Contains(inOrder, n) {
				names = append(names, n)
			}
		}
		if !slices.Equal(names, inOrder) {
			t.Errorf("they fire in the order %v", names)
		}
		p.dst.Exec(t, "INSERT INTO "+p.database+".t (id, v) VALUES (100, 'x')")
		var fired string
		if err := p.target.QueryRow("SELECT GROUP_CONCAT(what ORDER BY id) FROM " + p.database + ".log WHERE what <> 'tick'").Scan(&fired); err != nil || fired != "before it,second,third,<x>" {
			t.Errorf("fired: %q %v", fired, err)
		}
	})
}

func TestARollbackBringsEverythingBackAsItWas(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		before, order := objectsOf(t, p.source, p.database), triggers(t, p.source, p.database)
		pass(t, p.source, p.target, p.options)
		if got := triggers(t, p.source, p.database); len(got) > 0 {
			t.Fatalf("the old writer still has %v", got)
		}
		there := objectsOf(t, p.target, p.database)
		for range 2 {
			pass(t, p.target, p.source, p.options)
			same(t, before, objectsOf(t, p.source, p.database))
			if got := triggers(t, p.source, p.database); !slices.Equal(got, order) {
				t.Errorf("they fire in the order %v, not %v", got, order)
			}
			same(t, withoutTriggers(there), objectsOf(t, p.target, p.database))
			pass(t, p.source, p.target, p.options)
			same(t, there, objectsOf(t, p.target, p.database))
			same(t, withoutTriggers(before), objectsOf(t, p.source, p.database))
		}
	})
}

func TestWhatWasDeployedAfterTheCutoverGoesBackToo(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		before := objectsOf(t, p.source, p.database)
		pass(t, p.source, p.target, p.options)
		p.dst.Exec(t, "USE "+p.database,
			"DROP TRIGGER third", "DROP VIEW b_middle", "DROP PROCEDURE in_latin1", "DROP EVENT off",
			"SET sql_mode = 'ANSI_QUOTES'",
			`CREATE DEFINER = "app"@"%" TRIGGER deployed AFTER UPDATE ON t FOR EACH ROW INSERT INTO "log" (what) VALUES ('deployed')`,
			"CREATE DEFINER = 'app'@'%' VIEW deployed_view AS SELECT v COLLATE utf8mb4_0900_ai_ci AS v FROM t",
			"ALTER EVENT tick DISABLE",
			"CREATE DEFINER = 'app'@'%' EVENT deployed_event ON SCHEDULE EVERY 1 YEAR STARTS '2030-01-01 00:00:00' DO SET @x = 1")
		pass(t, p.target, p.source, p.options)
		got := objectsOf(t, p.source, p.database)
		for _, n := range []name{{schema.KindTrigger, p.database, "third"}, {schema.KindView, p.database, "b_middle"}, {schema.KindProcedure, p.database, "in_latin1"}, {schema.KindEvent, p.database, "off"}} {
			if _, there := got[n]; there {
				t.Errorf("%v came back, though it was dropped", n)
			}
			delete(before, n)
		}
		trigger := got[name{schema.KindTrigger, p.database, "deployed"}]
		if trigger.SQLMode != "ANSI_QUOTES" || trigger.Definer != "app@%" || !strings.Contains(trigger.Create, `INSERT INTO "log"`) {
			t.Errorf("the new trigger is %+v", trigger)
		}
		if _, there := got[name{schema.KindView, p.database, "deployed_view"}]; !there {
			t.Error("the new view is not there")
		}
		if e := got[name{schema.KindEvent, p.database, "deployed_event"}]; !e.Enabled() {
			t.Errorf("the new event is %+v", e)
		}
		if e := got[name{schema.KindEvent, p.database, "tick"}]; e.Create == "" || e.Enabled() {
			t.Errorf("an event that was stopped runs again: %+v", e)
		}
		for n, o := range before {
			if g := got[n]; n.name != "tick" && g != o {
				t.Errorf("%v was not changed, and came back as %+v", n, g)
			}
		}
		// And once more over.
		pass(t, p.source, p.target, p.options)
		pass(t, p.target, p.source, p.options)
		same(t, got, objectsOf(t, p.source, p.database))
	})
}

func TestWhatSomebodyMadeOnTheNewWriterStays(t *testing.T) {
	p := newPlace(t, "mysql")
	helm := conn(t, p.target)
	must(t, prepare(t, p.source, p.target, p.options).Ahead(t.Context(), helm, p.target))
	p.src.Exec(t, "USE "+p.database, "DROP VIEW b_middle")
	dropping := prepare(t, p.source, p.target, p.options)
	must(t, dropping.Ahead(t.Context(), helm, p.target))
	if dropping.Done != (Work{Dropped: 1}) {
		t.Errorf("done: %+v", dropping.Done)
	}
	p.dst.Exec(t, "USE "+p.database, "CREATE VIEW b_middle AS SELECT 'somebody'")
	prepared := prepare(t, p.source, p.target, p.options)
	must(t, prepared.Ahead(t.Context(), helm, p.target))
	if _, there := objectsOf(t, p.target, p.database)[name{schema.KindView, p.database, "b_middle"}]; !there {
		t.Error("it was dropped")
	}
	if !slices.ContainsFunc(prepared.Problems, func(q Problem) bool { return q.Code == fault.ObjectsLeft && strings.Contains(q.Detail, "b_middle") }) {
		t.Errorf("nothing is said of it: %+v", prepared.Problems)
	}
}

func TestAheadWritesNothingWhereNothingIsToDo(t *testing.T) {
	p := newPlace(t, "mysql")
	must(t, prepare(t, p.source, p.target, p.options).Ahead(t.Context(), conn(t, p.target), p.target))
	again := prepare(t, p.source, p.target, p.options)
	s := &stopping{Conn: conn(t, p.target), left: 1000}
	must(t, again.Ahead(t.Context(), s, p.target))
	for _, statement := range s.log {
		if changes(statement) {
			t.Errorf("%.80s", statement)
		}
	}
}

// The new writer is fenced until it is open, and the old one from the hold on.
func TestFencesLetItPass(t *testing.T) {
	for _, flavor := range []sandbox.Flavor{sandbox.MySQL, sandbox.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			p := newPlaceOn(t, &sandboxtest.Pair{
				Source: sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Source, Flavor: flavor}, options),
				Target: sandboxtest.Fresh(t, sandbox.Spec{Role: sandbox.Target, Aurora: true}, options)})
			before := objectsOf(t, p.source, p.database)
			p.src.Exec(t, "SET GLOBAL read_only = 1")
			p.dst.Exec(t, "SET GLOBAL read_only = 1")
			pass(t, p.source, p.target, p.options)
			pass(t, p.target, p.source, p.options)
			same(t, before, objectsOf(t, p.source, p.database))
		})
	}
}

func TestDisarmLeavesNothingThatFires(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		ctx, helm := t.Context(), conn(t, p.target)
		before := objectsOf(t, p.source, p.database)
		prepared := prepare(t, p.source, p.target, p.options)
		must(t, prepared.Arm(ctx, helm, p.target, nil))
		must(t, prepared.Disarm(ctx, helm, p.target))
		must(t, Disarm(ctx, helm, p.target, p.options))
		must(t, Enable(ctx, helm, p.target, p.options)) // a mistake of the caller's: nothing is armed
		for n, o := range objectsOf(t, p.target, p.database) {
			if n.kind == schema.KindTrigger || n.kind == schema.KindEvent && o.Enabled() {
				t.Errorf("%v fires", n)
			}
		}
		same(t, before, objectsOf(t, p.source, p.database))
		pass(t, p.source, p.target, p.options)
		pass(t, p.target, p.source, p.options)
		same(t, before, objectsOf(t, p.source, p.database))
	})
}

func TestAnUndoneRollbackLeavesTheOldWriterSilent(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		ctx, helm := t.Context(), conn(t, p.source)
		before := objectsOf(t, p.source, p.database)
		pass(t, p.source, p.target, p.options)
		prepared := prepare(t, p.target, p.source, p.options)
		must(t, prepared.Ahead(ctx, helm, p.source))
		must(t, prepared.Arm(ctx, helm, p.source, nil))
		must(t, prepared.Disarm(ctx, helm, p.source))
		if got := triggers(t, p.source, p.database); len(got) > 0 {
			t.Errorf("there are %v", got)
		}
		pass(t, p.target, p.source, p.options)
		same(t, before, objectsOf(t, p.source, p.database))
	})
}

func TestTriggersComeBackWithoutTheOtherServer(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		before := objectsOf(t, p.source, p.database)
		pass(t, p.source, p.target, p.options)
		must(t, PutBack(t.Context(), conn(t, p.source), p.source, p.options))
		must(t, PutBack(t.Context(), conn(t, p.source), p.source, p.options))
		got := objectsOf(t, p.source, p.database)
		same(t, before, got)
	})
}

func TestObjectsThatChangedSincePrepareEndIt(t *testing.T) {
	changes := map[string]string{
		"a trigger":               "DROP TRIGGER third",
		"a view":                  "CREATE OR REPLACE VIEW b_middle AS SELECT 1",
		"a routine":               "ALTER PROCEDURE in_latin1 COMMENT 'x'",
		"a table":                 "CREATE TABLE later (id int AUTO_INCREMENT PRIMARY KEY)",
		"what an event does":      "ALTER EVENT off DO SET @x = 2",
		"when an event is to run": "ALTER EVENT off ON SCHEDULE EVERY 2 DAY",
	}
	flavors(t, func(t *testing.T, p *place) {
		ctx, helm := t.Context(), conn(t, p.target)
		for what, change := range changes {
			prepared := prepare(t, p.source, p.target, p.options)
			if what == "a routine" { // a routine's time is kept in seconds
				p.src.Exec(t, "USE "+p.database, "DROP PROCEDURE in_latin1", "CREATE PROCEDURE in_latin1() SET @x = 3")
			} else {
				p.src.Exec(t, "USE "+p.database, change)
			}
			if err := prepared.Arm(ctx, helm, p.target, nil); !fault.Is(err, fault.ObjectsChanged) {
				t.Errorf("%s changed: %v", what, err)
			}
			must(t, prepared.Disarm(ctx, helm, p.target))
		}
		prepared := prepare(t, p.source, p.target, p.options)
		p.src.Exec(t, "USE "+p.database, "ALTER EVENT tick DISABLE") // as a fence does
		must(t, prepared.Arm(ctx, helm, p.target, nil))
		must(t, prepared.Enable(ctx, helm, p.target))
		if e := objectsOf(t, p.target, p.database)[name{schema.KindEvent, p.database, "tick"}]; !e.Enabled() {
			t.Errorf("an event that the fence stopped doesn't run on the new writer: %+v", e)
		}
	})
}

func TestTheEndOfAFenceStartsNoEventThatIsNotToRun(t *testing.T) {
	p := newPlace(t, "mysql")
	ctx, helm := t.Context(), conn(t, p.source)
	pass(t, p.source, p.target, p.options)
	alter := func(db *sql.DB, event, state string) {
		t.Helper()
		_, err := db.ExecContext(ctx, "ALTER DEFINER = 'app'@'%' EVENT "+p.database+"."+event+" "+state)
		must(t, err)
	}
	alter(p.target, "tick", "DISABLE")
	prepared := prepare(t, p.target, p.source, p.options)
	must(t, prepared.Arm(ctx, helm, p.source, nil))
	alter(p.source, "tick", "ENABLE") // as the fence found them
	alter(p.source, "quoted", "ENABLE")
	must(t, prepared.Enable(ctx, helm, p.source))
	for event, runs := range map[string]bool{"tick": false, "quoted": true, "off": false} {
		if e := objectsOf(t, p.source, p.database)[name{schema.KindEvent, p.database, event}]; e.Enabled() != runs {
			t.Errorf("%s: %s", event, e.Create)
		}
	}
}

func TestAnEventThatCannotBeSetIsSaidOnce(t *testing.T) {
	p := newPlace(t, "mysql")
	ctx, helm := t.Context(), conn(t, p.target)
	prepared := prepare(t, p.source, p.target, p.options)
	must(t, prepared.Arm(ctx, helm, p.target, nil))
	p.dst.Exec(t, "USE "+p.database, "ALTER EVENT quoted DISABLE") // root is its definer now
	if err := prepared.Enable(ctx, helm, p.target); !fault.Is(err, fault.ObjectsEvent) || !strings.Contains(err.Error(), "quoted") {
		t.Errorf("enabled: %v", err)
	}
	if e := objectsOf(t, p.target, p.database)[name{schema.KindEvent, p.database, "tick"}]; !e.Enabled() {
		t.Errorf("the other event doesn't run: %s", e.Create)
	}
	must(t, prepared.Enable(ctx, helm, p.target))
}

func TestTheWritersTriggersAreNotTakenByMistake(t *testing.T) {
	p := newPlace(t, "mysql")
	pass(t, p.source, p.target, p.options)
	must(t, Disarm(t.Context(), conn(t, p.target), p.target, p.options))
	if got := triggers(t, p.target, p.database); len(got) != 5 {
		t.Errorf("the writer has %v", got)
	}
}

func TestAnEventThatWasStoppedSinceIsNotStartedAgain(t *testing.T) {
	p := newPlace(t, "mysql")
	pass(t, p.source, p.target, p.options)
	p.dst.Exec(t, "USE "+p.database, "ALTER EVENT tick DISABLE")
	must(t, Enable(t.Context(), conn(t, p.target), p.target, p.options))
	if e := objectsOf(t, p.target, p.database)[name{schema.KindEvent, p.database, "tick"}]; e.Enabled() {
		t.Error("a coordinator that came late has started it")
	}
}

func TestOnlyTriggersOfTablesInScopeAreTouched(t *testing.T) {
	p := newPlace(t, "mysql")
	p.src.Exec(t, "USE "+p.database, "CREATE TABLE other (id int PRIMARY KEY)", "CREATE TRIGGER others AFTER INSERT ON other FOR EACH ROW SET @x = 1")
	p.options.InScope = func(_, table string) bool { return table != "other" }
	pass(t, p.source, p.target, p.options)
	if got := triggers(t, p.source, p.database); !slices.Equal(got, []string{"others"}) {
		t.Errorf("the old writer has %v", got)
	}
	if got := triggers(t, p.target, p.database); len(got) != 5 {
		t.Errorf("the new writer has %v", got)
	}
}

func TestTheSessionIsAsItWas(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		for _, side := range []struct{ old, new *sql.DB }{{p.source, p.target}, {p.target, p.source}} {
			helm := conn(t, side.new)
			if _, err := helm.ExecContext(t.Context(), "SET SESSION sql_mode = 'ANSI_QUOTES', time_zone = '+03:00', foreign_key_checks = 1"); err != nil {
				t.Fatal(err)
			}
			before := sessionOf(t, helm)
			prepared := prepare(t, side.old, side.new, p.options)
			must(t, prepared.Ahead(t.Context(), helm, side.new))
			must(t, prepared.Arm(t.Context(), helm, side.new, nil))
			must(t, prepared.Disarm(t.Context(), helm, side.new))
			after := sessionOf(t, helm)
			for variable, was := range before {
				if after[variable] != was {
					t.Errorf("the session's %s is %q, and was %q", variable, after[variable], was)
				}
			}
		}
	})
}

// sessionOf reads what the session may have changed.
func sessionOf(t *testing.T, c *sql.Conn) map[string]string {
	t.Helper()
	rows, err := c.QueryContext(t.Context(), "SHOW SESSION VARIABLES WHERE Variable_name NOT LIKE '%gtid%' AND Variable_name NOT LIKE '%\\_database'"+
		" AND Variable_name NOT IN ('timestamp', 'rand_seed1', 'rand_seed2', 'warning_count', 'error_count', 'statement_id', 'last_insert_id', 'identity', 'insert_id')")
	must(t, err)
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var k, v string
		must(t, rows.Scan(&k, &v))
		all[k] = v
	}
	must(t, rows.Err())
	return all
}

func TestWhatTheNewWriterRefusesIsSaidAtOnceTheNextTime(t *testing.T) {
	p := newPlace(t, "mariadb")
	ctx, helm := t.Context(), conn(t, p.target)
	p.src.Exec(t, "USE "+p.database, "CREATE TRIGGER maria AFTER DELETE ON t FOR EACH ROW BEGIN FOR i IN 1..2 DO SET @x = i; END FOR; END")
	prepared := prepare(t, p.source, p.target, p.options)
	err := prepared.Arm(ctx, helm, p.target, nil)
	if !fault.Is(err, fault.SchemaObject) || !strings.Contains(err.Error(), "maria") {
		t.Fatalf("armed: %v", err)
	}
	must(t, prepared.Disarm(ctx, helm, p.target))
	again, err := Prepare(ctx, p.source, p.target, p.options)
	must(t, err)
	if !slices.ContainsFunc(again.Problems, func(q Problem) bool { return q.Blocks && q.Code == fault.SchemaObject }) {
		t.Errorf("nothing blocks: %+v", again.Problems)
	}
	p.src.Exec(t, "USE "+p.database, "DROP TRIGGER maria")
	pass(t, p.source, p.target, p.options)
}

func TestWhatIsMendedIsNotHeldAgainstIt(t *testing.T) {
	p := newPlace(t, "mysql")
	ctx, helm := t.Context(), conn(t, p.target)
	p.src.Exec(t, "USE "+p.database, "CREATE DEFINER = 'app'@'%' VIEW on_missing AS SELECT d FROM plain_one")
	p.dst.Exec(t, "USE "+p.database, "ALTER TABLE plain_one RENAME TO elsewhere")
	prepared := prepare(t, p.source, p.target, p.options)
	if err := prepared.Ahead(ctx, helm, p.target); !fault.Is(err, fault.SchemaObject) || !strings.Contains(err.Error(), "on_missing") {
		t.Errorf("made ahead: %v", err)
	}
	if want := (Work{Triggers: 5, Views: 1}); prepared.Todo != want { // the others are there, and known
		t.Errorf("left: %+v", prepared.Todo)
	}
	if got := objectsOf(t, p.target, p.database); len(got) != 8 {
		t.Errorf("made ahead: %v", got)
	}
	if !slices.ContainsFunc(prepared.Problems, func(q Problem) bool { return q.Blocks && strings.Contains(q.Detail, "on_missing") }) {
		t.Errorf("nothing blocks: %+v", prepared.Problems)
	}
	p.dst.Exec(t, "USE "+p.database, "ALTER TABLE elsewhere RENAME TO plain_one")
	pass(t, p.source, p.target, p.options)
}

func TestProblemsAreFoundBeforeTheHold(t *testing.T) {
	p := newPlace(t, "mysql")
	distrust := sandboxtest.Target(t, sandboxtest.Options("--log-bin-trust-function-creators=0", "--event-scheduler=OFF"))
	distrust.Exec(t, "CREATE DATABASE "+p.database)
	t.Cleanup(func() { distrust.Exec(t, "DROP DATABASE "+p.database) })
	p.src.Exec(t, "USE "+p.database, "CREATE TRIGGER of_root AFTER DELETE ON t FOR EACH ROW SET @x = 1")
	p.options.Definers = schema.DefinersStop
	prepared, err := Prepare(t.Context(), p.source, distrust.DB(t, sandbox.Admin), p.options)
	must(t, err)
	for _, want := range []Problem{
		{fault.TrustFunctions, "log_bin_trust_function_creators", true},
		{fault.SchemaDefiner, "root@127.0.0.1", true},
		{fault.ObjectsDefiner, "a rollback could not put", false},
		{fault.ObjectsScheduler, "2 events", false},
	} {
		if !slices.ContainsFunc(prepared.Problems, func(q Problem) bool {
			return q.Code == want.Code && q.Blocks == want.Blocks && strings.Contains(q.Detail, want.Detail)
		}) {
			t.Errorf("%v is not among %+v", want, prepared.Problems)
		}
	}
}

func TestNothingIsDoneWithoutDatabases(t *testing.T) {
	prepared, err := Prepare(context.Background(), nil, nil, Options{})
	must(t, err)
	must(t, prepared.Ahead(t.Context(), nil, nil))
	must(t, prepared.Arm(t.Context(), nil, nil, nil))
	must(t, prepared.Enable(t.Context(), nil, nil))
	must(t, prepared.Disarm(t.Context(), nil, nil))
	must(t, prepared.SetAside(t.Context(), nil, nil))
}
