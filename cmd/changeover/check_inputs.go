package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"changeover/internal/server"
	"changeover/verify/compat"
	trial "changeover/verify/compat/run"
)

// What stands for a server of the configuration where a path could stand.
const (
	liveSource = "source:"
	liveTarget = "target:"
)

// looks are at the servers of the configuration, at each once. Their connections stay until close: rules may
// ask about rows.
type looks struct {
	g    *globals
	data bool
	seen map[string]*compat.Picture
	open []*sql.DB
}

func (s *looks) close() {
	for _, db := range s.open {
		_ = db.Close()
	}
}

// look gives what a server of the configuration has, as far as the migration is about it.
func (s *looks) look(ctx context.Context, word string) (*compat.Picture, error) {
	if p := s.seen[word]; p != nil {
		return p, nil
	}
	db, err := s.dial(ctx, word)
	if err != nil {
		return nil, err
	}
	cfg, err := s.g.load()
	if err != nil {
		return nil, err
	}
	p, err := compat.Look(ctx, db, compat.LookOptions{Databases: cfg.Databases, MayLack: word == liveTarget, Data: s.data})
	if err != nil {
		return nil, fmt.Errorf("%s %w", word, err)
	}
	p.Within(cfg.Databases, cfg.Tables.Match)
	if s.seen == nil {
		s.seen = map[string]*compat.Picture{}
	}
	s.seen[word] = p
	return p, nil
}

// profile is the live target's.
func (s *looks) profile(ctx context.Context) (*compat.Profile, error) {
	db, err := s.dial(ctx, liveTarget)
	if err != nil {
		return nil, err
	}
	return compat.Capture(ctx, db, "target")
}

// asking are what sessions set that ask about rows: none keeps a transaction open, or waits long for others' locks.
var asking = map[string]string{"autocommit": "1", "lock_wait_timeout": "2"}

func (s *looks) dial(ctx context.Context, word string) (*sql.DB, error) {
	cfg, err := s.g.load()
	if err != nil {
		return nil, err
	}
	endpoint := cfg.SourceEndpoint
	if word == liveTarget {
		endpoint = cfg.TargetEndpoint
	}
	e, err := endpoint()
	if err != nil {
		return nil, err
	}
	db, err := server.Dial(ctx, e, server.Session{Connections: 4, Vars: asking})
	if err != nil {
		return nil, err
	}
	s.open = append(s.open, db)
	return db, nil
}

// input reads what a name stands for.
func (s *looks) input(ctx context.Context, name string) (*compat.Input, error) {
	if name == liveSource || name == liveTarget {
		p, err := s.look(ctx, name)
		if err != nil {
			return nil, err
		}
		return compat.InputOf(p), nil
	}
	return compat.ReadInput(name)
}

// picture is what a name stands for as a server has it. Text, which is given too, is run on a throwaway server of the
// flavor; empty: whose dump it says that it is, else MySQL.
func (s *looks) picture(ctx context.Context, name string, flavor server.Flavor, o trial.Options) (*compat.Input, *compat.Picture, error) {
	if name == liveSource || name == liveTarget {
		p, err := s.look(ctx, name)
		return nil, p, err
	}
	in, err := compat.ReadInput(name)
	if err != nil {
		return nil, nil, err
	}
	o.Flavors, o.UpOnly = []server.Flavor{cmp.Or(flavor, in.Flavor, server.MySQL)}, true
	ran, err := trial.Steps(ctx, in, o)
	if err != nil {
		return nil, nil, err
	}
	r := ran.Servers[0]
	if r.Picture == nil {
		return nil, nil, errors.Join(fmt.Errorf("%s does not run on %s %s, so it can't be compared: %s", name, r.Flavor, r.Version, r.Stopped), firstError(r))
	}
	r.Picture.Throwaway = true
	return in, r.Picture, nil
}

// trialOptions are those of a real run whose progress goes to w.
func trialOptions(w io.Writer, o compat.Options) trial.Options {
	return trial.Options{From: o.From, To: o.To, ANSIQuotes: o.ANSIQuotes, Progress: showProgress(w), Version: func(d trial.Done) { fmt.Fprintln(w, d) }}
}

// firstError is what the server said where it stopped.
func firstError(r compat.RanServer) error {
	for _, o := range r.Outcomes {
		if o.Error != nil {
			line, column := o.File.At(o.Start)
			return fmt.Errorf("%s:%d:%d: error %d: %s", o.File.Name, line, column, o.Error.Errno, o.Error.Message)
		}
	}
	return nil
}
