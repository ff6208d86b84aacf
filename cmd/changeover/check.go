package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"changeover/internal/fault"
	"changeover/internal/server"
	"changeover/verify/compat"
)

// checkFlags are what `changeover check` is told.
type checkFlags struct {
	target, from, failOn, exemptions, baseline, writeBaseline, explain string
	formats                                                            []string
	list, verbose                                                      bool
}

// newCheckCommand makes `changeover check`.
func newCheckCommand(g *globals) *cobra.Command {
	f := &checkFlags{}
	cmd := &cobra.Command{
		Use:   "check PATH",
		Short: "Tell in CI whether a schema and its migrations will work on the target",
		Long: `Check reads migrations (a folder of golang-migrate files) or statements (a file, such as a dump without
rows) and says what will not work on the target, or not do the same there. It asks no server.

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
  changeover check --explain MDB203
  changeover check capture -c changeover.yaml > our-cluster.yaml && changeover check migrations/sql --target our-cluster.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error { return f.run(cmd, paths) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.target, "target", "aurora-3", "what it shall work on: "+strings.Join(compat.ProfileNames(), ", ")+", or a `FILE` that capture wrote")
	flags.StringVar(&f.from, "from", "", "whose dialect the text is in, mysql or mariadb (default: either)")
	flags.StringVar(&f.failOn, "fail-on", "error", "exit 1 on findings as bad as this: error, warning, info")
	flags.StringArrayVar(&f.formats, "format", nil, "text, json or github, to stdout, or FORMAT=FILE; may be given several times (default: text; github too within a GitHub workflow)")
	flags.StringVar(&f.exemptions, "exemptions", "", "a `FILE` of findings that are meant to be there, with reasons")
	flags.StringVar(&f.baseline, "baseline", "", "a `FILE` of fingerprints of findings that were there before")
	flags.StringVar(&f.writeBaseline, "write-baseline", "", "write the findings' fingerprints into a `FILE`, and exit 0")
	flags.StringVar(&f.explain, "explain", "", "say all that is known of a rule, by its `ID`")
	flags.BoolVar(&f.list, "list", false, "list the rules")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show exempted findings too")
	cmd.AddCommand(newCaptureCommand(g))
	return cmd
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

func (f *checkFlags) run(cmd *cobra.Command, paths []string) error {
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
		return fault.New(fault.Usage, "name a folder of migrations, or a file of statements")
	case compat.Severity(f.failOn) != compat.Error && compat.Severity(f.failOn) != compat.Warning && compat.Severity(f.failOn) != compat.Info:
		return fault.New(fault.Usage, "--fail-on %s: it must be error, warning or info", f.failOn)
	case f.from != "" && f.from != string(server.MySQL) && f.from != string(server.MariaDB):
		return fault.New(fault.Usage, "--from %s: it must be mysql or mariadb", f.from)
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	in, err := compat.ReadInput(paths[0])
	if err != nil {
		return err
	}
	report, err := compat.Check(in, opts)
	if err != nil { // a comment that exempts
		return fault.New(fault.Config, "%w", err)
	}
	if f.writeBaseline != "" {
		return writeBaseline(f.writeBaseline, report)
	}
	err = f.write(out, report)
	if err == nil && report.Worst(compat.Severity(f.failOn)) {
		return &answerNo{}
	}
	return err
}

func (f *checkFlags) options() (o compat.Options, err error) {
	o.From = server.Flavor(f.from)
	if o.To, err = compat.LoadProfile(f.target); err != nil {
		return o, fault.New(fault.Config, "%w", err)
	}
	if f.exemptions != "" {
		text, err := os.ReadFile(f.exemptions)
		if err != nil {
			return o, fault.New(fault.Config, "%w", err)
		}
		if o.Exemptions, err = compat.ReadExemptions(f.exemptions, text); err != nil {
			return o, fault.New(fault.Config, "%w", err)
		}
	}
	if f.baseline != "" {
		file, err := os.Open(f.baseline)
		if err != nil {
			return o, fault.New(fault.Config, "%w", err)
		}
		defer func() { _ = file.Close() }()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if print, _, _ := strings.Cut(lines.Text(), " "); print != "" && print[0] != '#' {
				o.Baseline = append(o.Baseline, print)
			}
		}
	}
	return o, nil
}

func (f *checkFlags) write(out io.Writer, r *compat.Report) (err error) {
	formats := f.formats
	if len(formats) == 0 {
		formats = []string{"text"}
		if os.Getenv("GITHUB_ACTIONS") == "true" {
			formats = append(formats, "github")
		}
	}
	for _, format := range formats {
		format, name, _ := strings.Cut(format, "=")
		if !slices.Contains(compat.Formats, format) {
			return fault.New(fault.Usage, "--format %s: there are %s", format, strings.Join(compat.Formats, ", "))
		}
		if name == "" {
			err = errors.Join(err, r.Write(out, format, f.verbose))
			continue
		}
		file, made := os.Create(name)
		if made != nil {
			return made
		}
		err = errors.Join(err, r.Write(file, format, f.verbose), file.Close())
	}
	return err
}

func writeBaseline(name string, r *compat.Report) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	for _, x := range r.Findings {
		_, wrote := fmt.Fprintf(file, "%s %s %s\n", x.Fingerprint, x.Rule, x.Object)
		err = errors.Join(err, wrote)
	}
	return errors.Join(err, file.Close())
}
