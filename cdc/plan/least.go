package plan

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"changeover/internal/config"
)

// LeastGrants lists the least that Changeover's accounts need, for this migration's databases. A side
// that answers says its flavor and the account's whole name; of one that doesn't, MySQL and the
// host % are assumed.
func LeastGrants(ctx context.Context, cfg *config.Config) ([]Need, error) {
	f := gather(ctx, cfg)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return f.leastGrants(), nil
}

func (f *Facts) leastGrants() (all []Need) {
	account := map[Side]string{
		Source: cmp.Or(f.Source.Account, f.Config.Source.User+"@%"),
		Target: cmp.Or(f.Target.Account, f.Config.Target.User+"@%"),
	}
	for _, n := range f.needs() {
		if n.Statements = n.statements(account[n.Side]); len(n.Statements) > 0 {
			all = append(all, n)
		}
	}
	return all
}

// WriteGrants prints needs as a script, by side and stage.
func WriteGrants(w io.Writer, needs []Need) error {
	var b strings.Builder
	for _, side := range []Side{Source, Target} {
		for _, stage := range []Stage{ForRun, ForCutover, ForRollback} {
			first := true
			for _, n := range needs {
				if n.Side != side || n.Stage != stage {
					continue
				}
				if first {
					if b.Len() > 0 {
						b.WriteString("\n")
					}
					fmt.Fprintf(&b, "-- On the %s, %s\n", side, stageText[stage])
					first = false
				}
				kind := "optional"
				if n.Needed {
					kind = "needed"
				}
				fmt.Fprintf(&b, "\n-- %s: %s\n%s\n", kind, n.Purpose, strings.Join(n.Statements, "\n"))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var stageText = map[Stage]string{
	ForRun:      "for the run",
	ForCutover:  "for rehearsals and the cutover",
	ForRollback: "for the way back",
}
