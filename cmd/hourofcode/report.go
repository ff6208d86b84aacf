package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"changeover/internal/fault"
	"changeover/platform/students"
)

// reportFlags are the flags of `hourofcode report`.
type reportFlags struct {
	around []string
	strict bool
	asJSON bool
}

func newReportCommand() *cobra.Command {
	f := &reportFlags{}
	cmd := &cobra.Command{
		Use:   "report FILE",
		Short: "Show a report that 'load --report' has written",
		Long: `Report shows what a load has measured. Where answers named another writer than before, it shows what
the students saw of that flip; --around shows it for any time: the ten seconds before, the second that
begins then, and the ten after that.

  pause   the longest time between two acknowledged writes, over all students
  hold    from when the first write that the new writer acknowledged was sent, to that acknowledgement
  failed  requests that a client saw fail: any 5xx, a connection refused, lost or silent, saved later or not
  stale   reads that missed what this student had been told is saved

Latencies are of the clicks in that time, from the click to the answer.`,
		Example: `  hourofcode report day.json --around 2026-12-07T10:15:00.250Z --strict`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return showReport(cmd, f, args[0]) },
	}
	cmd.Flags().StringArrayVar(&f.around, "around", nil, "a `TIME` such as 2026-12-07T10:15:00.250Z; may be repeated")
	cmd.Flags().BoolVar(&f.strict, "strict", false, "a request that failed is a reason for exit code 1, even if the outbox saved it")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "answer in JSON: the report without its timeline, and around")
	return cmd
}

func showReport(cmd *cobra.Command, f *reportFlags, file string) error {
	var times []time.Time
	for _, text := range f.around {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return fault.New(fault.Usage, "--around is no time such as 2026-12-07T10:15:00.250Z")
		}
		times = append(times, t)
	}
	r, err := readReport(file)
	if err != nil {
		return err
	}
	if len(times) > 0 && r.Timeline == nil {
		return fmt.Errorf("%s has no timeline: an older version wrote it", file)
	}
	around := []students.Around{}
	for _, t := range times {
		around = append(around, r.Timeline.Around(t))
	}
	if err := f.show(cmd.OutOrStdout(), r, around); err != nil {
		return err
	}
	if !r.OK() || f.strict && r.Counts.FailedRequests > 0 {
		return errNo
	}
	return nil
}

func readReport(file string) (*students.Report, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r students.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s is no report: %w", file, err)
	}
	return &r, nil
}

func (f *reportFlags) show(w io.Writer, r *students.Report, around []students.Around) error {
	if f.asJSON {
		short := *r
		short.Timeline = nil
		return printJSON(w, struct {
			*students.Report
			Around []students.Around `json:"around"`
		}{&short, around})
	}
	if err := printReport(w, r, ""); err != nil {
		return err
	}
	return printAround(w, around)
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
	tell("%d requests failed, %d reads were stale", c.FailedRequests, c.Stale)
	for _, why := range slices.Sorted(maps.Keys(c.Failed)) {
		tell("%d tries failed: %s (%s)", c.Failed[why], why, r.Samples[why])
	}
	tell("%d late and %d dropped starts: %.3f %%, at most %.1f %%", c.Late, c.Dropped, 100*r.Generator.LateShare, 100*r.Generator.LateLimit)
	tell("the load itself took %.1f %% of %d cores", 100*r.Generator.Share, r.Generator.Cores)
	if ledgerFile != "" {
		tell("the ledger is %s", ledgerFile)
	}
	if err := printFlips(w, r.Flips); err != nil {
		return err
	}
	for _, complaint := range r.Complaints {
		tell("NOT GOOD: %s", complaint)
	}
	return nil
}

// printFlips shows each change of the writer, as the clients saw it.
func printFlips(w io.Writer, flips []students.Flip) error {
	for _, f := range flips {
		hold := ms(f.Hold)
		if f.Hold <= 0 {
			hold = "none"
		}
		if _, err := fmt.Fprintf(w, "\nepoch %d: hold as students saw it %s, pause %s\n", f.Epoch, hold, ms(f.Around.During.Pause)); err != nil {
			return err
		}
		if err := printAround(w, []students.Around{f.Around}); err != nil {
			return err
		}
	}
	return nil
}

// printAround shows the parts of the timeline that are around something.
func printAround(w io.Writer, around []students.Around) error {
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	for _, a := range around {
		line("around %s\tpause\twrites p50\tp99\tmax\treads p99\tmax\twrites/s\tfailed\tstale", a.At.UTC().Format("2006-01-02T15:04:05.000Z"))
		for _, s := range []struct {
			name string
			students.Stretch
		}{{"  ten seconds before", a.Before}, {"  in the second", a.During}, {"  ten seconds after", a.After}} {
			line("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f\t%d\t%d", s.name, ms(s.Pause), ms(s.WriteLatency.P50), ms(s.WriteLatency.P99), ms(s.WriteLatency.Max),
				ms(s.ReadLatency.P99), ms(s.ReadLatency.Max), float64(s.Writes)/s.Seconds, s.Failed, s.Stale)
		}
		line("  extra latency of writes, p99: %s", ms(a.Extra))
	}
	return out.Flush()
}
