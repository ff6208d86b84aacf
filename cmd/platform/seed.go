package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"changeover/platform/seed"
)

// seedCommand is `platform seed`; open connects to the platform's database.
func seedCommand(open func(ctx context.Context, connections int) (*platform, error)) *cobra.Command {
	var o seed.Options
	var passwordFile string
	cmd := &cobra.Command{
		Use:   "seed",
		Short: "Bring in the courses, and students with their work if you want some",
		Long: `Seed brings the courses into a migrated database, or up to date there; it may run again at any time.

With --students or --activities it also makes a school to try things out on: students and teachers in
sections, guests of the Hour of Code, what all of them ran, their projects, events. What it writes is
consistent, and the same for the same options. It needs a database in which nobody is yet; it is quick
with an empty one: a million activities take about twenty seconds on two cores.

With --password-file, everybody but the guests can sign in with the password in that file: admin,
teacher-1 …, student-1 …, organiser-1 …. Without it nobody can.`,
		Example: `  platform seed                                            # the courses
  platform seed --students 2000
  platform seed --students 20000 --activities 1000000 --password-file demo.pw`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if passwordFile != "" {
				text, err := os.ReadFile(passwordFile)
				if err != nil {
					return err
				}
				o.Password = []byte(strings.TrimRight(string(text), "\r\n"))
			}
			school := false
			for _, name := range []string{"students", "guests", "activities", "projects", "events", "seed"} {
				school = school || cmd.Flags().Changed(name)
			}
			return runSeed(cmd, open, o, school)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&o.Students, "students", 0, "students, in sections of 25 (default 2000)")
	flags.IntVar(&o.Guests, "guests", 0, "visitors of an Hour of Code without an account (default half as many as students)")
	flags.IntVar(&o.Activities, "activities", 0, "clicks on Run (default 40 for each student and guest)")
	flags.IntVar(&o.Projects, "projects", 0, "dances and apps (default one for ten students)")
	flags.IntVar(&o.Events, "events", 0, "Hours of Code that are announced (default one for fifty students)")
	flags.Uint64Var(&o.Seed, "seed", 0, "another number is another school")
	flags.IntVar(&o.Connections, "connections", 4, "connections that write at once")
	flags.StringVar(&passwordFile, "password-file", "", "`FILE` with the password of all accounts, 8 to 72 bytes")
	return cmd
}

func runSeed(cmd *cobra.Command, open func(ctx context.Context, connections int) (*platform, error), o seed.Options, school bool) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	p, err := open(ctx, max(o.Connections, 1)+1) // one reads while the others write
	if err != nil {
		return err
	}
	defer func() { _ = p.done() }()
	if err := seed.Curriculum(ctx, p.db); err != nil {
		return err
	}
	if !school {
		_, err := fmt.Fprintln(out, "The courses are up to date.")
		return err
	}
	screen := &seedScreen{w: cmd.ErrOrStderr(), began: time.Now(), live: onScreen(cmd.ErrOrStderr())}
	o.Progress = screen.show
	err = seed.Students(ctx, p.db, o)
	screen.clear()
	if errors.Is(err, seed.ErrThere) {
		_, err := fmt.Fprintln(out, "The courses are up to date, and the database has this school already.")
		return err
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "The school is there: %d rows in %s.\n", screen.last.Rows, time.Since(screen.began).Round(100*time.Millisecond))
	return err
}

// seedScreen shows how far a seed is: on a terminal in a line that changes, else in a line every ten
// seconds.
type seedScreen struct {
	w     io.Writer
	began time.Time
	live  bool

	mu   sync.Mutex
	told time.Time
	last seed.Progress
}

func (s *seedScreen) show(p seed.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = p
	if !s.live && time.Since(s.told) < 10*time.Second {
		return
	}
	s.told = time.Now()
	perSecond := float64(p.Rows) / time.Since(s.began).Seconds()
	line := fmt.Sprintf("%-18s %d of about %d rows · %.0f rows/s", p.Doing, p.Rows, p.Total, perSecond)
	if s.live {
		_, _ = fmt.Fprint(s.w, "\r\x1b[K"+line)
		return
	}
	_, _ = fmt.Fprintln(s.w, line)
}

func (s *seedScreen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live && s.last.Rows > 0 {
		_, _ = fmt.Fprint(s.w, "\r\x1b[K")
	}
}
