package cutover

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	cdcplan "changeover/cdc/plan"
	"changeover/cutover/fence"
	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

// Accounts that have what `changeover plan --grants` prints, and nothing else, bring a migration about and
// pass the role, forth and back; and of each of these privileges plan says that it is missing once it is.
func TestTheGrantsThatPlanPrintsAreEnough(t *testing.T) {
	for _, flavor := range []sandbox.Flavor{sandbox.MySQL, sandbox.MariaDB} {
		for _, kind := range []config.Fence{config.FenceAuto, config.FenceAccounts} {
			t.Run(string(flavor)+" "+string(kind), func(t *testing.T) {
				t.Parallel()
				s := newSchool(t, flavor)
				s.moreObjects()
				l := s.leastAccounts(kind)
				l.grant()
				l.complete()
				s.passesRoleBothWays(l)
				for _, g := range l.granted(l.prints) {
					l.missing(g)
				}
			})
		}
	}
}

// moreObjects are those of each kind, of the application's account and of one that is on no server.
func (s *school) moreObjects() {
	s.src.Exec(s.t, "USE "+s.name, "CREATE TABLE marks (student INT, mark INT)", "INSERT INTO marks VALUES (1, 2), (1, 2)",
		"CREATE DEFINER = app@`%` FUNCTION grade(n BIGINT) RETURNS BIGINT DETERMINISTIC NO SQL RETURN n DIV 10",
		"CREATE DEFINER = app@`%` VIEW grades AS SELECT student, grade(runs) AS grade FROM totals",
		"CREATE DEFINER = app@`%` PROCEDURE forget(n INT) DELETE FROM notes WHERE id = n",
		"CREATE DEFINER = gone@`%` PROCEDURE old(n INT) DELETE FROM notes WHERE id = n",
		"CREATE DEFINER = gone@`%` TRIGGER noted BEFORE INSERT ON notes FOR EACH ROW SET NEW.text = TRIM(NEW.text)",
		"CREATE DEFINER = app@`%` EVENT tidy ON SCHEDULE EVERY 1 SECOND DO CALL forget(0)",
		"CREATE TABLE lessons (id INT PRIMARY KEY, name VARCHAR(20), KEY (name)) ENGINE=InnoDB",
		"CREATE TABLE seats (id INT PRIMARY KEY, lesson INT, FOREIGN KEY (lesson) REFERENCES lessons (id)) ENGINE=InnoDB")
}

// least is a school's accounts that may do nothing but what was printed.
type least struct {
	s      *school
	cfg    config.Config
	sides  map[cdcplan.Side]*sandboxtest.Server
	ends   map[cdcplan.Side]server.Endpoint
	prints []cdcplan.Need
}

// leastAccounts makes accounts that may do nothing yet.
func (s *school) leastAccounts(kind config.Fence) *least {
	s.t.Helper()
	l := &least{s: s, cfg: config.Defaults(), sides: map[cdcplan.Side]*sandboxtest.Server{cdcplan.Source: s.src, cdcplan.Target: s.dst}, ends: map[cdcplan.Side]server.Endpoint{}}
	l.cfg.Migration, l.cfg.Databases, l.cfg.Cutover.Fence = s.name, []string{s.name}, kind
	for side, on := range l.sides {
		e := server.Endpoint{Host: on.Host, Port: on.Port, User: "least_" + string(side), Password: "Least-1-pass"}
		on.Exec(s.t, "CREATE USER '"+e.User+"'@'%' IDENTIFIED BY '"+e.Password+"'")
		l.ends[side] = e
	}
	l.cfg.Source, l.cfg.Target = l.configured(cdcplan.Source), l.configured(cdcplan.Target)
	return l
}

func (l *least) configured(side cdcplan.Side) config.Server {
	l.s.t.Helper()
	e, file := l.ends[side], filepath.Join(l.s.t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte(e.Password), 0o600); err != nil {
		l.s.t.Fatal(err)
	}
	return config.Server{Host: e.Host, Port: e.Port, User: e.User, PasswordFile: file}
}

