package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"changeover/platform/students"
)

func newReportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report FILE",
		Short: "Show a report that 'load --report' has written",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			var r students.Report
			if err := json.Unmarshal(text, &r); err != nil {
				return fmt.Errorf("%s is no report: %w", args[0], err)
			}
			if err := printReport(cmd.OutOrStdout(), &r, ""); err != nil {
				return err
			}
			if !r.OK() {
				return errNo
			}
			return nil
		},
	}
}

// printReport shows what a run came to. Runs/s and statements/s are two figures, never one for the other.
func printReport(w io.Writer, r *students.Report, ledgerFile string) error {
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	line("phase\tRuns/s\twrite statements/s\tp50\tp95\tp99\tmax\tof Runs, from the click")
	for _, p := range r.Phases {
		line("%s\t%.1f\t%.0f\t%s\t%s\t%s\t%s\t", p.Phase, p.RunsPerSecond, p.StatementsPerSecond, ms(p.Run.P50), ms(p.Run.P95), ms(p.Run.P99), ms(p.Run.Max))
	}
	line("")
	line("operation\tphase\tcount\tp50\tp95\tp99\tmax")
	for _, o := range r.Operations {
		line("%s\t%s\t%d\t%s\t%s\t%s\t%s", o.Kind, o.Phase, o.Count, ms(o.Latency.P50), ms(o.Latency.P95), ms(o.Latency.P99), ms(o.Latency.Max))
	}
	line("")
	if err := out.Flush(); err != nil {
		return err
	}
	c := r.Counts
	tell := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	tell("%d starts, %d operations sent, %d acknowledged, %d retried (%d had been done), %d unanswered", c.Starts, c.Sent, c.Acknowledged, c.Retried, c.Replayed, c.Unacknowledged)
	for _, why := range slices.Sorted(maps.Keys(c.Failed)) {
		tell("%d tries failed: %s (%s)", c.Failed[why], why, r.Samples[why])
	}
	tell("%d late and %d dropped starts: %.3f %%, at most %.1f %%", c.Late, c.Dropped, 100*r.Generator.LateShare, 100*r.Generator.LateLimit)
	tell("the load itself took %.1f %% of %d cores", 100*r.Generator.Share, r.Generator.Cores)
	if ledgerFile != "" {
		tell("the ledger is %s", ledgerFile)
	}
	for _, complaint := range r.Complaints {
		tell("NOT GOOD: %s", complaint)
	}
	return nil
}
