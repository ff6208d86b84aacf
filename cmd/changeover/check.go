package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"changeover/internal/fault"
	"changeover/internal/server"
	"changeover/verify/compat"
	trial "changeover/verify/compat/run"
)

// checkFlags are what `changeover check` is told.
type checkFlags struct {
	target, from, failOn, exemptions, baseline, writeBaseline, lock, writeLock, explain string
	formats                                                                             []string
	list, verbose, live, data, run                                                      bool
}

// newCheckCommand makes `changeover check`.
func newCheckCommand(g *globals) *cobra.Command {
	f := &checkFlags{}
	cmd := &cobra.Command{
		Use:   "check PATH | source: | target:",
		Short: "Tell in CI whether a schema and its migrations will work on the target",
		Long: `Check reads migrations (a folder of golang-migrate files), statements (a file, such as a dump without rows)
or a live server (source: or target: of the configuration), and says what will not work on the target, or not do the
same there. Given a path alone it asks no server.

  --live   look at both servers of the configuration too: variables, accounts, numbers
  --data   and ask them about rows: bounded questions, none reads a table as a whole
  --run    run each migration up, down and up again on a throwaway MySQL and a throwaway MariaDB, and compare
           what the two end with

Nothing is written to a server of the configuration.

  error     it will not work, or not do the same
  warning   it may not
  info      good to know
  not checked   nobody looked, and why: that is not clean

A finding that is meant to be there is exempted with a reason, in the text before the statement

  -- changeover:ignore FK605 until=2027-01-31 the application deletes no parents

or in a file of exemptions (--exemptions). A baseline (--write-baseline, then --baseline) lets old findings be
and fails on new ones only.

Exit codes: 0 clean · 1 findings as bad as --fail-on · 2 it could not be done · 64 usage · 78 a profile, a file of
exemptions or a comment that exempts is wrong. docs/check.md has the JSON and all rules.`,
		Example: `  changeover check migrations/sql --target aurora-3
  changeover check schema.sql --from mariadb --target aurora-3 --format text --format json=check.json
  changeover check migrations/sql --run
  changeover check source: --target target: --data
  changeover check diff migrations/sql source: --from mariadb
  changeover check --explain MDB203
  changeover check capture -c changeover.yaml > our-cluster.yaml && changeover check migrations/sql --target our-cluster.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error { return f.check(cmd, g, paths) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.target, "target", "aurora-3", "what it shall work on: "+strings.Join(compat.ProfileNames(), ", ")+", a `FILE` that capture wrote, or target: of the configuration")
	flags.StringVar(&f.from, "from", "", "whose dialect the text is in, mysql or mariadb (default: what a dump's head or a live source says, else either)")
	flags.BoolVar(&f.live, "live", false, "look at both servers of the configuration too")
	flags.BoolVar(&f.data, "data", false, "ask the live servers about rows, within bounds")
	flags.BoolVar(&f.run, "run", false, "run the migrations up, down and up again on throwaway servers")
	flags.StringVar(&f.writeBaseline, "write-baseline", "", "write the findings' fingerprints into a `FILE`, and exit 0")
	flags.StringVar(&f.lock, "lock", "", "a `FILE` of hashes of migrations that have run: an edited one is an error")
	flags.StringVar(&f.writeLock, "write-lock", "", "write the migrations' hashes into a `FILE` (as sha256sum does), and exit 0")
	flags.StringVar(&f.explain, "explain", "", "say all that is known of a rule, by its `ID`")
	flags.BoolVar(&f.list, "list", false, "list the rules")
	f.common(flags)
	cmd.AddCommand(newCaptureCommand(g), newCheckDiffCommand(g))
	return cmd
}

// common are the flags that check and check diff share.
func (f *checkFlags) common(flags *pflag.FlagSet) {
	flags.StringVar(&f.failOn, "fail-on", "error", "exit 1 on findings as bad as this: error, warning, info")
	flags.StringArrayVar(&f.formats, "format", nil, strings.Join(compat.Formats, ", ")+": to stdout, or FORMAT=FILE; may be given several times (default: text; github too within a GitHub workflow)")
	flags.StringVar(&f.exemptions, "exemptions", "", "a `FILE` of findings that are meant to be there, with reasons")
	flags.StringVar(&f.baseline, "baseline", "", "a `FILE` of fingerprints of findings that were there before")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show exempted findings too")
}

func newCaptureCommand(g *globals) *cobra.Command {
	name := ""
	cmd := &cobra.Command{
		Use:   "capture",
		Short: "Write the profile of the configuration's target, so that CI needs no way to it",
		Long: `Capture asks the target of the configuration for its version, collations, character sets, reserved words and a
few variables, and writes them as a profile for check --target. It writes nothing there, and nothing of the profile is secret.`,
		Example: "  changeover check capture -c changeover.yaml > our-cluster.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			e, err := cfg.TargetEndpoint()
			if err != nil {
				return err
			}
			db, err := server.Open(e, server.Session{})
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }()
			p, err := compat.Capture(cmd.Context(), db, name)
			if err != nil {
				return err
			}
			text, err := p.YAML()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "captured", "the profile's name")
	return cmd
}

func (f *checkFlags) check(cmd *cobra.Command, g *globals, paths []string) error {
	out := cmd.OutOrStdout()
	switch {
	case f.list:
		return compat.List(out)
	case f.explain != "":
		r, ok := compat.RuleByID(f.explain)
		if !ok {
			return fault.New(fault.Usage, "there is no rule %s; --list shows all", f.explain)
		}
		return r.Explain(out)
	case len(paths) == 0:
		return fault.New(fault.Usage, "name a folder of migrations, a file of statements, or source: of the configuration")
	}
	if err := f.valid(); err != nil {
		return err
	}
	if f.data && !f.live && paths[0] != liveSource {
		return fault.New(fault.Usage, "--data asks the source about rows: give --live too, or source: in place of the path")
	}
	s := &looks{g: g, data: f.data}
	defer s.close()
	opts, err := f.options(cmd.Context(), s)
	if err != nil {
		return err
	}
	in, err := s.input(cmd.Context(), paths[0])
	if err != nil {
		return err
	}
	opts.From = cmp.Or(opts.From, in.Flavor)
	if f.writeLock != "" {
		return os.WriteFile(f.writeLock, compat.LockOf(in), 0o666)
	}
	if f.live || paths[0] == liveSource {
		if opts.Source, err = s.look(cmd.Context(), liveSource); err != nil {
			return err
		}
		opts.From = opts.Source.Flavor
	}
	if f.live || paths[0] == liveTarget || f.target == liveTarget {
		if opts.Target, err = s.look(cmd.Context(), liveTarget); err != nil {
			return err
		}
	}
	if f.run {
		if opts.Ran, err = trial.Steps(cmd.Context(), in, trialOptions(cmd.ErrOrStderr(), opts)); err != nil {
			return err
		}
	}
	report, err := compat.Check(cmd.Context(), in, opts)
	switch {
	case cmd.Context().Err() != nil:
		return cmd.Context().Err()
	case err != nil: // a comment that exempts
		return fault.New(fault.Config, "%w", err)
	}
	if f.writeBaseline != "" {
		return writeBaseline(f.writeBaseline, report)
	}
	return f.answer(out, report)
}

func (f *checkFlags) valid() error {
	switch {
	case compat.Severity(f.failOn) != compat.Error && compat.Severity(f.failOn) != compat.Warning && compat.Severity(f.failOn) != compat.Info:
		return fault.New(fault.Usage, "--fail-on %s: it must be error, warning or info", f.failOn)
	case f.from != "" && f.from != string(server.MySQL) && f.from != string(server.MariaDB):
		return fault.New(fault.Usage, "--from %s: it must be mysql or mariadb", f.from)
	}
	return f.validFormats()
}

// answer writes the report, and makes the exit code of what it found.
func (f *checkFlags) answer(out io.Writer, report *compat.Report) error {
	err := f.write(out, report)
	if err == nil && report.Worst(compat.Severity(f.failOn)) {
		return &answerNo{}
	}
	return err
}

func (f *checkFlags) options(ctx context.Context, s *looks) (o compat.Options, err error) {
	o.From = server.Flavor(f.from)
	switch {
	case f.target == "": // diff has its own
	case f.target == liveTarget:
		if o.To, err = s.profile(ctx); err != nil {
			return o, err
		}
	default:
		if o.To, err = compat.LoadProfile(f.target); err != nil {
			return o, fault.New(fault.Config, "%w", err)
		}
	}
	return o, errors.Join(
		reading(f.exemptions, &o.Exemptions, compat.ReadExemptions),
		reading(f.lock, &o.Lock, compat.ReadLock),
		reading(f.baseline, &o.Baseline, compat.ReadBaseline))
}

// reading reads a file that a flag names; none is named by an empty one.
func reading[T any](file string, into *T, read func(name string, text []byte) (T, error)) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err == nil {
		*into, err = read(file, text)
	}
	if err != nil {
		return fault.New(fault.Config, "%w", err)
	}
	return nil
}