// grant does what is printed for accounts that may do nothing yet, and then what is printed for those that see
// more of the servers by it: a procedure that fences is shown to who may read routines.
func (l *least) grant() {
	l.s.t.Helper()
	for range 2 {
		had := l.granted(l.prints)
		l.prints = l.print()
		now := l.granted(l.prints)
		for _, p := range had {
			if !slices.Contains(now, p) {
				l.revoke(p)
			}
		}
		for _, p := range now {
			if !slices.Contains(had, p) {
				l.give(p)
			}
		}
	}
}

func (l *least) give(p privilege) {
	l.s.t.Helper()
	l.sides[p.side].Exec(l.s.t, "GRANT "+p.name+" ON "+p.place+" TO "+p.account)
}

func (l *least) revoke(p privilege) {
	l.s.t.Helper()
	l.sides[p.side].Exec(l.s.t, "REVOKE "+p.name+" ON "+p.place+" FROM "+p.account)
}

func (l *least) print() []cdcplan.Need {
	l.s.t.Helper()
	prints, err := cdcplan.LeastGrants(l.s.t.Context(), &l.cfg)
	if err != nil {
		l.s.t.Fatal(err)
	}
	return prints
}

// complete fails if plan misses a privilege that it has not printed.
func (l *least) complete() {
	l.s.t.Helper()
	for _, f := range l.report().Findings {
		if strings.Contains(f.Detail, " lacks ") || f.Code == fault.PlanUnknown {
			l.s.t.Errorf("%s %s: %s", f.Code, f.Severity, f.Detail)
		}
	}
	for _, p := range l.granted(l.print()) {
		if !slices.Contains(l.granted(l.prints), p) {
			l.s.t.Errorf("%s is printed only now", p)
		}
	}
}

func (l *least) report() *cdcplan.Report {
	l.s.t.Helper()
	r, err := cdcplan.Run(l.s.t.Context(), &l.cfg)
	if err != nil {
		l.s.t.Fatal(err)
	}
	return r
}

// options are those of the school, with these accounts.
func (l *least) options(o *Options) {
	o.Fence = l.cfg.Cutover.Fence
	o.Stream.Source, o.Stream.Target = l.ends[cdcplan.Source], l.ends[cdcplan.Target]
}

func (s *school) passesRoleBothWays(l *least) {
	s.t.Helper()
	c := s.open(l.options)
	c.ready()
	g := s.application(c, "one")
	leave := s.students(g, 4, 5*time.Millisecond)
	c.passes(Rehearse)
	on := func(writer *sandboxtest.Server, statements ...string) {
		s.t.Helper()
		db := writer.DBIn(s.t, sandbox.App, s.name)
		for _, q := range statements {
			if _, err := db.Exec(q); err != nil {
				s.t.Errorf("on the %s: %s: %v", writer.Role, q, err)
			}
		}
	}
	c.passes(Cutover)
	on(s.dst, "SELECT COUNT(*) FROM grades", "CALL forget(7)", "CREATE FUNCTION half(n INT) RETURNS INT DETERMINISTIC NO SQL RETURN n DIV 2",
		"CREATE VIEW halves AS SELECT student, half(runs) AS half FROM totals", "CREATE TABLE made (id INT PRIMARY KEY, lesson INT, KEY (lesson), FOREIGN KEY (lesson) REFERENCES lessons (id))",
		"INSERT INTO made VALUES (1, NULL)", "ALTER TABLE notes ADD COLUMN more INT, ADD KEY (more)", "CREATE INDEX by_text ON notes (text)", "DROP PROCEDURE forget")
	c.ready()
	c.passes(Rollback)
	c.ready()
	on(s.src, "SELECT COUNT(*) FROM grades, halves", "SELECT more FROM notes", "DELETE FROM made")
	leave()
	s.audit(s.src)
	s.equal()
	c.close()
}

