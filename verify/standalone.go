package verify

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// StandaloneOptions say what two servers are compared for, and how gently.
type StandaloneOptions struct {
	Source, Target server.Endpoint
	Databases      []string
	InScope        func(database, table string) bool // nil: every table of the databases

	Parallel   int           // chunks at once, each on both servers; 0 means 2
	Share      float64       // of these connections' time that the source works for it; 0 means 1, all of it
	MaxRunning int           // statements that others run on the source above which it waits; 0: no bound
	Recheck    time.Duration // for so long a row must stay different, and unchanged; 0: it is looked at again at once
	Limit      int           // differing rows of each table that are described

	// Consistent reads both sides at one position: the target must be a replica of the source.
	Consistent bool
	Wait       time.Duration // what the replica may take to come to that position; 0 means 5 minutes

	Say func(string) // hears what an operator should know meanwhile: why it waits, for one; nil: nobody does
}

// Standalone compares two servers that nobody streams between. They needn't be quiet: what differs at
// first sight is looked at again by its key, and is different only if it stays so while neither side
// changes it.
type Standalone struct {
	o        StandaloneOptions
	pace     *pace
	progress progress
	once     sync.Once // of what needs to be said once

	sourceFlavor, targetFlavor server.Flavor // once they were asked

	piece, held, handful int // pieceRows, heldRows, handfulRows; smaller in tests
}

// NewStandalone makes a Standalone.
func NewStandalone(o StandaloneOptions) *Standalone {
	if o.Parallel <= 0 {
		o.Parallel = 2
	}
	if o.Share <= 0 {
		o.Share = 1
	}
	if o.Wait <= 0 {
		o.Wait = 5 * time.Minute
	}
	if o.Consistent { // in read views time changes nothing
		o.Recheck = 0
	}
	if o.InScope == nil {
		o.InScope = func(string, string) bool { return true }
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	// A share of all is no bound, also not where more than two are busy with one chunk.
	share := o.Share * float64(o.Parallel)
	if o.Share >= 1 {
		share = unbounded
	}
	return &Standalone{o: o, pace: newPace(share, o.MaxRunning), piece: pieceRows, held: heldRows, handful: handfulRows}
}

const unbounded = 1e9

// Verdict is what was found of a table, or of all.
type Verdict string

// The verdicts, the one that matters most first.
const (
	Different Verdict = "different" // rows differ, or the table can't be equal
	Failed    Verdict = "failed"    // it could not be read
	Unsettled Verdict = "unsettled" // what differs kept changing while it was looked at
	Same      Verdict = "equal"
)

var verdicts = []Verdict{Different, Failed, Unsettled, Same}

// Report is the result of comparing two servers.
type Report struct {
	Source, Target string // user@host:port
	Began          time.Time
	Took           time.Duration
	Position       string // GTIDs at which both sides were read; empty if each was read as it was at the time
	Tables         []TableReport
	Skipped        []Skipped
}

// Verdict is the most important one of the tables.
func (r *Report) Verdict() Verdict {
	all := Same
	for _, t := range r.Tables {
		all = worse(all, t.Verdict)
	}
	return all
}

func worse(a, b Verdict) Verdict {
	return verdicts[min(slices.Index(verdicts, a), slices.Index(verdicts, b))]
}

// TableReport is what was found of one table.
type TableReport struct {
	Name
	Verdict Verdict
	Reason  string // why it is not equal whatever its rows are, or failed; else empty

	SourceRows, TargetRows uint64
	Different              uint64 // rows that differ, those that only one side has included
	AtLeast                bool   // there are more of them than were counted
	Unsettled              uint64 // rows that kept changing
	Differences            []Difference
	Took                   time.Duration // from its first chunk to its last
}

// Skipped is something with rows that is not compared.
type Skipped struct {
	Name
	Kind string // "view", "sequence", …
}

// Run compares. Tables that differ or are missing are in the report; the error says that a server can't
// be asked any more, or that there is nothing to compare.
func (s *Standalone) Run(ctx context.Context) (*Report, error) {
	began := time.Now()
	if err := s.probe(ctx); err != nil {
		return nil, err
	}
	src, dst, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = errors.Join(src.Close(), dst.Close()) }()
	c, err := newComparer(ctx, src, dst)
	if err != nil {
		return nil, err
	}
	found, err := s.list(ctx, c)
	if err != nil {
		return nil, err
	}
	report := &Report{Source: s.o.Source.String(), Target: s.o.Target.String(), Began: began, Skipped: found.skipped}
	lanes := s.lanes(src, dst)
	if s.o.Consistent {
		if lanes, report.Position, err = s.consistent(ctx, c, found.names); err != nil {
			return nil, err
		}
	}
	defer closeLanes(lanes)
	scans, err := s.load(ctx, c, found)
	if err != nil {
		return nil, err
	}
	if err := s.scan(ctx, src, lanes, scans); err != nil {
		return nil, err
	}
	for _, t := range scans {
		report.Tables = append(report.Tables, t.report)
	}
	slices.SortFunc(report.Tables, func(a, b TableReport) int {
		return cmp.Or(cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Table, b.Table))
	})
	report.Took = time.Since(began)
	return report, nil
}

