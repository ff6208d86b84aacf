// Command changeover moves a live MySQL or MariaDB to Aurora MySQL. Each subcommand has a file.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"changeover/internal/config"
	"changeover/internal/fault"
)

// The exit codes: what a script that calls changeover can tell apart.
const (
	exitDone   = 0
	exitNo     = 1  // the answer is no: blocked, different, findings
	exitFailed = 2  // it could not be done
	exitUsage  = 64 // EX_USAGE of sysexits.h
	exitConfig = 78 // EX_CONFIG
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes the command line and returns its exit code. An error is printed once, here.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := false
	root := newRootCommand(&began)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if !began { // cobra refuses a command line before anything of ours runs
		_, _ = fmt.Fprintf(stderr, "changeover: %v. See %s --help.\n", err, cmd.CommandPath())
		return exitUsage
	}
	printError(stderr, ctx, err)
	return exitCode(err)
}

// printError writes one line for an error, and one for each problem of a configuration.
func printError(w io.Writer, ctx context.Context, err error) {
	var problems config.Problems
	var no *answerNo
	switch {
	case errors.As(err, &no): // its output has said it
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(w, "changeover: interrupted")
	case errors.As(err, &problems):
		_, _ = fmt.Fprintf(w, "changeover: the configuration has %d problem(s):\n%v\n", len(problems), problems)
	default:
		_, _ = fmt.Fprintln(w, "changeover:", err)
	}
}

// exitCode maps an error to its exit code: its own if it has one, else its fault's.
func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	code, _ := fault.CodeOf(err)
	switch code {
	case fault.Config, fault.ConfigUnknown, fault.Password:
		return exitConfig
	case fault.Usage, fault.Confirm:
		return exitUsage
	case fault.PlanBlocked, fault.VerifyDifferent:
		return exitNo
	}
	return exitFailed
}

// newRootCommand makes the whole tree; began becomes true when a command line was understood.
func newRootCommand(began *bool) *cobra.Command {
	g := &globals{}
	root := &cobra.Command{
		Use:   "changeover",
		Short: "Move a live MySQL or MariaDB to Aurora MySQL",
		Long: `Changeover moves a live MySQL or MariaDB to Amazon Aurora MySQL while its application keeps
serving: it copies what is there, streams what comes, and shows that both sides are equal.

A migration is described by a file, changeover.yaml, and goes through three commands:

  changeover plan      everything that would block, all at once; writes nothing
  changeover run       copies and streams, resumes where it was
  changeover status    how far it has come, how far behind it is

Exit codes: 0 done · 1 the answer is no · 2 it could not be done · 64 usage · 78 configuration.
Secrets come from files or the environment, never from arguments, and are never printed.`,
		Example: `  # Try it on throwaway servers of this machine
  changeover sandbox up
  changeover plan -c .changeover-sandbox/changeover.yaml

  # A migration of one's own
  changeover plan -c school.yaml
  changeover run -c school.yaml --until caught-up`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			*began = true
			g.stderr = cmd.ErrOrStderr()
			return g.check()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	g.register(root)
	root.AddCommand(commands(g)...)
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// commands lists every subcommand, in the order in which an operator meets them.
func commands(g *globals) []*cobra.Command {
	return []*cobra.Command{
		newSandboxCommand(),
		newPlanCommand(g),
		newCheckCommand(g),
		newRunCommand(g),
		newStatusCommand(g),
		newDDLCommand(g),
		newPauseCommand(g),
		newResumeCommand(g),
		newVerifyCommand(g),
		newRehearseCommand(g),
		newCutoverCommand(g),
		newRollbackCommand(g),
		newFinishCommand(g),
		newSettleCommand(g),
		newHistoryCommand(g),
		newRouteCommand(g),
		newNKeyCommand(),
		newDemoCommand(),
		newVersionCommand(),
	}
}