// passes makes an attempt that passes. One that the machine was too slow for is made again.
func (c *office) passes(kind Kind) {
	c.s.t.Helper()
	c.s.within(2*time.Minute, string(kind)+" passes", func() error {
		r, err := c.Attempt(c.s.t.Context(), Request{Kind: kind, Wait: 20 * time.Second})
		if err == nil && r.Outcome != map[Kind]Outcome{Rehearse: Rehearsed, Cutover: Committed, Rollback: Committed}[kind] {
			err = fmt.Errorf("it is %s: %v", r.Outcome, r.Reasons)
		}
		if err != nil {
			return err
		}
		for _, n := range r.Notes {
			for _, less := range []string{"accounts are locked", "can't be", "rollback", "not on disk", "no dead-man's event"} {
				if strings.Contains(n, less) {
					c.s.t.Errorf("%s: %s", kind, n)
				}
			}
		}
		return nil
	})
}

// privilege is one that was granted.
type privilege struct {
	side        cdcplan.Side
	name, place string
	account     string
}

func (p privilege) String() string { return fmt.Sprintf("%s ON %s of the %s", p.name, p.place, p.side) }

var grantStatement = regexp.MustCompile("^GRANT (.+) ON (.+) TO (.+);$")

// granted lists the privileges that were printed, each once.
func (l *least) granted(prints []cdcplan.Need) (all []privilege) {
	l.s.t.Helper()
	for _, n := range prints {
		for _, text := range n.Statements {
			m := grantStatement.FindStringSubmatch(text)
			if m == nil {
				l.s.t.Fatalf("%q is no GRANT", text)
			}
			for name := range strings.SplitSeq(m[1], ", ") {
				if p := (privilege{n.Side, name, m[2], m[3]}); !slices.Contains(all, p) {
					all = append(all, p)
				}
			}
		}
	}
	return all
}

// missing takes one privilege away, looks whether plan says so, and gives it back.
func (l *least) missing(p privilege) {
	l.s.t.Helper()
	away := []privilege{p}
	if database, _, table := strings.Cut(p.place, "`.`"); table { // it may be held on the whole database too
		if wide := (privilege{p.side, p.name, database + "`.*", p.account}); slices.Contains(l.granted(l.prints), wide) {
			away = append(away, wide)
		}
	}
	for _, a := range away {
		l.revoke(a)
	}
	report := l.report()
	for _, a := range away {
		l.give(a)
	}
	says := regexp.MustCompile(` lacks ([A-Z_ ]+, )*` + p.name + `(, [A-Z_ ]+)*( on \S+)?: .+`)
	if !slices.ContainsFunc(report.Findings, func(f cdcplan.Finding) bool {
		return f.Side == p.side && says.MatchString(f.Detail) && strings.Contains(f.WayOn(), p.name) && strings.Contains(f.WayOn(), p.place)
	}) {
		l.s.t.Errorf("plan does not say that %s is missing: %+v", p, report.Findings)
	}
}

// A server with other databases is not the migration's alone, also for an account that does not see into them.
func TestAServerIsSharedAlsoByWhatTheAccountDoesNotSee(t *testing.T) {
	t.Parallel()
	for _, flavor := range []sandbox.Flavor{sandbox.MySQL, sandbox.MariaDB} {
		s := newSchool(t, flavor)
		l := s.leastAccounts(config.FenceAuto)
		l.grant()
		kind := func() fence.Kind {
			t.Helper()
			db, err := server.Open(l.ends[cdcplan.Source], server.Session{Connections: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			p, err := fence.Survey(t.Context(), conn, fence.Options{Migration: s.name, Databases: []string{s.name}, Operators: operators})
			if err != nil {
				t.Fatal(err)
			}
			return p.Kind
		}
		if k := kind(); k != fence.ReadOnly {
			t.Errorf("%s: a server of its own is fenced by %s", flavor, k)
		}
		s.src.Exec(t, "CREATE DATABASE shop", "CREATE TABLE shop.cart (id INT PRIMARY KEY)")
		if k := kind(); k != fence.Accounts {
			t.Errorf("%s: a shared server is fenced by %s", flavor, k)
		}
	}
}