// probe asks the servers who they are. That the two are one server is an error: it is equal to itself, and
// that says nothing.
func (s *Standalone) probe(ctx context.Context) error {
	a, err := server.Probe(ctx, s.o.Source)
	if err != nil {
		return err
	}
	b, err := server.Probe(ctx, s.o.Target)
	if err != nil {
		return err
	}
	s.sourceFlavor, s.targetFlavor = a.Flavor, b.Flavor
	if server.Same(a, b) {
		return fault.New(fault.SameServer, "%s and %s are both %s", s.o.Source, s.o.Target, a.UUID)
	}
	return errors.Join(newEnough(s.o.Source, fault.SourceVersion, a), newEnough(s.o.Target, fault.TargetVersion, b))
}

// newEnough fails for a MySQL that has no digests of 256 bits.
func newEnough(e server.Endpoint, code fault.Code, id server.Identity) error {
	v, err := server.ParseVersion(id.Version)
	if err != nil || v.Flavor == server.MySQL && !v.AtLeast(8, 0, 0) {
		return fault.New(code, "%s is %s, which can't compute the digests", e, id.Version)
	}
	return nil
}

// dial opens the two pools. They have a connection for each lane, and a few for what goes on beside.
func (s *Standalone) dial(ctx context.Context) (src, dst *sql.DB, err error) {
	n := s.o.Parallel + 3
	if src, err = server.Dial(ctx, s.o.Source, s.session(s.sourceFlavor, n)); err != nil {
		return nil, nil, err
	}
	if dst, err = server.Dial(ctx, s.o.Target, s.session(s.targetFlavor, n)); err != nil {
		_ = src.Close()
		return nil, nil, err
	}
	return src, dst, nil
}

// session is Session, whatever the server bounds sessions by: a table that can't be cut may take its time,
// and a row that is cut off would count as missing.
func (s *Standalone) session(flavor server.Flavor, n int) server.Session {
	session := Session(n)
	session.Vars["sql_select_limit"] = "18446744073709551615"
	session.Vars["sql_big_selects"] = "1"
	if flavor == server.MariaDB {
		session.Vars["max_statement_time"] = "0"
	} else {
		session.Vars["max_execution_time"] = "0"
	}
	return session
}

// lane is a pair of connections, or of pools, through which one worker reads.
type lane struct {
	source, target *sql.DB
	views          bool // each is one connection with a read view
}

// lanes are the pools themselves: every statement reads what is there then.
func (s *Standalone) lanes(src, dst *sql.DB) []lane {
	return slices.Repeat([]lane{{source: src, target: dst}}, s.o.Parallel)
}

// through is the pair as it is read through a lane.
func (p *pair) through(l lane) *pair {
	source, target := *p.source, *p.target
	source.db, target.db = l.source, l.target
	return &pair{source: &source, target: &target, key: p.key}
}

// release lets an ALTER that waits for what the views have read go on, and those that wait behind it: a
// transaction keeps the definition of each table that it has read until it ends, or goes back to a
// savepoint from before.
func (l lane) release(ctx context.Context) error {
	if !l.views {
		return nil
	}
	for _, db := range []*sql.DB{l.source, l.target} {
		if _, err := db.ExecContext(ctx, "ROLLBACK TO SAVEPOINT "+viewSavepoint); err != nil {
			return fmt.Errorf("release a read view's tables: %w", err)
		}
	}
	return nil
}

func closeLanes(lanes []lane) {
	for _, l := range lanes {
		if l.views {
			_ = errors.Join(l.source.Close(), l.target.Close())
		}
	}
}

// scan compares all tables, each lane with a goroutine of its own. It returns when all are done, or with
// the first error that isn't one table's.
func (s *Standalone) scan(ctx context.Context, src *sql.DB, lanes []lane, scans []*scan) error {
	w := &workshop{s: s, scans: scans, queue: newQueue(s.held)}
	s.progress.begin(scans)
	if err := s.watch(ctx, src, w); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watchOn(watching, src, w) })
	group, working := errgroup.WithContext(ctx)
	for _, l := range lanes {
		group.Go(func() error { return w.work(working, l) })
	}
	err := group.Wait()
	stop()
	watcher.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && connectionLost(err):
		return fault.New(fault.Connect, "%w", err)
	}
	return err
}
