package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"changeover/cutover"
	"changeover/internal/config"
	"changeover/internal/control"
	"changeover/internal/fault"
)

// attemptFlags are those of rehearse, cutover and rollback.
type attemptFlags struct {
	confirm    string
	wait       time.Duration
	at         string
	cancelLong bool
	noFence    bool
	json       bool
}

// attemptPatience is what an attempt may take beside its wait: the budget, the undo, a lost answer.
const attemptPatience = time.Minute

func newRehearseCommand(g *globals) *cobra.Command {
	return newAttemptCommand(g, cutover.Rehearse, "Try the cutover on the live system, up to its commit, and undo it",
		`Rehearse does all that a cutover does but the commit: the gates hold, the writer is fenced, the last
writes are drained and proven, the other server is armed. Then everything is undone. It shows how long
the hold would be, on the live system; applications behind a gate notice a pause, those without one
get error 1290 for that time. It never enables events, locks accounts or kills sessions.

For the first time take --no-fence: only gates notice that.`)
}

func newCutoverCommand(g *globals) *cobra.Command {
	return newAttemptCommand(g, cutover.Cutover, "Pass the writer role from the source to the target",
		`Cutover asks the running "changeover run" to pass the role. It refuses, with all reasons at once, if
anything would stop it on the way. Then, within the budget of cutover.hold: the gates hold, the source is
fenced, the last writes arrive, what is due is compared, the target gets triggers and AUTO_INCREMENT
values, the register says commit, the target opens, the gates go over. What can't be done in time is
undone by itself. From then on the stream runs from the target to the source, so that
"changeover rollback" loses nothing.

Ctrl-C before the commit undoes it, after it nothing; "changeover history" has the answer.`)
}

func newRollbackCommand(g *globals) *cobra.Command {
	return newAttemptCommand(g, cutover.Rollback, "Pass the writer role back to the source",
		`Rollback is the cutover with the sides swapped: every write that the target took since is on the
source, proven, before the source is the writer again. "changeover status" says whether it is ready.`)
}

func newAttemptCommand(g *globals, kind cutover.Kind, short, long string) *cobra.Command {
	var f attemptFlags
	cmd := &cobra.Command{
		Use: string(kind), Short: short, Args: cobra.NoArgs,
		Long: long + `

Exit codes: 0 done; 1 refused or undone, with the reasons; 2 it could not be asked for.`,
		Example: fmt.Sprintf("  changeover %[1]s --confirm school\n  changeover %[1]s --confirm school --wait 5m --at 03:30", kind),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			return makeAttempt(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), cfg, kind, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.confirm, "confirm", "", "the migration's `NAME`: you mean this one")
	flags.DurationVar(&f.wait, "wait", 30*time.Second, "how long lag, keys due and running statements may take to come within the budget")
	flags.StringVar(&f.at, "at", "", "begin at this `TIME`: 03:30, or 2026-11-26T03:30:00Z; Ctrl-C gives it up")
	flags.BoolVar(&f.cancelLong, "cancel-long", false, "cancel the application's transactions that are still inside at the drain's deadline")
	flags.BoolVar(&f.json, "json", false, "answer with the record, in JSON (docs/cutover.md)")
	if kind == cutover.Rehearse {
		flags.BoolVar(&f.noFence, "no-fence", false, "leave the fence out: applications without a gate notice nothing")
	}
	return cmd
}

func makeAttempt(ctx context.Context, out, progress io.Writer, cfg *config.Config, kind cutover.Kind, f attemptFlags) error {
	if f.confirm != cfg.Migration {
		return fault.New(fault.Confirm, "%s of migration %s: --confirm says %q", kind, cfg.Migration, f.confirm)
	}
	if err := waitUntil(ctx, progress, f.at); err != nil {
		return err
	}
	query := url.Values{"kind": {string(kind)}, "wait": {f.wait.String()}}
	if f.cancelLong {
		query.Set("cancel_long", "1")
	}
	if f.noFence {
		query.Set("no_fence", "1")
	}
	var r cutover.Record
	err := control.AskFor(ctx, cfg.StateDir, "POST", "/v1/attempt?"+query.Encode(), f.wait+attemptPatience, &r)
	if err != nil {
		return err
	}
	if f.json {
		err = printJSON(out, &r)
	} else {
		_, err = io.WriteString(out, recordText(&r))
	}
	if err == nil && r.Outcome != cutover.Committed && r.Outcome != cutover.Rehearsed {
		return &answerNo{}
	}
	return err
}

