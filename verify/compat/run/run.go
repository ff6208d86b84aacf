// Package run tries migrations where it costs nothing: on throwaway servers of both kinds, each version up, down
// and up again, statement by statement, with what the servers say to each.
//
// In: a folder of migrations or a dump, as compat reads it. Out: compat.Ran, for the rules that look at it. The
// decision that matters: it is done as golang-migrate does it, on one connection for all files, so that what a
// file leaves in the session (a sql_mode, foreign_key_checks = 0) is there for the next one; a version that fails
// is dirty, and nothing runs on that server after it. A dump is done as a client does it that goes on after
// errors, since what is wrong further down is of interest too.
//
// An Aurora target is played by a stock MySQL that refuses the engines which Aurora refuses, and asked by an
// account with the rights of Aurora's master user. Otherwise statements run as root. The servers are gone when
// Steps returns, however it returns.
package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/internal/sandbox"
	"changeover/internal/server"
	"changeover/verify/compat"
	"changeover/verify/compat/ddl"
)

// Options are what a run goes by.
type Options struct {
	// Flavors are the servers to run on; empty: MySQL, and MariaDB too unless the source is known to be none.
	Flavors []server.Flavor
	// From is the source's flavor; empty: either.
	From server.Flavor
	// To is the target; nil: a stock MySQL. Which version runs is the machine's to say, not the profile's: it is in
	// compat.RanServer.
	To *compat.Profile
	// Database is the name of the database that the files find; empty: changeover_check.
	Database   string
	ANSIQuotes bool // "a" is a name
	UpOnly     bool // each version once, without the way down
	// Patience is how long a statement may take; 0: ten minutes.
	Patience time.Duration
	// Progress hears of a server that is unpacked first, Version of each version (or dump) that is through. Both are
	// called by one goroutine at a time; nil is silent.
	Progress sandbox.Progress
	Version  func(Done)
}

// Done is a version that is through on a server.
type Done struct {
	Flavor     server.Flavor
	Name       string // 0003_sections, or a dump's file
	Number, Of int
	Failed     bool // or was not run to its end
	Took       time.Duration
}

// String is a line for people.
func (d Done) String() string {
	how := "ran"
	if d.Failed {
		how = "did not pass"
	}
	return fmt.Sprintf("%s: %d of %d, %s %s (%s)", d.Flavor, d.Number, d.Of, d.Name, how, d.Took.Round(time.Millisecond))
}

const (
	defaultDatabase = "changeover_check"
	defaultPatience = 10 * time.Minute
)

// Steps runs an input on servers that are made for it and removed. What the servers say to statements is in Ran;
// an error is what keeps it from being known: no server to be had, one that ended, ctx.
func Steps(ctx context.Context, in *compat.Input, o Options) (*compat.Ran, error) {
	o = o.complete()
	ran := &compat.Ran{Servers: make([]compat.RanServer, len(o.Flavors))}
	for i, f := range o.Flavors {
		ran.Servers[i] = compat.RanServer{Flavor: f}
	}
	if why := refused(in); why != "" {
		for i := range ran.Servers {
			ran.Servers[i].Stopped, ran.Servers[i].Unrun = why, versions(in)
		}
		return ran, nil
	}
	dir, err := sandbox.NewRunDir()
	if err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := range ran.Servers {
		g.Go(func() error {
			s := &ran.Servers[i]
			if err := onThrowaway(ctx, filepath.Join(dir.Path, string(s.Flavor)), in, o, s); err != nil {
				return fmt.Errorf("run on %s: %w", s.Flavor, err)
			}
			return nil
		})
	}
	if err := errors.Join(g.Wait(), dir.Close()); err != nil {
		return nil, err
	}
	return ran, nil
}

// versions are the names of all that have a way up.
func versions(in *compat.Input) (all []string) {
	for _, s := range in.Steps {
		if s.Up != nil {
			all = append(all, name(s))
		}
	}
	return all
}

// complete fills in what was left out, and lets one goroutine at a time tell of progress.
func (o Options) complete() Options {
	if len(o.Flavors) == 0 {
		o.Flavors = []server.Flavor{server.MySQL}
		if o.From != server.MySQL {
			o.Flavors = append(o.Flavors, server.MariaDB)
		}
	}
	o.Database = cmp.Or(o.Database, defaultDatabase)
	o.Patience = cmp.Or(o.Patience, defaultPatience)
	var mu sync.Mutex
	if hears := o.Progress; hears != nil {
		o.Progress = func(s sandbox.Step) {
			mu.Lock()
			defer mu.Unlock()
			hears(s)
		}
	}
	hears := o.Version
	o.Version = func(d Done) {
		if hears != nil {
			mu.Lock()
			defer mu.Unlock()
			hears(d)
		}
	}
	return o
}

// refused says why golang-migrate would not begin with a folder; empty: it would.
func refused(in *compat.Input) string {
	ways := map[string]*ddl.File{}
	for _, s := range in.Steps {
		for way, f := range map[string]*ddl.File{"up": s.Up, "down": s.Down} {
			if f == nil {
				continue
			}
			key := fmt.Sprintf("%d %s", s.Version, way)
			if ways[key] != nil {
				return fmt.Sprintf("version %d has two files for the way %s; golang-migrate refuses such a folder", s.Version, way)
			}
			ways[key] = f
		}
	}
	return ""
}
