package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"changeover/migrations"
)

// lossless is the first step under which there are tables of the platform's that a way down drops.
const lossless = 7

// migration is what the subcommands of migrate share.
type migration struct {
	open   func(context.Context) (*sql.DB, error)
	notice time.Duration
	batch  int
}

// migrateCommand is `platform migrate`; open connects to the platform's database.
func migrateCommand(open func(context.Context) (*sql.DB, error)) *cobra.Command {
	m := &migration{open: open}
	to := uint(0)
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's tables to the step that this program needs",
		Long: `Migrate makes the platform's tables in an empty database, and takes those of an older program to
where this one needs them. It runs while servers serve: a step never takes away what a running server
needs, rows are copied in short transactions before the step that relies on them, and a step waits for
a table for two seconds at most before it lets others pass and tries again.

A second migrator on the same database waits for the first. One that is interrupted goes on where it was
the next time; in the rare case that it can't know how far a step has come, it says so, and "migrate
force" is for telling it.`,
		Example: `  platform migrate                 # to the newest step
  platform migrate status          # which steps the database has
  platform migrate up --to 9
  platform migrate down --to 8     # undo the steps after 8`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return m.up(cmd, to) },
	}
	cmd.Flags().UintVar(&to, "to", 0, "the step to end at; the newest if not given")
	flags := cmd.PersistentFlags()
	flags.DurationVar(&m.notice, "notice", 5*time.Second, "how long running servers have to notice a new column or table before its rows are copied; they look every 2s")
	flags.IntVar(&m.batch, "batch", 1000, "rows in each transaction of a copy")
	cmd.AddCommand(m.upCommand(), m.downCommand(), m.statusCommand(), m.forceCommand())
	return cmd
}

func (m *migration) upCommand() *cobra.Command {
	to := uint(0)
	cmd := &cobra.Command{
		Use:     "up",
		Short:   "Go to the newest step, or to the one that --to names",
		Long:    "Up runs the steps that the database doesn't have yet. It is what migrate does without a subcommand.",
		Example: "  platform migrate up --to 11",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return m.up(cmd, to) },
	}
	cmd.Flags().UintVar(&to, "to", 0, "the step to end at; the newest if not given")
	return cmd
}

func (m *migration) up(cmd *cobra.Command, to uint) error {
	return m.with(cmd, func(ctx context.Context, _ *sql.DB, on *migrations.Migrator) error { return on.Up(ctx, to) })
}

func (m *migration) downCommand() *cobra.Command {
	to, yes := uint(0), false
	cmd := &cobra.Command{
		Use:   "down --to N",
		Short: "Undo the steps after one",
		Long: `Down undoes the steps after step N, the newest first, also while servers serve. What an older schema
can't hold is not cut off: the way down stops there and says which rows are in its way.

Below step 7, steps down drop the platform's tables with all that is in them; that needs --yes.`,
		Example: `  platform migrate down --to 8
  platform migrate down --to 0 --yes     # empties the database`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("to") {
				return errors.New("down needs to know where to: --to N")
			}
			if to < lossless && !yes {
				return fmt.Errorf("below step %d tables are dropped with all that is in them: add --yes if that is wanted", lossless)
			}
			return m.with(cmd, func(ctx context.Context, db *sql.DB, on *migrations.Migrator) error {
				at, _, err := migrations.Version(ctx, db)
				if err != nil {
					return err
				}
				if at <= to {
					return fmt.Errorf("the database is at step %d: there is nothing to undo", at)
				}
				return on.Down(ctx, int(at-to))
			})
		},
	}
	cmd.Flags().UintVar(&to, "to", 0, "the step to end at; 0 is an empty database")
	cmd.Flags().BoolVar(&yes, "yes", false, "drop tables too")
	return cmd
}

func (m *migration) forceCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "force N",
		Short: "Say at which step the database is, after a migrator was stopped in the middle of one",
		Long: `Force notes that the database is at step N; it changes no table. A migrator that was killed while the
server carried out a step can't know whether the step was done. Compare the tables with the step's
statements (migrations/sql), put right what is half done, and say where the database is then.`,
		Example: "  platform migrate force 9",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil {
				return fmt.Errorf("%q is not the number of a step", args[0])
			}
			return m.with(cmd, func(ctx context.Context, _ *sql.DB, on *migrations.Migrator) error { return on.Force(ctx, uint(n)) })
		},
	}
}

func (m *migration) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show which steps the database has",
		Long:    "Status lists all steps that this program knows, and which of them the database has. It writes nothing.",
		Example: "  platform migrate status",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.with(cmd, func(ctx context.Context, db *sql.DB, _ *migrations.Migrator) error {
				at, dirty, err := migrations.Version(ctx, db)
				if err != nil {
					return err
				}
				return printSteps(cmd.OutOrStdout(), at, dirty)
			})
		},
	}
}

func printSteps(w io.Writer, at uint, dirty bool) error {
	text := ""
	for _, s := range migrations.Steps() {
		state := "there"
		switch {
		case s.Number > at:
			state = "to come"
		case s.Number == at && dirty:
			state = "begun, and its end is not known"
		}
		text += fmt.Sprintf("%4d  %-28s %s\n", s.Number, s.Name, state)
	}
	newest := uint(len(migrations.Steps()))
	switch {
	case dirty:
		text += (&migrations.DirtyError{Version: at}).Error() + "\n"
	case at > newest:
		text += fmt.Sprintf("The database is at step %d, of a newer program.\n", at)
	case at == newest:
		text += "The database has all of them.\n"
	default:
		text += fmt.Sprintf("The database is at step %d of %d: platform migrate takes it to the newest.\n", at, newest)
	}
	_, err := io.WriteString(w, text)
	return err
}

// with connects and runs do.
func (m *migration) with(cmd *cobra.Command, do func(context.Context, *sql.DB, *migrations.Migrator) error) error {
	if m.notice < 0 || m.batch < 1 || m.batch > 100_000 {
		return fmt.Errorf("--notice %v, --batch %d: the time can't be negative, and a batch has from 1 to 100000 rows", m.notice, m.batch)
	}
	db, err := m.open(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(4) // one that copies and one that swaps tables beside its own; a server's pool may be smaller
	on := migrations.New(db, consoleLog(cmd.ErrOrStderr()))
	on.Notice, on.Batch = m.notice, m.batch
	return do(cmd.Context(), db, on)
}

// consoleLog writes the log for a person.
func consoleLog(w io.Writer) zerolog.Logger {
	return zerolog.New(zerolog.ConsoleWriter{Out: w, NoColor: !onScreen(w), TimeFormat: "15:04:05.000"}).With().Timestamp().Logger()
}

// onScreen tells whether w is a person's screen; NO_COLOR counts as none.
func onScreen(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}
