package objects

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"changeover/cdc/schema"
	"changeover/internal/sandbox"
)

var errStopped = errors.New("the coordinator is dead")

// stopping is a session whose owner dies after so many statements: nothing of his comes after them.
// What he heard of the last one makes no difference to those who follow him.
type stopping struct {
	*sql.Conn
	left int
	dead bool
	log  []string
}

func (s *stopping) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s.dead {
		return nil, errStopped
	}
	if s.left--; s.left < 0 {
		s.dead = true
		return nil, errStopped
	}
	s.log = append(s.log, query)
	return s.Conn.ExecContext(ctx, query, args...)
}

// act is something that may be stopped.
type act struct {
	name string
	do   func(ctx context.Context, s Session) error
}

// on is the server that the act changes.
func (a act) on(old, new world) world {
	if a.name == "set aside" || a.name == "put back" {
		return old
	}
	return new
}

// After the k-th statement of each act, for every k, another begins with what the servers say.
func TestWhoeverDiesAnywhereIsFollowedByAnother(t *testing.T) {
	flavors(t, func(t *testing.T, p *place) {
		// A trigger, a routine and an event that need another collation of their database for a moment.
		p.src.Exec(t, "USE "+p.database, "ALTER DATABASE "+p.database+" COLLATE utf8mb4_unicode_ci",
			"CREATE DEFINER = 'app'@'%' PROCEDURE of_another_time(x varchar(9)) SET @x = x",
			"CREATE DEFINER = 'app'@'%' TRIGGER of_another_time AFTER DELETE ON t FOR EACH ROW SET @x = OLD.v",
			"ALTER DATABASE "+p.database+" COLLATE utf8mb4_general_ci")
		source := world{p.source, objectsOf(t, p.source, p.database)}
		pass(t, p.source, p.target, p.options)
		target := world{p.target, objectsOf(t, p.target, p.database)}
		pass(t, p.target, p.source, p.options)
		checkWriter(t, p, source)
		checkSilent(t, p, target)

		for _, way := range []struct{ old, new world }{{source, target}, {target, source}} {
			for _, a := range actsOf(p, way.old.db, way.new.db) {
				// Between two MySQLs the way back is the way there, and what a MySQL does is seen then.
				mysqls := p.src.Flavor == sandbox.MySQL
				if mysqls && way.old.db == p.source || !mysqls && a.on(way.old, way.new).db == p.source {
					stopEverywhere(t, p, way.old, way.new, a)
				}
			}
			pass(t, way.old.db, way.new.db, p.options)
			checkWriter(t, p, way.new)
			checkSilent(t, p, way.old)
		}
	})
}

// world is a server and what it has as the writer.
type world struct {
	db   *sql.DB
	have map[name]schema.Object
}

// actsOf are the acts of an attempt, in their order. Each leaves a world in which the next is right.
func actsOf(p *place, old, new *sql.DB) []act {
	return []act{
		{"ahead", func(ctx context.Context, s Session) error {
			prepared, err := Prepare(ctx, old, new, p.options)
			if err != nil {
				return err
			}
			return prepared.Ahead(ctx, s, new)
		}},
		{"arm", func(ctx context.Context, s Session) error {
			prepared, err := Prepare(ctx, old, new, p.options)
			if err != nil {
				return err
			}
			return prepared.Arm(ctx, s, new, nil)
		}},
		{"disarm", func(ctx context.Context, s Session) error { return Disarm(ctx, s, new, p.options) }},
		{"enable", func(ctx context.Context, s Session) error { return Enable(ctx, s, new, p.options) }},
		{"set aside", func(ctx context.Context, s Session) error { return SetAside(ctx, s, old, p.options) }},
		{"put back", func(ctx context.Context, s Session) error { return PutBack(ctx, s, old, p.options) }},
	}
}

// begin makes the world in which an act begins: old is the writer, and new is what the acts before
// have made of it.
func begin(t *testing.T, p *place, old, new *sql.DB, a act) {
	t.Helper()
	ctx, helm, oldHelm := t.Context(), conn(t, new), conn(t, old)
	defer helm.Close()
	defer oldHelm.Close()
	switch a.name {
	case "ahead", "arm":
		// What an arming has to do anew each time.
		server := p.dst
		if new == p.source {
			server = p.src
		}
		server.Exec(t, "USE "+p.database, "DROP VIEW IF EXISTS b_middle", "DROP PROCEDURE IF EXISTS of_another_time", "DROP EVENT IF EXISTS quoted", "ALTER TABLE gap AUTO_INCREMENT = 1")
	case "disarm", "enable":
		must(t, prepare(t, old, new, p.options).Arm(ctx, helm, new, nil))
	case "set aside":
		must(t, prepare(t, old, new, p.options).Arm(ctx, helm, new, nil))
		must(t, Enable(ctx, helm, new, p.options))
	case "put back":
		must(t, prepare(t, old, new, p.options).Arm(ctx, helm, new, nil))
		must(t, SetAside(ctx, oldHelm, old, p.options))
	}
}

