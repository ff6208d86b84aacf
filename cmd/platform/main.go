// Command platform is one application server of the bundled learning platform, and what belongs to
// running it. Each subcommand has a file.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"changeover/platform/store"
)

// The exit codes, the same as changeover's.
const (
	exitDone   = 0
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
	fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
	var wrong configError
	switch {
	case errors.As(err, &wrong):
		return exitConfig
	case !began:
		fmt.Fprintf(stderr, "See '%s --help'.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// newRootCommand makes the command tree; began is set when a subcommand's own work starts: an error
// before that is one of usage.
func newRootCommand(began *bool) *cobra.Command {
	var file string
	root := &cobra.Command{
		Use:   "platform",
		Short: "A learning platform: puzzles, classes, dances and apps, over one MySQL or MariaDB database",
		Long: `Platform is the application that Changeover moves from under its users: a small but real
learning platform, as busy as a class at the Hour of Code.

Its settings are in a file of YAML:

  listen: 127.0.0.1:8080
  database: {host: 127.0.0.1, port: 3306, user: app, password_file: app.pw, name: school}
  assets: file:///var/lib/platform/assets      # or s3://bucket?region=eu-west-1
  admin_token_file: admin.token                # opens /api/admin to its holder; may be left out

While Changeover moves the database to another server, each server's settings name both: 'database'
is the source, and

  changeover:
    migration: school                          # its name in changeover's own file
    target: {host: db.example.net, user: app, password_file: target.pw}
    first: source                              # the writer while neither server says who it is
    bus: {ca_file: bus.pem, nkey_file: app.nk} # only for a bus that is not on this machine

the target. Both servers are asked who the writer is, at the start and from then on; 'seed' and 'admin' go
with it too, and 'migrate' goes to the writer of its beginning. Without a user and a password of its own the
target has those of 'database'.

A new database is made ready by 'platform migrate' and 'platform seed'; then any number of
'platform serve' may run behind a load balancer.`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { *began = true },
	}
	root.PersistentFlags().StringVarP(&file, "config", "c", "platform.yaml", "the file of settings")
	open := func(ctx context.Context) (*sql.DB, error) {
		cfg, err := loadConfig(file)
		if err != nil {
			return nil, err
		}
		at, err := cfg.writer(ctx, consoleLog(root.ErrOrStderr()))
		if err != nil {
			return nil, err
		}
		at.MultiStatements = true
		return store.Open(at)
	}
	writing := func(ctx context.Context, connections int) (*platform, error) {
		cfg, err := loadConfig(file)
		if err != nil {
			return nil, err
		}
		return cfg.writing(ctx, consoleLog(root.ErrOrStderr()), connections)
	}
	root.AddCommand(serveCommand(&file), migrateCommand(open), seedCommand(writing), adminCommand(writing))
	return root
}
