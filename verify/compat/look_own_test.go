package compat

import (
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/migrations"
	"changeover/verify/compat/ddl"
)

// onlyFiles and onlyServer are rules whose findings are on one side alone, and why.
var onlyFiles, onlyServer = map[string]string{
	"MIG":    "it is about the files",
	"CUT921": "it is about the way there: what was renamed or dropped is not there any more",
	"CHS405": "a later version drops the column in utf8mb3",
	"TYP316": "a later version widens the column",
}, map[string]string{
	"PRG701": "a server names the definer of a view that was made without one",
	"MDB221": "a MariaDB has LONGTEXT and a CHECK where the files have JSON",
}

// The platform's schema has the same errors and warnings whether its migrations are read or a server on which they ran is
// looked at.
func TestOurOwnSchemaIsTheSameOnAServer(t *testing.T) {
	for _, start := range []func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{sandboxtest.MySQLSource, sandboxtest.MariaDBSource} {
		s := start(t)
		t.Run(string(s.Flavor), func(t *testing.T) {
			database := s.Database(t)
			m := migrations.New(s.DBIn(t, sandbox.App, database), zerolog.Nop())
			m.Notice = 0
			if err := m.Up(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			to, err := LoadProfile("aurora-3")
			if err != nil {
				t.Fatal(err)
			}
			files, err := ReadInput("../../migrations/sql")
			if err != nil {
				t.Fatal(err)
			}
			p := looked(t, s, sandbox.Root, LookOptions{Databases: []string{database}})
			static := worst(t, files, Options{To: to, From: p.Flavor}, database)
			live := worst(t, InputOf(p), Options{To: to, From: p.Flavor, Source: p}, database)
			if !slices.Contains(live, "IDX501 concepts_levels") {
				t.Errorf("the table without a key is not among %q", live)
			}
			for _, side := range []struct {
				name string
				only []string
				may  map[string]string
			}{{"files", without(static, live), onlyFiles}, {"server", without(live, static), onlyServer}} {
				for _, f := range side.only {
					id, _, _ := strings.Cut(f, " ")
					if rule, _ := RuleByID(id); side.may[id] == "" && side.may[rule.Family] == "" {
						t.Errorf("only the %s: %s", side.name, f)
					}
				}
			}
		})
	}
}

// worst are the rules and objects of errors and warnings.
func worst(t *testing.T, in *Input, o Options, database string) (all []string) {
	t.Helper()
	r, err := Check(t.Context(), in, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Severity.AtLeast(Warning) {
			all = append(all, f.Rule+" "+strings.TrimPrefix(f.Object, database+"."))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// without are those of a that b has not.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// What a server did not show is not clean.
func TestWhatWasRefusedIsUnchecked(t *testing.T) {
	p := &Picture{Refused: []Refusal{{"view shop.v", "Error 1142: no"}}}
	to, err := LoadProfile("mysql-9.7")
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{"source": {To: to, Source: p}, "target": {To: to, Target: p}} {
		r, err := Check(t.Context(), InputOf(p), o)
		if err != nil {
			t.Fatal(err)
		}
		if want := (Unchecked{Object: "view shop.v", Reason: "the " + name + ": Error 1142: no"}); !slices.Contains(r.Unchecked, want) {
			t.Errorf("%v has no %v", r.Unchecked, want)
		}
	}
}

// A live program's quotes are those of the sql_mode that it was made under, whatever the check's are.
func TestALiveProgramIsReadUnderItsOwnMode(t *testing.T) {
	for mode, want := range map[string]ddl.TokenKind{"": ddl.String, "REAL_AS_FLOAT,ANSI_QUOTES": ddl.Quoted} {
		p := &Picture{Objects: []Object{{Kind: "procedure", Schema: "shop", Name: "p", SQL: `CREATE PROCEDURE p() SELECT "a"`, SQLMode: mode}}}
		c := &checker{ctx: t.Context(), input: InputOf(p), opts: Options{ANSIQuotes: mode == ""}, state: &state{tables: map[string]*table{}}, report: &Report{}}
		if err := c.read(); err != nil {
			t.Fatal(err)
		}
		tokens := c.files[0].statements[0].Tokens
		if got := tokens[len(tokens)-1].Kind; got != want {
			t.Errorf("under %q the text in double quotes is of kind %v", mode, got)
		}
	}
}
