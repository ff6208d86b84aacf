package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"changeover/internal/sandbox"
)

// sandboxDir is where a sandbox is unless --dir says otherwise.
const sandboxDir = ".changeover-sandbox"

// sandboxPlace is which sandbox a command means.
type sandboxPlace struct{ dir, name string }

// path is the sandbox's folder; --name puts several side by side.
func (p sandboxPlace) path() string {
	if p.name == "" {
		return p.dir
	}
	return p.dir + "-" + p.name
}

// flags are what the user must repeat to mean this sandbox again.
func (p sandboxPlace) flags() string {
	s := ""
	if p.dir != sandboxDir {
		s += " --dir " + p.dir
	}
	if p.name != "" {
		s += " --name " + p.name
	}
	return s
}

// sandboxError is an error whose exit code isn't 2.
type sandboxError struct {
	code int
	error
}

// ExitCode is the process's exit code for the error.
func (e sandboxError) ExitCode() int { return e.code }

// newSandboxCommand makes `changeover sandbox`. An error of it that has ExitCode() int wants
// that exit code; any other means 2, could not be done.
func newSandboxCommand() *cobra.Command {
	place := &sandboxPlace{}
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Throwaway source and target: real servers to try a migration on",
		Long: `A sandbox is two real servers on this machine: a source, and a target that refuses what
Aurora MySQL refuses. They listen on loopback only, and everything they have is in one folder:
data, logs, passwords, and a changeover.yaml that is ready to use.

Nothing needs to be installed and nothing needs root. Where this machine has no MySQL, the first
sandbox on Debian and Ubuntu downloads one (65 MB) into the cache folder, without touching the
system; CHANGEOVER_MYSQLD and CHANGEOVER_MARIADBD name a server program of your own.`,
		Example: `  changeover sandbox up
  changeover plan -c .changeover-sandbox/changeover.yaml
  changeover sandbox sql source -e 'SHOW DATABASES'
  changeover sandbox down`,
	}
	cmd.PersistentFlags().StringVar(&place.dir, "dir", sandboxDir, "the sandbox's folder")
	cmd.PersistentFlags().StringVar(&place.name, "name", "", "a name, to have several side by side (the folder is DIR-NAME)")
	cmd.AddCommand(newSandboxUp(place), newSandboxDown(place), newSandboxStatus(place), newSandboxSQL(place))
	return cmd
}

func newSandboxUp(place *sandboxPlace) *cobra.Command {
	var source string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a source and a target",
		Long: `Start a source and a target, which run until ` + "`changeover sandbox down`" + `.

The source has an empty database, school, and these accounts; the folder has a file with the
password of each:

  root        everything                                root.pw
  changeover  what Changeover needs of your own server   source.pw
  rdslike     what RDS gives its master user             rdslike.pw
  app         an application's rights                    app.pw

The target has root, app (with the same passwords) and admin, with the rights of Aurora's master
user (target.pw).

If the sandbox is there already, what doesn't run of it is started again, with its data and its
ports. If an earlier up was interrupted, it starts over.`,
		Example: `  changeover sandbox up
  changeover sandbox up --source mariadb --name maria`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flavor := sandbox.Flavor(source)
			if flavor != sandbox.MySQL && flavor != sandbox.MariaDB {
				return sandboxError{64, fmt.Errorf("--source is mysql or mariadb, not %q", source)}
			}
			pair, err := sandbox.Up(cmd.Context(), place.path(), flavor, showProgress(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			return printUp(cmd.OutOrStdout(), place, pair)
		},
	}
	cmd.Flags().StringVar(&source, "source", string(sandbox.MySQL), "the source's kind: mysql or mariadb")
	return cmd
}

func printUp(w io.Writer, place *sandboxPlace, pair *sandbox.Pair) error {
	config := filepath.Join(place.path(), filepath.Base(pair.ConfigFile()))
	flags := place.flags()
	_, err := fmt.Fprintf(w, `The sandbox is up in %[1]s:
  source  %[2]s
  target  %[3]s, refuses what Aurora refuses

Next:
  changeover sandbox sql source%[5]s -e 'CREATE TABLE school.pupils (id INT PRIMARY KEY, name TEXT)'
  changeover sandbox sql source%[5]s --database school < dump.sql     # or data of your own
  changeover plan -c %[4]s
  changeover run -c %[4]s
  changeover sandbox down%[5]s
`, place.path(), address(pair.Source), address(pair.Target), config, flags)
	return err
}

func address(s *sandbox.Server) string {
	return fmt.Sprintf("%s %s at %s:%d", s.Flavor, s.Version, s.Host, s.Port)
}

