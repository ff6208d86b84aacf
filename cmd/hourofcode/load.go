package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"changeover/internal/fault"
	"changeover/platform/students"
	"changeover/platform/students/ledger"
)

// loadFlags are the flags of `hourofcode load`.
type loadFlags struct {
	runs, pace             float64
	surges                 []string
	length, ramp           time.Duration
	grace, timeout         time.Duration
	seed                   uint64
	ledgerFile, reportFile string
	asJSON, elsewhere      bool
	strict                 bool
}

func newLoadCommand() *cobra.Command {
	f := &loadFlags{}
	cmd := &cobra.Command{
		Use:   "load URL…",
		Short: "Use the platform as a school does, at a given rate of Runs",
		Long: `Load is students in classes of 25: 70 % play an Hour of Code without an account, 24 % are signed
in, 4 % make apps, 1.5 % are teachers, 0.5 % organisers. Between two Runs a student thinks for a time
that is log-normal with a median of 25 s; there are as many students as the rate takes. --pace makes
them think quicker, so that fewer do.

When everybody clicks is drawn from --seed before the first request. The load is open: a platform that
stalls stops no click, and latency counts from the click. Writes go through an outbox as a browser's
do: in a student's order, again under the same operation id after a lost connection or a 502, 503 or
504, until they are answered.

--surge 5x is five times the rate in the middle third, 5x@40s+20s from second 40 for 20 seconds.
Several URLs are taken in turn, as DNS would; one may be a load balancer's.

The ledger has each write before it is sent: 'hourofcode audit' needs it. Write statements are
estimated from the kinds of operations (a Run is three, four with a new program).

The run fails (exit code 1) if more than 0.1 % of the starts were late (over 20 ms after they could be
sent) or dropped, if a write was refused or not answered in the grace, or if a read missed a write;
with --strict also if any request failed: a 5xx, a connection refused, lost or silent.
Ctrl-C ends the clicks, and the outboxes go on for the grace; a second Ctrl-C ends at once.`,
		Example: `  hourofcode load http://127.0.0.1:8080 --runs 300 --for 2m
  hourofcode load http://127.0.0.1:8080 --runs 300 --for 3m --ramp 30s --surge 5x --pace 20 --report day.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, urls []string) error { return load(cmd, f, urls) },
	}
	f.register(cmd.Flags())
	return cmd
}

func (f *loadFlags) register(flags *pflag.FlagSet) {
	flags.Float64Var(&f.runs, "runs", 30, "clicks on Run a `second`")
	flags.StringArrayVar(&f.surges, "surge", nil, "a time with more: `FACTORx[@FROM[+LENGTH]]`, such as 5x@40s+20s; may be repeated")
	flags.DurationVar(&f.length, "for", 2*time.Minute, "how long")
	flags.DurationVar(&f.ramp, "ramp", 0, "how long until the rate is reached (default a tenth of --for)")
	flags.Float64Var(&f.pace, "pace", 1, "students think so many `times` quicker")
	flags.Uint64Var(&f.seed, "seed", 1, "the same seed draws the same clicks")
	flags.DurationVar(&f.grace, "grace", 30*time.Second, "how long outboxes go on at the end")
	flags.DurationVar(&f.timeout, "timeout", 20*time.Second, "of one try")
	flags.StringVar(&f.ledgerFile, "ledger", "", "the `FILE` that becomes the ledger; must not exist (default hourofcode-TIME.ledger)")
	flags.StringVar(&f.reportFile, "report", "", "a `FILE` for the report as JSON")
	flags.BoolVar(&f.asJSON, "json", false, "print the report as JSON")
	flags.BoolVar(&f.strict, "strict", false, "a request that failed fails the run, even if the outbox saved it")
	flags.BoolVar(&f.elsewhere, "elsewhere", false, "the platform is not on this machine, and may be loaded: I am allowed to")
}

func (f *loadFlags) curve(cmd *cobra.Command) (students.Curve, error) {
	c := students.Curve{Runs: f.runs, For: f.length, Ramp: f.ramp}
	if !cmd.Flags().Changed("ramp") {
		c.Ramp = f.length / 10
	}
	for _, text := range f.surges {
		s, err := students.ParseSurge(text)
		if err != nil {
			return c, err
		}
		c.Surges = append(c.Surges, s)
	}
	return c, nil
}

// isHere tells whether an address is this machine's own.
func isHere(at string) bool {
	u, err := url.Parse(at)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && addr.IsLoopback()
}

func load(cmd *cobra.Command, f *loadFlags, args []string) (err error) {
	urls, err := students.URLsOf(args)
	if err != nil {
		return fault.New(fault.Usage, "%w", err)
	}
	for _, u := range urls {
		if !f.elsewhere && !isHere(u) {
			return fault.New(fault.Usage, "%s is not this machine: say --elsewhere if you may load it", u)
		}
	}
	curve, err := f.curve(cmd)
	if err != nil {
		return fault.New(fault.Usage, "%w", err)
	}
	o := students.Options{URLs: urls, Curve: curve, Pace: f.pace, Seed: f.seed, Grace: f.grace, Timeout: f.timeout, Strict: f.strict}
	if err := students.Check(o); err != nil {
		return fault.New(fault.Usage, "%w", err)
	}
	began := time.Now()
	if f.ledgerFile == "" {
		f.ledgerFile = "hourofcode-" + began.UTC().Format("20060102T150405") + ".ledger"
	}
	o.Ledger, err = ledger.Create(f.ledgerFile, ledger.Header{Run: uuid.NewString(), Started: began.UTC(), URLs: urls, Seed: f.seed})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Ledger.Close()) }()
	run, err := students.New(o)
	if err != nil {
		return err
	}
	report, err := watched(cmd, run)
	if err != nil {
		return named(err)
	}
	return f.answer(cmd, report)
}

// watched runs the load with its display.
func watched(cmd *cobra.Command, run *students.Load) (*students.Report, error) {
	// Not the command's context: after a Ctrl-C the display shows the outboxes.
	watching, stop := context.WithCancel(context.WithoutCancel(cmd.Context()))
	defer stop()
	screen := newScreen(cmd.ErrOrStderr())
	screen.line("%d students", run.Seats())
	done := screen.watch(watching, run)
	report, err := run.Run(cmd.Context())
	stop()
	<-done
	return report, err
}

// named puts words to an error of the network that would otherwise begin with a method and a path.
func named(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("the platform can't be reached: %w", err)
	}
	return err
}

func (f *loadFlags) answer(cmd *cobra.Command, r *students.Report) error {
	if f.reportFile != "" {
		out, err := os.Create(f.reportFile)
		if err != nil {
			return err
		}
		if err := errors.Join(printJSON(out, r), out.Close()); err != nil {
			return err
		}
	}
	var err error
	if f.asJSON {
		err = printJSON(cmd.OutOrStdout(), r)
	} else {
		err = printReport(cmd.OutOrStdout(), r, f.ledgerFile)
	}
	if err == nil && !r.OK() {
		err = errNo
	}
	return err
}
