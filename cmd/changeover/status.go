package main

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"changeover/cdc"
	"changeover/cdc/state"
	"changeover/internal/control"
)

func newStatusCommand(g *globals) *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how far a running migration is",
		Long: `Status asks the running "changeover run" how far it is: the copy with its rate and what is left,
the stream with its lag, what is slow, and for what it waits if it does.

Exit codes: 0 answered; 2 no run of this migration answers.`,
		Example: `  changeover status
  changeover status --watch
  changeover status --json | jq .stream.lag_ms`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			ask := func(ctx context.Context) (s liveStatus, err error) {
				err = control.Ask(ctx, cfg.StateDir, "GET", "/v1/status", &s)
				return s, err
			}
			if watch && !asJSON {
				return watchStatus(cmd.Context(), cmd.OutOrStdout(), ask)
			}
			s, err := ask(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), s)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), runText(s))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON (docs/status.md)")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every second, until Ctrl-C")
	return cmd
}

// watchStatus redraws the status in place on a terminal, and prints it anew elsewhere.
func watchStatus(ctx context.Context, w io.Writer, ask func(context.Context) (liveStatus, error)) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	lines := 0
	for {
		s, err := ask(ctx)
		if err != nil {
			return err
		}
		text := runText(s)
		if isTerminal(w) && lines > 0 {
			fmt.Fprintf(w, "\033[%dA\033[J", lines)
		}
		lines = strings.Count(text, "\n")
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// runText is a person's view of a run: the stream, and who has the writer role.
func runText(s liveStatus) string {
	c := s.Cutover
	if c.Writer == "" {
		return statusText(s.Status)
	}
	var b strings.Builder
	b.WriteString(statusText(s.Status))
	fmt.Fprintf(&b, "writer  the %s, epoch %d; %d gates", c.Writer, c.Epoch, len(c.Gates))
	if c.Rollback != "" {
		fmt.Fprintf(&b, "; rollback: %s", c.Rollback)
	}
	if c.UnderWay != "" {
		fmt.Fprintf(&b, "; %s", c.UnderWay)
	}
	b.WriteByte('\n')
	for _, g := range c.Gates {
		fmt.Fprintf(&b, "  gate  %-40s %-8s epoch %d, %d inside, %d waiting\n", g.Name, g.State, g.Epoch, g.Inside, g.Waiting)
	}
	if c.Strays > 0 {
		fmt.Fprintf(&b, "STRAYS  %d transactions on the old writer that are not Changeover's; the first: %s %v\n", c.Strays, c.First[0].ID, c.First[0].Rows)
	}
	if c.Watch != "" {
		fmt.Fprintf(&b, "ALARM   nobody watches the old writer: %s\n", c.Watch)
	}
	return b.String()
}

// statusTables is how many tables a person is shown; the slowest to be done come first.
const statusTables = 12

// statusText is a person's view of a status.
func statusText(s cdc.Status) string {
	var b strings.Builder
	phase := s.Phase
	if s.Paused {
		phase += ", the copy is paused"
	}
	fmt.Fprintf(&b, "%s: %s   %s → %s\n", s.Migration, phase, s.Source, s.Target)
	fmt.Fprintf(&b, "copy    %s %5.1f %%   %s rows", bar(s.Copy.Share, 30), s.Copy.Share*100, thousands(s.Copy.Rows))
	if s.Copy.RowsPerSecond > 0 {
		fmt.Fprintf(&b, "   %s rows/s   %.1f MB/s", thousands(int64(s.Copy.RowsPerSecond)), s.Copy.MBPerSecond)
	}
	if s.Copy.ETASeconds > 0 {
		fmt.Fprintf(&b, "   %s left", (time.Duration(s.Copy.ETASeconds) * time.Second).Round(time.Second))
	}
	fmt.Fprintf(&b, "\nstream  lag %s (p99 %s)   %s transactions/s   %s changes/s   %.1f MB waiting\n",
		millis(s.Stream.LagMS), millis(s.Stream.LagP99MS), thousands(int64(s.Stream.TransactionsPerSecond)),
		thousands(int64(s.Stream.ChangesPerSecond)), float64(s.Stream.QueuedBytes)/1e6)
	if !s.Stream.Connected && s.Phase != "starting" && s.Phase != "schema" {
		b.WriteString("        not connected to the source's binlog\n")
	}
	fmt.Fprintf(&b, "tables  %d of %d done\n", s.Copy.TablesDone, s.Copy.Tables)
	writeTables(&b, s.Tables)
	for _, why := range s.Waiting {
		fmt.Fprintf(&b, "waits   %s\n", why)
	}
	if s.Error != "" {
		fmt.Fprintf(&b, "stopped %s\n", s.Error)
	}
	return b.String()
}

func writeTables(b *strings.Builder, all []cdc.TableStatus) {
	var open []cdc.TableStatus
	for _, t := range all {
		if t.State != string(state.Complete) {
			open = append(open, t)
		}
	}
	sort.Slice(open, func(i, j int) bool {
		return float64(open[i].BytesExpected)*(1-open[i].Share) > float64(open[j].BytesExpected)*(1-open[j].Share)
	})
	for i, t := range open {
		if i == statusTables {
			fmt.Fprintf(b, "  and %d more\n", len(open)-i)
			return
		}
		fmt.Fprintf(b, "  %-32s %s %5.1f %%   %-8s %s of about %s rows\n", t.Schema+"."+t.Table, bar(t.Share, 16), t.Share*100,
			t.State, thousands(t.Rows), thousands(t.RowsExpected))
	}
}

func bar(share float64, width int) string {
	full := int(share * float64(width))
	return "[" + strings.Repeat("█", full) + strings.Repeat("░", width-full) + "]"
}

func millis(ms float64) string {
	if ms < 10_000 {
		return fmt.Sprintf("%.0f ms", ms)
	}
	return (time.Duration(ms) * time.Millisecond).Round(time.Second).String()
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func newPauseCommand(g *globals) *cobra.Command {
	return newHoldCommand(g, "pause", "Hold the copy of a running migration",
		`Pause lets the chunks that are under way end and begins no others. The stream goes on, so the
target does not fall behind. The pause ends with "changeover resume", or with the run.`)
}

func newResumeCommand(g *globals) *cobra.Command {
	return newHoldCommand(g, "resume", "Go on with a copy that was paused", `Resume ends "changeover pause".`)
}

func newHoldCommand(g *globals, verb, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: verb, Short: short, Long: long, Example: "  changeover " + verb, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			var s cdc.Status
			if err := control.Ask(cmd.Context(), cfg.StateDir, "POST", "/v1/"+verb, &s); err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), statusText(s))
			return err
		},
	}
}