// showProgress tells of a download: on a terminal as a line that changes, else once a phase.
func showProgress(w io.Writer) sandbox.Progress {
	f, ok := w.(*os.File)
	live := ok && term.IsTerminal(int(f.Fd()))
	var phase string
	return func(s sandbox.Step) {
		if now := s.Doing + " " + s.What; now != phase {
			if live && phase != "" {
				fmt.Fprintln(w)
			}
			phase = now
			if !live {
				fmt.Fprintf(w, "%s: %d packages, %.0f MB\n", now, s.PackagesTotal, float64(s.BytesTotal)/1e6)
			}
		}
		if live {
			fmt.Fprintf(w, "\r%s: %d of %d packages, %.1f of %.1f MB\x1b[K", phase,
				s.Packages, s.PackagesTotal, float64(s.Bytes)/1e6, float64(s.BytesTotal)/1e6)
			if s.Packages == s.PackagesTotal && s.Doing == "unpacking" {
				fmt.Fprintln(w)
				phase = ""
			}
		}
	}
}

func newSandboxDown(place *sandboxPlace) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop both servers and delete their data",
		Long: `Stop both servers and delete everything they had. It also cleans up after an up that was
interrupted. Files in the folder that the sandbox didn't make stay.`,
		Example: "  changeover sandbox down\n  changeover sandbox down --name maria",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := sandbox.Down(cmd.Context(), place.path())
			if errors.Is(err, sandbox.ErrNoPair) {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "There is no sandbox in %s.\n", place.path())
				return err
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The sandbox in %s is gone.\n", place.path())
			return err
		},
	}
}

func newSandboxStatus(place *sandboxPlace) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether the servers run, and where",
		Long: `Say whether the servers run, and where. Exit code 0 means that both do, 1 that they don't.

The state is one of: up, degraded (a server doesn't run; up starts it again), interrupted (an up
died half way; up starts over, down cleans up), busy (an up is at work), none.`,
		Example: "  changeover sandbox status\n  changeover sandbox status --json | jq '.servers[].port'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := sandbox.Look(place.path())
			if err != nil {
				return err
			}
			if err := printStatus(cmd.OutOrStdout(), status, asJSON); err != nil {
				return err
			}
			if status.State != sandbox.StateUp {
				return sandboxError{1, fmt.Errorf("the sandbox in %s is not up: %s", place.path(), status.State)}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printStatus(w io.Writer, status sandbox.Status, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(status)
	}
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(table, "sandbox\t%s\t%s\n", status.State, status.Dir)
	for _, s := range status.Servers {
		running := "stopped"
		if s.Running {
			running = fmt.Sprintf("running, pid %d", s.PID)
		}
		fmt.Fprintf(table, "%s\t%s %s\t%s:%d\t%s\n", s.Role, s.Flavor, s.Version, s.Host, s.Port, running)
	}
	return table.Flush()
}

func newSandboxSQL(place *sandboxPlace) *cobra.Command {
	var user, database, statement string
	cmd := &cobra.Command{
		Use:   "sql source|target",
		Short: "Open a SQL client on one of the servers",
		Long: `Open the server's own command-line client, or run statements: those of -e, or those that come
in on standard input. The account is root on the source and admin, Aurora's master user, on the
target, unless --user names another.`,
		Example: `  changeover sandbox sql source
  changeover sandbox sql source --database school < dump.sql
  changeover sandbox sql target --user root -e 'SELECT @@version'`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{string(sandbox.Source), string(sandbox.Target)},
		RunE: func(cmd *cobra.Command, args []string) error {
			pair, err := sandbox.Find(place.path())
			if err != nil {
				return fmt.Errorf("%w (changeover sandbox up%s)", err, place.flags())
			}
			server, account := pair.Source, sandbox.Root
			if args[0] == string(sandbox.Target) {
				server, account = pair.Target, sandbox.Admin
			}
			if user != "" {
				account = sandbox.Account(user)
			}
			return runClient(cmd, server, account, database, statement)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "the account: root, app, changeover or rdslike on the source; admin, root or app on the target")
	cmd.Flags().StringVarP(&database, "database", "D", "", "the default database")
	cmd.Flags().StringVarP(&statement, "execute", "e", "", "run these statements and print what they return")
	return cmd
}

func runClient(cmd *cobra.Command, server *sandbox.Server, account sandbox.Account, database, statement string) error {
	if !server.Has(account) {
		return sandboxError{64, fmt.Errorf("the %s has no account %s", server.Role, account)}
	}
	// The client has Ctrl-C for itself: it cancels the statement, not the session.
	ctx := context.WithoutCancel(cmd.Context())
	client, err := server.Client(ctx, showProgress(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	options, err := server.DefaultsFile(account)
	if err != nil {
		return err
	}
	args := []string{"--defaults-file=" + options}
	if database != "" {
		args = append(args, "--database="+database)
	}
	if statement != "" {
		args = append(args, "--execute="+statement)
	}
	run := client.Command(ctx, args...)
	run.Stdin, run.Stdout, run.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	if err := run.Run(); err != nil {
		return fmt.Errorf("%s on the %s: %w", client.Name, server.Role, err)
	}
	return nil
}
