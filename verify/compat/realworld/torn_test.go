package realworld

import (
	"math/rand/v2"
	"strings"
	"testing"

	"changeover/verify/compat"
	"changeover/verify/compat/ddl"
)

// tears is how many torn texts are made of each schema.
const tears = 20

// Real statements with words lost, doubled and exchanged are nearer to what people get wrong than random bytes:
// whatever comes out, check ends, says the same twice, and names places that are in the text.
func TestTornSchemas(t *testing.T) {
	root := unpacked(t)
	for i := range schemas {
		s := &schemas[i]
		t.Run(s.name, func(t *testing.T) {
			var whole []ddl.Statement
			for _, f := range s.input(t, root).Files {
				whole = append(whole, ddl.Read(f, ddl.MySQL, false)...)
			}
			for seed := range uint64(tears) {
				random := rand.New(rand.NewPCG(seed, 7))
				var b strings.Builder
				for range 30 {
					tear(&b, random, &whole[random.IntN(len(whole))])
				}
				o := compat.Options{To: standIn(t), From: "mysql"}
				if seed%2 == 1 {
					o.From = "mariadb"
				}
				f := ddl.NewFile("torn.sql", b.String())
				in := &compat.Input{Files: []*ddl.File{f}}
				if seed%3 == 2 {
					in.Steps = []compat.Step{{Version: 1, Title: "torn", Up: f}}
				}
				endLine, endColumn := f.At(len(f.Text))
				for _, x := range check(t, in, o).Findings {
					if l := x.Location; l != nil && (l.Line < 1 || l.Column < 1 || l.EndLine > endLine || l.EndLine == endLine && l.EndColumn > endColumn ||
						l.EndLine < l.Line || l.EndLine == l.Line && l.EndColumn < l.Column) {
						t.Fatalf("seed %d: %s is at %+v of a text that ends at %d:%d", seed, x.Rule, *l, endLine, endColumn)
					}
				}
			}
		})
	}
}

// tear writes a statement with about one of ten words changed.
func tear(b *strings.Builder, random *rand.Rand, st *ddl.Statement) {
	tokens := st.Tokens[:min(len(st.Tokens), 200)]
	for i := 0; i < len(tokens); i++ {
		switch random.IntN(30) {
		case 0: // lost
			continue
		case 1: // doubled
			b.WriteString(tokens[i].Text + " ")
		case 2: // another of them
			b.WriteString(tokens[random.IntN(len(tokens))].Text + " ")
			continue
		}
		b.WriteString(tokens[i].Text + " ")
	}
	if random.IntN(20) > 0 {
		b.WriteString(";\n")
	}
}
