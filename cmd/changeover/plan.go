package main

import (
	"github.com/spf13/cobra"

	"changeover/cdc/plan"
)

// newPlanCommand makes `changeover plan`.
func newPlanCommand(g *globals) *cobra.Command {
	asJSON, grants := false, false
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "List everything that would block a migration, all at once",
		Long: `Plan connects to both sides and lists everything that would block the migration or needs a
decision, each with its code, its cause and what to do. It writes nothing to either side. If one side
can't be reached it says so, and looks at the other all the same.

  block    run refuses to start until it is cleared
  decide   run starts; somebody should have decided that it may
  note     what will be done, or is good to know

With --grants it prints instead the least privileges that Changeover's accounts need on each side, for
the run, for rehearsals and the cutover, and for the way back, each with what it is for, as SQL ready to
run by who may grant them. Of one that is missing plan says how far the migration comes without.

Exit code 1 if anything blocks. docs/errors.md explains each code, docs/plan.md the JSON.`,
		Example: `  changeover plan
  changeover plan -c school.yaml
  changeover plan -c school.yaml --grants
  changeover plan -c school.yaml --json | jq '.findings[] | select(.severity == "block")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if grants {
				return printGrants(cmd, g, asJSON)
			}
			return runPlan(cmd, g, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	cmd.Flags().BoolVar(&grants, "grants", false, "print the least privileges that are needed, as SQL")
	return cmd
}

func printGrants(cmd *cobra.Command, g *globals, asJSON bool) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	needs, err := plan.LeastGrants(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), map[string]any{"grants": needs})
	}
	return plan.WriteGrants(cmd.OutOrStdout(), needs)
}

func runPlan(cmd *cobra.Command, g *globals, asJSON bool) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	report, err := plan.Run(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if asJSON {
		err = printJSON(out, report)
	} else {
		err = report.Text(out, plan.Color(isTerminal(out)))
	}
	if err == nil && report.Blocked() {
		return &answerNo{}
	}
	return err
}
