package state

import (
	"database/sql"
	"strings"
	"testing"

	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

func TestATurnForgetsWhatWasAndSaysWhereTheStreamStarts(t *testing.T) {
	for name, db := range map[string]*sql.DB{
		"mysql":   pool(t, sandboxtest.Target(t), sandbox.Admin),
		"mariadb": pool(t, sandboxtest.MariaDBSource(t), sandbox.Changeover),
	} {
		t.Run(name, func(t *testing.T) {
			must(t, Install(t.Context(), db, Target))
			migration := "turn"
			s := held(t, db, migration).Store()
			_, err := s.Begin(t.Context(), "before", "streaming", "config")
			must(t, err)
			must(t, s.StartStream(t.Context(), Position{Text: "before", Seq: 7}))
			must(t, s.WriteIntent(t.Context(), Intent{ID: "u:9", Statement: "ALTER"}))
			must(t, s.Refuse(t.Context(), Decision{ID: "u:9", Statement: "ALTER"}))
			must(t, s.PutTable(t.Context(), Table{ID: 1, Schema: "d", Name: "old", State: Copying}))
			must(t, s.PutDefinition(t.Context(), 1, "CREATE"))
			must(t, s.SaveProof(t.Context(), Position{Text: "before", Seq: 7}, []Proof{{Table: 1, Text: []byte("old"), Due: []byte("due")}}, nil))
			_, err = db.ExecContext(t.Context(), string(AppendApplied([]byte(AppliedInsert), migration, "u:8", 8, 1))+string(AppendApplied([]byte(","), "another", "u:8", 8, 1)))
			must(t, err)
			t.Cleanup(func() { _, _ = db.Exec("DELETE FROM _changeover.applied") })

			long := strings.Repeat("x", dueBytes)
			turn := Turn{Position: Position{Text: "here"}, Source: "now", Phase: "armed",
				Tables: []Table{{ID: 5, Schema: "d", Name: "a", State: Complete}, {ID: 6, Schema: "d", Name: "b", State: Complete}, {ID: 7, Schema: "d", Name: "c", State: Complete}},
				Proofs: []Proof{{Table: 5, Text: []byte("equal")}, {Table: 6, Text: []byte(long)}, {Table: 7, Text: []byte("too")}}}
			for range 2 { // the answer to the first may have been lost
				must(t, s.Turn(t.Context(), turn))
			}
			m, _, err := s.Load(t.Context())
			must(t, err)
			if m.Phase != "armed" || m.Source != "now" || m.Config != "config" {
				t.Errorf("%+v", m)
			}
			p, ok, err := s.Position(t.Context())
			if must(t, err); !ok || p.Text != "here" || p.Seq != 0 {
				t.Errorf("%+v", p)
			}
			p, proofs, ok, err := s.Proofs(t.Context())
			if must(t, err); !ok || p.Text != "here" || p.Seq != 0 || len(proofs) != 3 || string(proofs[0].Text) != "equal" || len(proofs[0].Due) > 0 || string(proofs[1].Text) != long || string(proofs[2].Text) != "too" {
				t.Errorf("%+v %d proofs", p, len(proofs))
			}
			tables, err := s.Tables(t.Context())
			if must(t, err); len(tables) != 3 || tables[0].ID != 5 || tables[0].Name != "a" || tables[0].State != Complete || tables[0].Finished.IsZero() {
				t.Errorf("%+v", tables)
			}
			applied, err := s.Applied(t.Context())
			must(t, err)
			intents, err := s.Intents(t.Context())
			must(t, err)
			decisions, err := s.Decisions(t.Context())
			must(t, err)
			_, defined, err := s.Definition(t.Context(), 1)
			if must(t, err); len(applied)+len(intents)+len(decisions) > 0 || defined {
				t.Errorf("left are %v, %v, %v, a definition %v", applied, intents, decisions, defined)
			}
			if n, err := CountApplied(t.Context(), db, "another", []string{"u:8"}); err != nil || n != 1 {
				t.Errorf("another migration has %d ids: %v", n, err)
			}

			turn.Tables, turn.Proofs = nil, nil
			must(t, s.Turn(t.Context(), turn))
			if tables, err := s.Tables(t.Context()); err != nil || len(tables) != 3 {
				t.Errorf("tables that were to stay: %v, %v", tables, err)
			}
			if _, proofs, _, err := s.Proofs(t.Context()); err != nil || len(proofs) != 0 {
				t.Errorf("proofs of before: %v, %v", proofs, err)
			}
		})
	}
}
