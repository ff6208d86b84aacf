package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"changeover/cdc"
	"changeover/cdc/state"
	"changeover/internal/fault"
)

func newDDLCommand(g *globals) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "ddl",
		Short: "Decide about a DDL statement that stopped the stream",
		Long: `A statement in the source's binlog that the target refuses, or that Changeover does not know, stops
"changeover run" before it (CO-1406): everything before it is applied, nothing after it is. "changeover
ddl" lists such statements with their ids. What is to become of one is yours to say:

  ddl run ID    another statement runs on the target in its place
  ddl skip ID   nothing does

Either is carried out by the next "changeover run", once, in its place in the stream. A statement that
is skipped must not matter to the rows that follow: rows that don't fit the target's table stop the
stream again.

Exit codes: 0 nothing waits for a decision, or it was taken; 1 something waits; 2 it could not be done,
a run of this migration lives for example.`,
		Example: `  changeover ddl
  echo 'ALTER TABLE school.pupils ADD COLUMN seen DATETIME NULL' | changeover ddl run 3e11fa47-…:4711 --file -
  changeover ddl skip 3e11fa47-…:4711`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listRefused(cmd, g, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	cmd.AddCommand(newDDLRunCommand(g), newDDLSkipCommand(g))
	return cmd
}

// refusedStatement is one of the answer in JSON.
type refusedStatement struct {
	ID        string       `json:"id"`
	Statement string       `json:"statement"`
	Database  string       `json:"default_database"`
	Reason    string       `json:"reason"`
	Decision  state.Action `json:"decision"` // "run", "skip", or "" while there is none
	Instead   string       `json:"instead,omitempty"`
	Since     time.Time    `json:"since"`
}

func listRefused(cmd *cobra.Command, g *globals, asJSON bool) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	to, err := cfg.TargetEndpoint()
	if err != nil {
		return err
	}
	refused, err := cdc.Refused(cmd.Context(), to, cfg.Migration)
	if err != nil {
		return err
	}
	all, open := []refusedStatement{}, false
	for _, d := range refused {
		all = append(all, refusedStatement{d.ID, d.Statement, d.Schema, d.Reason, d.Action, d.Other, d.Written})
		open = open || d.Action == state.Undecided
	}
	out := cmd.OutOrStdout()
	if asJSON {
		err = printJSON(out, map[string]any{"statements": all})
	} else {
		err = printRefused(out, all)
	}
	if err == nil && open {
		return &answerNo{}
	}
	return err
}

func printRefused(w io.Writer, all []refusedStatement) error {
	var b strings.Builder
	if len(all) == 0 {
		b.WriteString("No statement waits for a decision.\n")
	}
	for _, s := range all {
		fmt.Fprintf(&b, "%s   since %s UTC, default database %q\n  %s\n  %s\n", s.ID, s.Since.Format(time.DateTime), s.Database,
			strings.ReplaceAll(s.Statement, "\n", "\n  "), s.Reason)
		switch s.Decision {
		case state.RunOther:
			fmt.Fprintf(&b, "  decided: the next run executes in its place: %s\n", s.Instead)
		case state.Skip:
			b.WriteString("  decided: the next run leaves it out\n")
		default:
			b.WriteString("  waits for a decision: changeover ddl run, or changeover ddl skip\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newDDLRunCommand(g *globals) *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use:   "run ID --file FILE",
		Short: "Run another statement in the place of one that stopped the stream",
		Long: `Run takes one statement from FILE (- is standard input). The next "changeover run" executes it on the
target where the source's statement stands in the stream, under the source session's sql_mode, charset
and default database. It must name no tables but the source's statement's, and leave them with columns
that the following rows fit.`,
		Example: "  changeover ddl run 3e11fa47-71ca-11e1-9e33-c80aa9429562:4711 --file create.sql",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			other, err := readStatement(cmd, file)
			if err != nil {
				return err
			}
			return decide(cmd, g, args[0], state.RunOther, other)
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "the statement's file, or -")
	return cmd
}

// readStatement reads one statement, without the semicolon at its end.
func readStatement(cmd *cobra.Command, file string) (string, error) {
	var text []byte
	var err error
	switch file {
	case "":
		return "", fault.New(fault.Usage, "ddl run needs the statement: --file FILE, or --file - for standard input")
	case "-":
		text, err = io.ReadAll(cmd.InOrStdin())
	default:
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return "", err
	}
	statement := strings.TrimRight(strings.TrimSpace(string(text)), "; \n\t")
	if statement == "" {
		return "", fault.New(fault.Usage, "%s has no statement", file)
	}
	return statement, nil
}

func newDDLSkipCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "skip ID",
		Short:   "Leave out a statement that stopped the stream",
		Long:    `Skip lets the next "changeover run" pass the statement without running anything on the target.`,
		Example: "  changeover ddl skip 3e11fa47-71ca-11e1-9e33-c80aa9429562:4711",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return decide(cmd, g, args[0], state.Skip, "")
		},
	}
}

func decide(cmd *cobra.Command, g *globals, id string, action state.Action, other string) error {
	cfg, err := g.load()
	if err != nil {
		return err
	}
	o, err := runnerOptions(cfg, cdc.Forever, g.log(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	d, err := cdc.Decide(cmd.Context(), o, id, action, other)
	if err != nil {
		return err
	}
	text := "leaves out"
	if action == state.RunOther {
		text = "executes the statement given in the place of"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "The next run of %s %s %s:\n  %s\n", cfg.Migration, text, id, strings.ReplaceAll(d.Statement, "\n", "\n  "))
	return err
}
