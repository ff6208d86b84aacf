package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"changeover/internal/control"
	"changeover/internal/fault"
	"changeover/verify"
)

// liveAnswer is the state of a running migration's proof. docs/verify.md documents the fields.
type liveAnswer struct {
	verify.State
	Different []differentJSON `json:"different"`
}

// differentJSON are rows of one table that differ.
type differentJSON struct {
	Schema string           `json:"schema"`
	Table  string           `json:"table"`
	Rows   []differenceJSON `json:"rows"`
}

// repairAnswer says what a repair was begun with.
type repairAnswer struct {
	Rows int `json:"rows"`
}

// proofPatience is how long a proof may take at most.
const proofPatience = 10 * time.Minute

// verifyRoutes are what can be asked of a running migration's verifier.
func verifyRoutes(v *verify.Verifier) []control.Route {
	return []control.Route{
		{Pattern: "GET /v1/verify", Answer: func(r *http.Request) (any, error) {
			limit, err := strconv.Atoi(r.FormValue("limit"))
			if err != nil {
				limit = 20
			}
			found, err := v.Different(r.Context(), limit)
			if err != nil {
				return nil, err
			}
			return liveAnswer{v.State(), differentRows(found, r.FormValue("hide") != "")}, nil
		}},
		{Pattern: "POST /v1/verify/repair", Answer: func(*http.Request) (any, error) {
			n, err := v.Repair()
			return repairAnswer{n}, err
		}},
		{Pattern: "POST /v1/verify/again", Answer: func(*http.Request) (any, error) { return v.State(), v.Again() }},
		{Pattern: "POST /v1/verify/prove", Answer: func(r *http.Request) (any, error) {
			patience, err := time.ParseDuration(r.FormValue("deadline"))
			if err != nil {
				patience = proofPatience
			}
			ctx, cancel := context.WithTimeout(r.Context(), patience)
			defer cancel()
			return v.Prove(ctx)
		}},
	}
}

func differentRows(found map[verify.Name][]verify.Difference, hide bool) []differentJSON {
	out := []differentJSON{}
	view := verifyView{hideValues: hide}
	for n, rows := range found {
		t := view.tableJSON(verify.TableReport{Name: n, Differences: rows})
		out = append(out, differentJSON{n.Schema, n.Table, t.Differences})
	}
	slices.SortFunc(out, func(a, b differentJSON) int {
		return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Table, b.Table))
	})
	return out
}

// verifyMigration asks the running migration: what `verify` does where --source isn't given.
func verifyMigration(cmd *cobra.Command, g *globals, f *verifyFlags) error {
	if f.once || f.consistent || len(f.databases) > 0 {
		return fault.New(fault.Usage, "--once, --consistent and --databases go with --source and --target; a running migration is compared all the time")
	}
	cfg, err := g.load()
	if err != nil {
		return err
	}
	ctx, ask := cmd.Context(), liveAsker{dir: cfg.StateDir, flags: f}
	switch {
	case f.prove:
		return ask.prove(ctx, cmd.OutOrStdout())
	case f.again:
		if err := control.Ask(ctx, cfg.StateDir, "POST", "/v1/verify/again", new(verify.State)); err != nil {
			return err
		}
	case f.repair:
		var begun repairAnswer
		if err := control.Ask(ctx, cfg.StateDir, "POST", "/v1/verify/repair", &begun); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s to be copied again from the source\n", plural(uint64(begun.Rows), "row"))
	}
	answer, err := ask.until(ctx, cmd.ErrOrStderr(), cmd.Flags().Changed("wait"))
	if err != nil {
		return err
	}
	if f.asJSON {
		err = printJSON(cmd.OutOrStdout(), answer)
	} else {
		_, err = io.WriteString(cmd.OutOrStdout(), liveText(answer))
	}
	if err == nil && answer.Differences > 0 {
		return &answerNo{}
	}
	return err
}

// liveAsker asks a running migration.
type liveAsker struct {
	dir   string
	flags *verifyFlags
}

func (a liveAsker) once(ctx context.Context) (answer liveAnswer, err error) {
	query := url.Values{"limit": {strconv.Itoa(a.flags.limit)}}
	if a.flags.hideValues {
		query.Set("hide", "1")
	}
	err = control.AskFor(ctx, a.dir, "GET", "/v1/verify?"+query.Encode(), time.Minute, &answer)
	return answer, err
}

// until asks until what was asked for is done: a repair is through; or, if it is to be waited for, every
// row was compared, or some differ.
func (a liveAsker) until(ctx context.Context, progress io.Writer, wait bool) (liveAnswer, error) {
	deadline := time.Now().Add(a.flags.waitForPoint)
	for said := time.Now(); ; {
		answer, err := a.once(ctx)
		repairing := a.flags.repair && answer.ToRepair > 0
		comparing := answer.Again || !answer.Wholly || answer.Differences == 0 && !answer.Complete
		if err != nil || !repairing && !(wait && comparing) {
			return answer, err
		}
		if time.Now().After(deadline) {
			return answer, fmt.Errorf("not done within %s (--wait): %s", a.flags.waitForPoint, answer.State)
		}
		if time.Since(said) > 2*time.Second {
			said = time.Now()
			fmt.Fprintln(progress, answer.State)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return answer, ctx.Err()
		}
	}
}

