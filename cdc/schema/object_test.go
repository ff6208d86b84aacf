package schema

import (
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/internal/server"
)

func TestEventsAreStoppedWhateverTheyDid(t *testing.T) {
	const before, after = "CREATE DEFINER=`a`@`%` EVENT `ENABLE` ON SCHEDULE EVERY 1 DAY ON COMPLETION NOT PRESERVE ", " COMMENT 'ENABLE' DO SET @x = 'DISABLE'"
	for state, runs := range map[string]bool{"ENABLE": true, "DISABLE": false, "DISABLE ON SLAVE": false, "DISABLE ON REPLICA": false} {
		o := Object{Kind: KindEvent, Create: before + state + after}
		if o.Enabled() != runs {
			t.Errorf("%s: runs %v", state, o.Enabled())
		}
		if got := o.Disabled().Create; got != before+"DISABLE"+after {
			t.Errorf("%s becomes %s", state, got)
		}
	}
}

func TestAnObjectGetsAnotherDefiner(t *testing.T) {
	o := Object{Kind: KindView, Definer: "a@%", Create: "CREATE DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW `v` AS SELECT 'DEFINER=`a`@`%`'"}
	got := o.As("o`dd@h@st")
	if got.Definer != "o`dd@h@st" || got.Create != "CREATE DEFINER=`o``dd@h`@`st` SQL SECURITY DEFINER VIEW `v` AS SELECT 'DEFINER=`a`@`%`'" {
		t.Errorf("%+v", got)
	}
	if s := got.Statement(); !strings.HasPrefix(s, "/* changeover schema */ CREATE OR REPLACE DEFINER=") {
		t.Errorf("%s", s)
	}
}

func TestObjectsGoBackToMariaDB(t *testing.T) {
	maria := sandboxtest.MariaDBSource(t)
	target, err := Inspect(t.Context(), maria.DB(t, sandbox.Changeover))
	if err != nil {
		t.Fatal(err)
	}
	if target.Flavor != server.MariaDB || !target.SetDefiner || !target.MissingDefiner || !target.Super || !target.Accounts["app@%"] {
		t.Errorf("the old writer: %+v", target)
	}
	o := Object{Kind: KindView, Schema: "d", Name: "v", SQLMode: "ANSI_QUOTES,TIME_TRUNCATE_FRACTIONAL", CollationConnection: "utf8mb4_0900_ai_ci",
		Create: "CREATE VIEW `v` AS SELECT a COLLATE utf8mb4_0900_as_cs, b COLLATE utf8mb3_general_ci"}
	got, notes, err := TranslateObject(o, server.MySQL, target)
	if err != nil || len(notes) == 0 {
		t.Fatalf("%v %v", notes, err)
	}
	if got.SQLMode != "ANSI_QUOTES" || got.CollationConnection != "utf8mb4_uca1400_nopad_ai_ci" || !strings.Contains(got.Create, "COLLATE utf8mb4_uca1400_nopad_as_cs") || !strings.Contains(got.Create, "COLLATE utf8mb3_general_ci") {
		t.Errorf("%+v", got)
	}
	o.Create = "CREATE VIEW `v` AS SELECT a COLLATE utf8mb4_tr_0900_ai_ci"
	if _, _, err := TranslateObject(o, server.MySQL, target); err == nil {
		t.Error("a collation that MariaDB hasn't is guessed")
	}
	// Between two of MariaDB nothing changes, whatever it is.
	p := Object{Kind: KindPackage, Schema: "d", Name: "p", SQLMode: "ORACLE"}
	if got, _, err := TranslateObject(p, server.MariaDB, target); err != nil || got != p {
		t.Errorf("%+v %v", got, err)
	}
}

func TestObjectsAreReadWithoutTables(t *testing.T) {
	pair := sandboxtest.NewPair(t)
	name := pair.Database(t)
	script(t, pair.Source, name, "objects.sql")
	db := pair.Source.DB(t, sandbox.Root)
	s, err := ReadObjects(t.Context(), db, []string{name}, func(_, table string) bool { return table != "b_middle" })
	if err != nil {
		t.Fatal(err)
	}
	if d := s.Databases[0]; len(d.Tables) != 0 || len(d.Views) != 2 || len(d.Routines) != 3 || len(d.Triggers) != 2 || len(d.Events) != 2 || d.Collation == "" {
		t.Errorf("%+v", d)
	}
	found, err := Triggers(t.Context(), db, name, func(string, string) bool { return true })
	if err != nil || len(found) != 2 || found[0].Name != "before_it" || found[0].Create == "" {
		t.Errorf("%+v %v", found, err)
	}
}
