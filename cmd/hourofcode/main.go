// Command hourofcode is the students: it loads the platform as a school does, and audits afterwards
// that nothing which a student was told is saved has been lost. Each subcommand has a file.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"changeover/internal/fault"
)

// The exit codes, the same as changeover's.
const (
	exitDone   = 0
	exitNo     = 1  // the answer is no: the run failed, or the audit found something
	exitFailed = 2  // it could not be done
	exitUsage  = 64 // EX_USAGE of sysexits.h
	exitConfig = 78 // EX_CONFIG
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// errNo ends a command whose output is the answer already, and the answer is no.
var errNo = errors.New("the answer is no")

// run executes the command line and returns its exit code. An error is printed once, here.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the process at once
	began := false
	root := newRootCommand(&began)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errNo):
		return exitNo
	case !began: // cobra refuses a command line before anything of ours runs
		_, _ = fmt.Fprintf(stderr, "hourofcode: %v. See %s --help.\n", err, cmd.CommandPath())
		return exitUsage
	}
	_, _ = fmt.Fprintln(stderr, "hourofcode:", err)
	code, _ := fault.CodeOf(err)
	switch code {
	case fault.Usage:
		return exitUsage
	case fault.Password, fault.Config:
		return exitConfig
	}
	return exitFailed
}

// newRootCommand makes the whole tree; began becomes true when a command line was understood.
func newRootCommand(began *bool) *cobra.Command {
	root := &cobra.Command{
		Use:   "hourofcode",
		Short: "Students: open-loop load on the platform, and the audit that no acknowledged write was lost",
		Long: `Hourofcode is the school that uses the platform. 'load' clicks on Run as often as it is told, on
time, whatever the platform answers, and keeps a ledger of every write. 'audit' compares ledgers with
the database: each write that a student was told is saved must be there, once, as it was sent.

Exit codes: 0 done · 1 the answer is no · 2 it could not be done · 64 usage · 78 a password can't be read.
Secrets come from files or the environment, never from arguments, and are never printed.`,
		Example: `  hourofcode load http://127.0.0.1:8080 --runs 300 --for 2m --ledger day.ledger
  hourofcode audit day.ledger --writer app@127.0.0.1:3306 --writer-password-file app.pw --database school`,
		Args:              cobra.NoArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(*cobra.Command, []string) error { *began = true; return nil },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newLoadCommand(), newReportCommand(), newAuditCommand())
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// isTerminal tells whether w is a person's screen; NO_COLOR counts as none.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}

// printJSON writes a command's answer for a program.
func printJSON(w io.Writer, answer any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(answer)
}
