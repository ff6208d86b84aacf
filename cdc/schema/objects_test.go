package schema

import (
	"database/sql"
	"slices"
	"strings"
	"testing"

	"changeover/internal/fault"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// objectsOf reads the database again, so that two sides can be compared.
func objectsOf(t *testing.T, db *sql.DB, database string) map[string]Object {
	t.Helper()
	s, err := Read(t.Context(), db, []string{database}, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Object{}
	for _, o := range s.objects() {
		all[string(o.Kind)+" "+o.Name] = o
	}
	return all
}

// makeObjects makes tables and objects in the order of a migration.
func makeObjects(t *testing.T, target *sql.DB, s *Schema, o ObjectOptions) []Done {
	t.Helper()
	ctx := t.Context()
	all, err := CreateTables(ctx, target, s)
	if err != nil {
		t.Fatal(err)
	}
	events := func() ([]Done, error) { return CreateEvents(ctx, target, s, o, EventsDisabled) }
	for _, step := range []func() ([]Done, error){
		func() ([]Done, error) { return CreateRoutines(ctx, target, s, o) },
		func() ([]Done, error) { return CreateViews(ctx, target, s, o) },
		func() ([]Done, error) { return CreateTriggers(ctx, target, s, o) }, events,
	} {
		done, err := step()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, done...)
	}
	return all
}

// trust lets accounts without SUPER make functions and triggers, as a migration's plan asks for.
func trust(t *testing.T, s *sandboxtest.Server) {
	s.Exec(t, "SET GLOBAL log_bin_trust_function_creators = 1")
	t.Cleanup(func() { s.Exec(t, "SET GLOBAL log_bin_trust_function_creators = 0") })
}

func TestObjectsAreTheSameOnTheTarget(t *testing.T) {
	pair := sandboxtest.NewPair(t)
	trust(t, pair.Target)
	pair.Target.Exec(t, "SET GLOBAL event_scheduler = ON")
	name := pair.Database(t)
	script(t, pair.Source, name, "objects.sql")
	src, admin := pair.Source.DB(t, sandbox.Root), pair.Target.DB(t, sandbox.Admin)
	s, at := copied(t, src, admin, name)
	if !at.SetDefiner || !at.MissingDefiner || at.Account != "admin@%" || !at.Accounts["app@%"] {
		t.Fatalf("the target: %+v", at)
	}
	makeObjects(t, admin, s, ObjectOptions{Target: at})
	makeObjects(t, admin, s, ObjectOptions{Target: at}) // again, as after a crash
	want, got := objectsOf(t, src, name), objectsOf(t, admin, name)
	event := want["EVENT tick"]
	event.Create = strings.Replace(event.Create, " ENABLE COMMENT", " DISABLE COMMENT", 1)
	want["EVENT tick"] = event
	if len(want) != 10 || len(got) != len(want) {
		t.Fatalf("%d objects on the source, %d on the target", len(want), len(got))
	}
	for what, w := range want {
		// root has SYSTEM_USER on the target too, so nobody else may name it.
		w.Definer = strings.Replace(w.Definer, "root@127.0.0.1", "admin@%", 1)
		w.Create = strings.NewReplacer("`root`@`127.0.0.1`", "`admin`@`%`", `"root"@"127.0.0.1"`, `"admin"@"%"`).Replace(w.Create)
		if got[what] != w {
			t.Errorf("%s is\n%+v\nnot\n%+v", what, got[what], w)
		}
	}
}

func TestDefinersFollowThePolicy(t *testing.T) {
	able := &Target{Account: "admin@%", Accounts: map[string]bool{"app@%": true, "admin@%": true}, SetDefiner: true, MissingDefiner: true}
	missing := *able
	missing.MissingDefiner = false
	system := *able
	system.Untouchable = map[string]bool{"app@%": true}
	unable := missing
	unable.SetDefiner = false
	s := &Schema{Databases: []Database{{Name: "d", Views: []Object{
		{Kind: KindView, Schema: "d", Name: "v", Definer: "app@%"}, {Kind: KindView, Schema: "d", Name: "w", Definer: "gone@h@st"}, {Kind: KindView, Schema: "d", Name: "x", Definer: "admin@%"},
	}}}}
	cases := []struct {
		name   string
		target *Target
		policy DefinerPolicy
		use    []string // of admin, app, gone
		ok     bool
	}{
		{"auto keeps what it can name", able, DefinersAuto, []string{"admin@%", "app@%", "gone@h@st"}, true},
		{"auto replaces a missing one that it may not name", &missing, DefinersAuto, []string{"admin@%", "app@%", "admin@%"}, true},
		{"auto replaces all that it may not name", &unable, DefinersAuto, []string{"admin@%", "admin@%", "admin@%"}, true},
		{"auto replaces one with SYSTEM_USER", &system, DefinersAuto, []string{"admin@%", "admin@%", "gone@h@st"}, true},
		{"keep keeps a missing one", able, DefinersKeep, []string{"admin@%", "app@%", "gone@h@st"}, true},
		{"keep refuses what it may not name", &missing, DefinersKeep, nil, false},
		{"replace replaces a missing one", able, DefinersReplace, []string{"admin@%", "app@%", "admin@%"}, true},
		{"stop refuses a missing one", able, DefinersStop, nil, false},
		{"stop refuses what it may not name", &unable, DefinersStop, nil, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			definers, err := s.Definers(c.target, c.policy)
			if (err == nil) != c.ok || err != nil && !fault.Is(err, fault.SchemaDefiner) {
				t.Fatalf("error %v", err)
			}
			var use []string
			for _, d := range definers {
				use = append(use, d.Use)
			}
			if c.ok && !slices.Equal(use, c.use) {
				t.Errorf("uses %v, not %v", use, c.use)
			}
		})
	}
}

