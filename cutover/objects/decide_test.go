package objects

import (
	"errors"
	"testing"

	"changeover/cdc/schema"
)

func view(text string) schema.Object {
	return schema.Object{Kind: schema.KindView, Schema: "d", Name: "v", Definer: "a@%", Create: text}
}

func TestWhatTheNewWriterIsToHave(t *testing.T) {
	translated := func(o schema.Object) (schema.Object, error) {
		o.Create = "translated " + o.Create
		return o, nil
	}
	here := func(here, there string) *row { r := &row{}; r.paired(view(here), view(there)); return r }
	cases := []struct {
		name     string
		old, new side
		want     string
		native   bool
		there    bool
	}{
		{"nothing is known: it is translated", side{[]schema.Object{view("s")}, &row{}}, side{nil, &row{}}, "translated s", false, false},
		{"the new writer has it already", side{[]schema.Object{view("s")}, &row{}}, side{[]schema.Object{view("translated s")}, &row{}}, "translated s", false, true},
		{"the new writer's own row knows it", side{[]schema.Object{view("s")}, &row{}}, side{[]schema.Object{view("t")}, here("t", "s")}, "t", true, true},
		{"the old writer's row knows it", side{[]schema.Object{view("s")}, here("s", "t")}, side{[]schema.Object{view("t")}, &row{}}, "t", true, true},
		{"it is known, and gone from the new writer", side{[]schema.Object{view("s")}, here("s", "t")}, side{nil, &row{}}, "t", true, false},
		{"it was changed on the old writer", side{[]schema.Object{view("s2")}, here("s", "t")}, side{[]schema.Object{view("t")}, &row{}}, "translated s2", false, false},
		{"it was changed on the new writer", side{[]schema.Object{view("s")}, here("s", "t")}, side{[]schema.Object{view("x")}, &row{}}, "t", true, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			wants, drop, err := decide(c.old, c.new, translated)
			if err != nil || len(drop) > 0 || len(wants) != 1 {
				t.Fatalf("%v %v %v", wants, drop, err)
			}
			if w := wants[0]; w.to.Create != c.want || w.native != c.native || w.there != c.there {
				t.Errorf("%+v", w)
			}
		})
	}
}

func TestOnlyWhatWasCarriedIsDropped(t *testing.T) {
	r := &row{}
	r.paired(view("t"), view("s"))
	mine := view("somebody's")
	mine.Name = "w"
	new := side{[]schema.Object{view("t"), mine}, r}
	_, drop, err := decide(side{nil, &row{}}, new, nil)
	if err != nil || len(drop) != 1 || drop[0].Name != "v" {
		t.Errorf("%v %v", drop, err)
	}
	if others := left(side{nil, &row{}}, new, drop); len(others) != 1 || others[0].Name != "w" {
		t.Errorf("left: %v", others)
	}
}

func TestAnEventThatRunsOnTheNewWriterIsMadeAnew(t *testing.T) {
	event := func(state string) schema.Object {
		return schema.Object{Kind: schema.KindEvent, Schema: "d", Name: "e", Create: "CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE " + state + " DO SET @x = 1"}
	}
	same := func(o schema.Object) (schema.Object, error) { return o, nil }
	for state, there := range map[string]bool{"ENABLE": false, "DISABLE": true} {
		wants, _, err := decide(side{[]schema.Object{event("ENABLE")}, &row{}}, side{[]schema.Object{event(state)}, &row{}}, same)
		if err != nil || wants[0].there != there || !wants[0].runs || wants[0].to.Enabled() {
			t.Errorf("%s: %+v %v", state, wants, err)
		}
	}
	stopped, _, err := decide(side{[]schema.Object{event("DISABLE ON SLAVE")}, &row{}}, side{nil, &row{}}, same)
	if err != nil || stopped[0].runs || stopped[0].to != event("DISABLE") {
		t.Errorf("%+v %v", stopped, err)
	}
}

func TestTriggersAreNeverThereBeforeTheHold(t *testing.T) {
	trigger := schema.Object{Kind: schema.KindTrigger, Schema: "d", Name: "t", Table: "x"}
	wants, drop, err := decide(side{[]schema.Object{trigger}, &row{}}, side{[]schema.Object{trigger}, &row{}}, func(o schema.Object) (schema.Object, error) { return o, nil })
	if err != nil || len(drop) > 0 || wants[0].there {
		t.Errorf("%+v %v %v", wants, drop, err)
	}
	failed := errors.New("no")
	if _, _, err := decide(side{[]schema.Object{trigger}, &row{}}, side{nil, &row{}}, func(o schema.Object) (schema.Object, error) { return o, failed }); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
}

func TestTextsOfAnyCharsetAreKept(t *testing.T) {
	p := newPlace(t, "mysql")
	m, err := open(t.Context(), conn(t, p.target), p.target, p.options, Limit)
	must(t, err)
	odd := view("caf\xe9 \x00\xff 'quoted' \\ 😀")
	m.row.Aside = []kept{keep(odd)}
	must(t, m.save(t.Context(), aside))
	must(t, m.close())
	r, err := readRow(t.Context(), p.target, p.options.Migration)
	must(t, err)
	if !r.exists || r.stage != aside || len(r.Aside) != 1 || r.Aside[0].object() != odd {
		t.Errorf("%+v", r)
	}
	p.dst.Exec(t, "UPDATE _changeover.objects SET document = '{' WHERE migration = '"+p.options.Migration+"'")
	if _, err := Prepare(t.Context(), p.source, p.target, p.options); err == nil {
		t.Error("a row that can't be read is passed over")
	}
}
