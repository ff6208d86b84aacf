package main

import (
	"github.com/spf13/cobra"

	"changeover/internal/fault"
	"changeover/internal/server"
	"changeover/verify/compat"
)

// newCheckDiffCommand makes `changeover check diff`.
func newCheckDiffCommand(g *globals) *cobra.Command {
	f := &checkFlags{}
	to := ""
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two schemas: migrations, dumps and live servers",
		Long: `Diff compares what two inputs end with, in a form in which MySQL and MariaDB write the same thing alike:
tables with their columns, keys, checks and partitions, views, programs. Each is a folder of migrations, a file of
statements, or source: or target: of the configuration. Text is run on a throwaway server first, so that nothing is
guessed: on the flavor that --from (for A) or --to (for B) says, else that of the dump's head, else a MySQL.

Exit codes are those of check. What can't be compared is said to be not checked.`,
		Example: `  changeover check diff source: target:
  changeover check diff migrations/sql source: --from mariadb
  changeover check diff before.sql after.sql --fail-on warning`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, names []string) error { return f.diff(cmd, g, names[0], names[1], to) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "the flavor of A, mysql or mariadb, if it is text (default: of the dump's head, else mysql)")
	flags.StringVar(&to, "to", "", "the flavor of B, mysql or mariadb, if it is text (default: of the dump's head, else mysql)")
	f.common(flags)
	return cmd
}

func (f *checkFlags) diff(cmd *cobra.Command, g *globals, a, b, to string) error {
	if err := f.valid(); err != nil {
		return err
	}
	if to != "" && to != string(server.MySQL) && to != string(server.MariaDB) {
		return fault.New(fault.Usage, "--to %s: it must be mysql or mariadb", to)
	}
	s := &looks{g: g}
	defer s.close()
	opts, err := f.options(cmd.Context(), s)
	if err != nil {
		return err
	}
	in := &compat.Input{}
	for _, x := range []struct {
		name, flavor string
		into         **compat.Picture
	}{{a, f.from, &opts.Source}, {b, to, &opts.Target}} {
		text, picture, err := s.picture(cmd.Context(), x.name, server.Flavor(x.flavor), trialOptions(cmd.ErrOrStderr(), compat.Options{}))
		if err != nil {
			return err
		}
		if *x.into = picture; text != nil && len(in.Files) == 0 {
			in = text // where findings have their place
		}
	}
	opts.To = &compat.Profile{Name: b, Version: opts.Target.Version}
	opts.From, opts.Families, opts.Same = opts.Source.Flavor, []string{"DIF"}, true
	report, err := compat.Check(cmd.Context(), in, opts)
	if err != nil {
		return err
	}
	return f.answer(cmd.OutOrStdout(), report)
}