// end looks at what the act has made, and makes old the writer again.
func end(t *testing.T, p *place, old, new world, a act) {
	t.Helper()
	ctx, helm, oldHelm := t.Context(), conn(t, new.db), conn(t, old.db)
	defer helm.Close()
	defer oldHelm.Close()
	switch a.name {
	case "ahead", "disarm":
		checkWriter(t, p, old)
		checkSilent(t, p, new)
	case "arm":
		checkWriter(t, p, old)
		checkArmed(t, p, new)
		must(t, Disarm(ctx, helm, new.db, p.options))
	case "enable":
		checkWriter(t, p, old)
		checkWriter(t, p, new)
		must(t, SetAside(ctx, helm, new.db, p.options))
	case "set aside":
		checkWriter(t, p, new)
		checkSilent(t, p, old)
		must(t, PutBack(ctx, oldHelm, old.db, p.options)) // what it kept itself is whole
		checkWriter(t, p, old)
		must(t, SetAside(ctx, helm, new.db, p.options))
	case "put back":
		checkWriter(t, p, old)
		must(t, Disarm(ctx, helm, new.db, p.options))
	}
	checkSilent(t, p, new)
}

// stopEverywhere stops the act after each statement that changes the server: one about the session
// makes no difference.
func stopEverywhere(t *testing.T, p *place, old, new world, a act) {
	t.Helper()
	on := a.on(old, new).db
	try := func(k int) *stopping {
		begin(t, p, old.db, new.db, a)
		c := conn(t, on)
		s := &stopping{Conn: c, left: k}
		err := a.do(t.Context(), s)
		_ = c.Close()
		if s.dead != (err != nil) || err != nil && !errors.Is(err, errStopped) {
			t.Fatalf("%s, to be stopped after %d statements: %v", a.name, k, err)
		}
		return s
	}
	whole := try(1000).log
	end(t, p, old, new, a)
	stops := 0
	for k := range whole {
		if k > 0 && !changes(whole[k-1]) {
			continue
		}
		stops++
		try(k)
		again := conn(t, on)
		if err := a.do(t.Context(), again); err != nil {
			t.Fatalf("%s again, after %d statements: %v", a.name, k, err)
		}
		_ = again.Close()
		end(t, p, old, new, a)
		if t.Failed() {
			t.Fatalf("%s was stopped after %d of %d statements: %.100s", a.name, k, len(whole), whole[max(0, k-1)])
		}
	}
	t.Logf("%s: %d statements, stopped at %d places", a.name, len(whole), stops)
}

// changes tells whether a statement changes the server, and not only the session.
func changes(statement string) bool {
	return !strings.HasPrefix(statement, "SET ") && !strings.HasPrefix(statement, "USE ")
}

// checkWriter: the server has all that it has as the writer.
func checkWriter(t *testing.T, p *place, w world) {
	t.Helper()
	same(t, w.have, objectsOf(t, w.db, p.database))
	checkCollation(t, p, w)
}

// checkArmed: the same, and no event runs.
func checkArmed(t *testing.T, p *place, w world) {
	t.Helper()
	want := map[name]schema.Object{}
	for n, o := range w.have {
		want[n] = plain(o)
	}
	same(t, want, objectsOf(t, w.db, p.database))
	checkCollation(t, p, w)
}

// checkSilent: no trigger is there.
func checkSilent(t *testing.T, p *place, w world) {
	t.Helper()
	if got := triggers(t, w.db, p.database); len(got) > 0 {
		t.Errorf("there are %v", got)
	}
	checkCollation(t, p, w)
}

func checkCollation(t *testing.T, p *place, w world) {
	t.Helper()
	var collation string
	must(t, w.db.QueryRow("SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", p.database).Scan(&collation))
	if collation != "utf8mb4_general_ci" {
		t.Errorf("the database has the collation %s", collation)
	}
}

// The triggers of a server that was the writer, and was never told that it is one no more, are undone
// too: that an arming began is written down before the first of them.
func TestAnArmingThatDiedIsUndoneWhateverWasBefore(t *testing.T) {
	p := newPlace(t, "mysql")
	ctx, helm := t.Context(), conn(t, p.target)
	must(t, prepare(t, p.source, p.target, p.options).Arm(ctx, helm, p.target, nil))
	must(t, Enable(ctx, helm, p.target, p.options))
	again := prepare(t, p.source, p.target, p.options)
	died := &stopping{Conn: conn(t, p.target), left: 20}
	if err := again.Arm(ctx, died, p.target, nil); !errors.Is(err, errStopped) {
		t.Fatalf("armed: %v", err)
	}
	if got := triggers(t, p.target, p.database); len(got) == 0 || len(got) == 5 {
		t.Fatalf("it died when there were %v", got)
	}
	must(t, Disarm(ctx, helm, p.target, p.options))
	if got := triggers(t, p.target, p.database); len(got) > 0 {
		t.Errorf("there are %v", got)
	}
}

// Each statement that changes something is known by its mark, except those about the session and
// about the row.
func TestEachStatementIsMarked(t *testing.T) {
	p := newPlace(t, "mysql")
	s := &stopping{Conn: conn(t, p.dst.DB(t, sandbox.Admin)), left: 1000}
	for _, a := range actsOf(p, p.source, p.target)[:4] {
		must(t, a.do(t.Context(), s))
	}
	if len(s.log) < 40 {
		t.Fatalf("only %d statements", len(s.log))
	}
	for _, statement := range s.log {
		if changes(statement) && !strings.HasPrefix(statement, "/* changeover ") && !strings.HasPrefix(statement, "REPLACE INTO `_changeover`.") {
			t.Errorf("not marked: %.60s", statement)
		}
	}
}