// waitUntil waits for a time of day, or a moment.
func waitUntil(ctx context.Context, progress io.Writer, at string) error {
	if at == "" {
		return nil
	}
	moment, err := parseMoment(at, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "begins at %s, in %s\n", moment.Format(time.DateTime), time.Until(moment).Round(time.Second))
	select {
	case <-time.After(time.Until(moment)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// parseMoment reads 03:30, which is the next time that the clock shows it, or an RFC 3339 moment.
func parseMoment(at string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, at); err == nil {
		if t.Before(now) {
			return t, fault.New(fault.Usage, "--at %s is over", at)
		}
		return t, nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.ParseInLocation(layout, at, now.Location()); err == nil {
			t = time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), 0, now.Location())
			if !t.After(now) {
				t = t.AddDate(0, 0, 1)
			}
			return t, nil
		}
	}
	return time.Time{}, fault.New(fault.Usage, "--at is 03:30 or 2026-11-26T03:30:00Z, not %q", at)
}

// recordText is a person's view of an attempt.
func recordText(r *cutover.Record) string {
	var b strings.Builder
	name := string(r.Kind)
	if r.Attempt > 0 { // one that was refused has no number
		name += fmt.Sprintf(" %d", r.Attempt)
	}
	fmt.Fprintf(&b, "%s of %s: %s", name, r.Migration, r.Outcome)
	if r.Outcome == cutover.Committed {
		fmt.Fprintf(&b, "; the %s is the writer (epoch %d)", r.New, r.Epoch)
	}
	fmt.Fprintf(&b, "   %s UTC\n", r.Began.Format(time.DateTime))
	for _, s := range r.Steps {
		fmt.Fprintf(&b, "  %8.1f ms  %-10s %8.1f ms  %s", s.StartMS, s.Name, s.TookMS, s.Note)
		if s.Error != "" {
			fmt.Fprintf(&b, "  FAILED: %s", s.Error)
		}
		b.WriteByte('\n')
	}
	if r.HoldMS > 0 {
		fmt.Fprintf(&b, "hold    %.0f ms; %d gates\n", r.HoldMS, len(r.Gates))
	}
	for _, g := range r.Gates {
		fmt.Fprintf(&b, "  %-40s held %.0f ms, first write after %.0f ms\n", g.Name, g.HeldMS, g.FirstWriteMS)
	}
	if r.Proof.Complete {
		fmt.Fprintf(&b, "proof   %s rows equal, %s keys compared behind the fence in %.0f ms\n", thousands(int64(r.Proof.Rows)), thousands(int64(r.Proof.Keys)), r.Proof.TookMS)
	}
	for _, why := range r.Reasons {
		fmt.Fprintf(&b, "because %s\n", why)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note    %s\n", n)
	}
	return b.String()
}

func newFinishCommand(g *globals) *cobra.Command {
	var confirm string
	var forget bool
	cmd := &cobra.Command{
		Use: "finish", Short: "End the way back after a cutover", Args: cobra.NoArgs,
		Long: `Finish stops the stream from the target back to the source: from then on "changeover rollback" is not
possible any more. The source stays fenced, and the route rows stay, so that no application goes back
there whatever its configuration says. The running "changeover run" ends.

--forget deletes the route rows too. It refuses while the configuration of any gate still begins with
the source.`,
		Example: "  changeover finish --confirm school\n  changeover finish --confirm school --forget",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			if confirm != cfg.Migration {
				return fault.New(fault.Confirm, "finish of migration %s: --confirm says %q", cfg.Migration, confirm)
			}
			path := "/v1/finish"
			if forget {
				path += "?forget=1"
			}
			var answer json.RawMessage
			if err := control.Ask(cmd.Context(), cfg.StateDir, "POST", path, &answer); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is finished: the target is the writer, the source stays fenced\n", cfg.Migration)
			return err
		},
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the migration's `NAME`: you mean this one")
	cmd.Flags().BoolVar(&forget, "forget", false, "delete the route rows too")
	return cmd
}