func TestReplacedDefinersAreTheAccounts(t *testing.T) {
	pair := sandboxtest.NewPair(t)
	trust(t, pair.Target)
	name := pair.Database(t)
	script(t, pair.Source, name, "objects.sql")
	admin := pair.Target.DB(t, sandbox.Admin)
	s, at := copied(t, pair.Source.DB(t, sandbox.Root), admin, name)
	at.SetDefiner, at.MissingDefiner = false, false
	done := makeObjects(t, admin, s, ObjectOptions{Target: at})
	for what, o := range objectsOf(t, admin, name) {
		if o.Definer != "admin@%" {
			t.Errorf("%s has the definer %s", what, o.Definer)
		}
	}
	noted := slices.ContainsFunc(done, func(d Done) bool {
		return d.Name == name+".a_top" && strings.Contains(d.Note, "nobody@nowhere is replaced by admin@%")
	})
	if !noted {
		t.Errorf("nothing is said of it: %v", done)
	}
}

func TestViewsThatCannotBeMadeAreListedTogether(t *testing.T) {
	pair := sandboxtest.NewPair(t)
	name := pair.Database(t)
	pair.Source.Exec(t, "USE "+name, "CREATE TABLE gone (id int)", "CREATE TABLE t (id int)", "CREATE VIEW bad AS SELECT id FROM gone",
		"CREATE VIEW worse AS SELECT id FROM bad", "CREATE VIEW good AS SELECT id FROM t", "DROP TABLE gone")
	admin := pair.Target.DB(t, sandbox.Admin)
	s, at := copied(t, pair.Source.DB(t, sandbox.Root), admin, name)
	if _, err := CreateTables(t.Context(), admin, s); err != nil {
		t.Fatal(err)
	}
	done, err := CreateViews(t.Context(), admin, s, ObjectOptions{Target: at})
	if !fault.Is(err, fault.SchemaObject) || !strings.Contains(err.Error(), "bad") || !strings.Contains(err.Error(), "worse") {
		t.Errorf("error %v", err)
	}
	if len(done) != 3 || done[0].Name != name+".good" || done[0].Action != Created || done[1].Action != Refused {
		t.Errorf("done %v", done)
	}
}

func TestMariaDBObjectsAreMade(t *testing.T) {
	maria, aurora := sandboxtest.MariaDBSource(t), sandboxtest.Target(t)
	trust(t, aurora)
	name := (&sandboxtest.Pair{Source: maria, Target: aurora}).Database(t)
	script(t, maria, name, "objects.sql")
	admin := aurora.DB(t, sandbox.Admin)
	s, at := copied(t, maria.DB(t, sandbox.Root), admin, name)
	for _, d := range makeObjects(t, admin, s, ObjectOptions{Target: at}) {
		if d.Action == Refused {
			t.Errorf("%+v", d)
		}
	}
	aurora.Exec(t, "INSERT INTO "+name+".t VALUES (1, 'x')")
	var first string
	if err := admin.QueryRow("SELECT what FROM " + name + ".log ORDER BY id LIMIT 1").Scan(&first); err != nil || first != "fires first" {
		t.Errorf("the triggers' order: %q %v", first, err)
	}
	var p int
	if err := admin.QueryRow("SELECT p FROM " + name + ".b_middle").Scan(&p); err != nil || p != 2 {
		t.Errorf("a view on a view on a function says %d %v", p, err)
	}
	if a := objectsOf(t, admin, name)["VIEW a_top"]; !strings.Contains(a.Create, "😀") || !strings.Contains(a.Create, "é") {
		t.Errorf("the view's text: %s", a.Create)
	}
}