// prove has the proof made, and leaves it in the state folder.
func (a liveAsker) prove(ctx context.Context, out io.Writer) error {
	var p verify.Proof
	path := "/v1/verify/prove?deadline=" + a.flags.waitForPoint.String()
	if err := control.AskFor(ctx, a.dir, "POST", path, a.flags.waitForPoint+10*time.Second, &p); err != nil {
		return err
	}
	if a.flags.asJSON {
		if err := printJSON(out, p); err != nil {
			return err
		}
	} else if _, err := io.WriteString(out, proofText(p)); err != nil {
		return err
	}
	file := filepath.Join(a.dir, "proof.html")
	if err := os.WriteFile(file, []byte(verify.Page(p)), 0o600); err != nil {
		return err
	}
	if !a.flags.asJSON {
		fmt.Fprintln(out, "as a page:", file)
	}
	if !p.Complete {
		return &answerNo{}
	}
	return nil
}

func proofText(p verify.Proof) string {
	var b strings.Builder
	verdict := "complete: every row of both sides was compared, and none has changed since"
	if !p.Complete {
		verdict = "NOT complete"
	}
	fmt.Fprintf(&b, "%s: %s\n%s rows in %s tables; %s compared now, in %.0f ms\nat %s\n", p.Migration, verdict,
		thousands(int64(p.Rows)), thousands(int64(len(p.Tables))), plural(uint64(p.Keys), "changed row"), p.TookMS, p.Position)
	for _, why := range p.Missing {
		fmt.Fprintf(&b, "  %s\n", why)
	}
	return b.String()
}

// liveText is a person's view of the proof's state.
func liveText(a liveAnswer) string {
	var b strings.Builder
	verdict := "every row was compared, nothing is due, nothing differs"
	switch {
	case a.Differences > 0:
		verdict = differText(verify.TableReport{Different: uint64(a.Differences)})
	case !a.Wholly:
		verdict = "not every row is compared yet"
	case !a.Complete:
		verdict = "every row was compared; what has changed since is being compared again"
	}
	fmt.Fprintf(&b, "%s: %s\n%s, %s due   share %.0f %%\n", a.Migration, verdict,
		plural(a.Rows, "row")+" compared", plural(uint64(a.KeysDue), "key"), a.Share*100)
	if a.HeldBack != "" {
		fmt.Fprintf(&b, "held back: %s\n", a.HeldBack)
	}
	if a.Repaired > 0 || a.ToRepair > 0 {
		fmt.Fprintf(&b, "%s repaired by this run, %d pieces left\n", plural(uint64(a.Repaired), "row"), a.ToRepair)
	}
	table := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	for _, t := range a.Tables {
		when := "–"
		if !t.Compared.IsZero() {
			when = t.Compared.Format("2006-01-02 15:04:05")
		}
		fmt.Fprintf(table, "  %s.%s\t%s\t%s rows\t%s\t%d due\t%s\n", t.Schema, t.Table, t.State, thousands(int64(t.Rows)), when, t.KeysDue, t.Problem)
	}
	_ = table.Flush()
	for _, t := range a.Different {
		fmt.Fprintf(&b, "\n%s.%s\n", t.Schema, t.Table)
		for _, d := range t.Rows {
			fmt.Fprintf(&b, "  %s\n", differenceLine(d))
		}
	}
	return b.String()
}

// differenceLine is a row that differs in one line.
func differenceLine(d differenceJSON) string {
	var parts []string
	for _, c := range d.Key {
		parts = append(parts, c.Column+"="+shownText(c.Value))
	}
	text := strings.Join(parts, " ")
	switch {
	case d.RowsSource > 1 || d.RowsTarget > 1:
		return fmt.Sprintf("%s: %d on the source, %d on the target", text, d.RowsSource, d.RowsTarget)
	case d.RowsTarget == 0:
		return text + ": only on the source"
	case d.RowsSource == 0:
		return text + ": only on the target"
	}
	var columns []string
	for _, c := range d.Columns {
		if c.Source == nil && c.Target == nil {
			columns = append(columns, c.Column)
			continue
		}
		columns = append(columns, fmt.Sprintf("%s %s → %s", c.Column, anyText(c.Source), anyText(c.Target)))
	}
	return text + ": " + strings.Join(columns, ", ")
}

// anyText is a value that came by JSON.
func anyText(v any) string {
	if s, ok := v.(string); ok {
		return shownText(&s)
	}
	return "NULL"
}
