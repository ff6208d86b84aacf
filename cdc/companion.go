package cdc

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/cdc/apply"
	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/snapshot"
	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/server"
)

// Companion goes along with the stream and is told of every change in it: the verifier is one.
//
// The methods but Run and Verified are called by the goroutine that feeds the stream, in its order,
// and hold it up. What a Companion is told of between two starts of Run belongs to the first one.
type Companion interface {
	// Run works beside the stream until ctx ends. It begins anew with each start of the stream, also
	// after the run started over, and then has forgotten all that is not in `_changeover`.
	Run(ctx context.Context, s *Stream) error
	// Begin comes before the first of the other calls of a start, and before Run.
	Begin()
	// Changed tells of changes, before they are applied and before a watermark behind them counts as
	// read. Those that were applied by an earlier run are told of too.
	Changed(changes []row.Change)
	// Touched tells of rows, by their exact keys, that change with others of which Changed has told.
	Touched(t *row.Table, keys map[string]row.Row)
	// Unsaid tells that rows of these tables change which can't be named.
	Unsaid(tables []schedule.Name)
	// Altered tells what a statement made of tables. Everything before it is applied, nothing is under way.
	Altered(tables []Alteration)
	// Checkpoint writes down what may not be forgotten: rows of the stream up to its position can't
	// be read again, since their tables are about to be altered.
	Checkpoint(ctx context.Context) error
	// Verified waits until both sides are proven equal. An error says that they are not.
	Verified(ctx context.Context) error
}

// Alteration is what a statement of the stream made of one table.
type Alteration struct {
	Was, Now schedule.Name // the zero Name: it was, or is, not there
	ID       uint64        // its InnoDB TABLE_ID now
	Renamed  bool          // nothing but its name changed
}

// Stream is what a Companion may ask of a run. Safe for concurrent use.
type Stream struct {
	r     *Runner
	began state.Position
	// Of this start: a run that starts over has all of it new.
	flow     *schedule.Flow
	catalog  *catalog
	store    *state.Store
	marks    *state.Watermarker
	read     *readMarks
	requests chan request
	pin      *server.Pin
}

// newStream is of the start that is being made.
func (r *Runner) newStream() *Stream {
	return &Stream{r: r, began: r.appliedPosition(), flow: r.flow, catalog: r.catalog, store: r.store, marks: r.marks, read: r.read, requests: r.requests, pin: r.pin}
}

// Began is from where the stream was read this time: of all after it the Companion is told.
func (s *Stream) Began() state.Position { return s.began }

// Migration is the migration's name.
func (s *Stream) Migration() string { return s.r.opts.Migration }

// Source opens a pool to the source, for n connections.
func (s *Stream) Source(n int) (*sql.DB, error) {
	return server.Open(s.r.opts.Source, server.Session{Binary: true, Connections: n, Vars: readingVars})
}

// Target opens a pool to the target, for n connections, all to the life of it that the run writes to.
func (s *Stream) Target(n int) (*sql.DB, error) {
	return server.Open(s.r.opts.Target, server.Session{Binary: true, Connections: n, Pin: s.pin, Vars: readingVars})
}

// readingVars let a condition name what a lenient server has stored.
var readingVars = map[string]string{"sql_mode": "'ALLOW_INVALID_DATES'"}

// Store is the migration's state on the target.
func (s *Stream) Store() *state.Store { return s.store }

// Position is the applied position.
func (s *Stream) Position() state.Position { return s.r.appliedPosition() }

// Tables are the target's tables as of the stream's position, those that have all their rows and
// indexes: their definitions, by InnoDB's TABLE_ID.
func (s *Stream) Tables() map[uint64]*row.Table {
	s.catalog.mu.RLock()
	defer s.catalog.mu.RUnlock()
	out := map[uint64]*row.Table{}
	for _, e := range s.catalog.by {
		if e.state == state.Complete {
			out[e.id] = e.def
		}
	}
	return out
}

// Unfinished is how many tables are not wholly copied.
func (s *Stream) Unfinished() (n int) {
	s.catalog.mu.RLock()
	defer s.catalog.mu.RUnlock()
	for _, e := range s.catalog.by {
		if e.state != state.Complete {
			n++
		}
	}
	return n
}

// Mark commits a watermark on the source: what was committed before has become visible there.
func (s *Stream) Mark(ctx context.Context) (uint64, error) {
	return patientMarks{s.marks, s.r.log}.Mark(ctx)
}

// WaitApplied waits until everything before a watermark is committed on the target.
func (s *Stream) WaitApplied(ctx context.Context, mark uint64) error {
	return s.flow.WaitMark(ctx, mark)
}

// WaitRead waits until the Companion has been told of everything before a watermark.
func (s *Stream) WaitRead(ctx context.Context, mark uint64) error { return s.read.wait(ctx, mark) }

// Lag is how far the target is behind.
func (s *Stream) Lag() time.Duration { return s.r.lag.lag().Now }

// Seen tells whether a read view of the source contains a watermark.
func (s *Stream) Seen(ctx context.Context, view *sql.Conn, mark uint64) (bool, error) {
	n, err := s.marks.Read(ctx, view)
	return n >= mark, err
}

// Alone runs write in one target transaction at one point of the stream: everything of which the
// Companion has been told is committed, nothing comes in between. The stream waits meanwhile. what is
// asked at that point, before the transaction, whether it is still to be done.
//
// The transaction is repeated after troubles that pass, so write must be repeatable. A refusal of the
// target is returned, and nothing was written.
func (s *Stream) Alone(ctx context.Context, write func(context.Context, apply.TargetTx) error) error {
	q := request{ctx: ctx, write: write, done: make(chan error, 1)}
	select {
	case s.requests <- q:
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := s.Mark(ctx); err != nil { // it wakes the feeder, which sleeps while nothing comes
		return err
	}
	select {
	case err := <-q.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// request is something to be written at one point of the stream.
type request struct {
	ctx   context.Context // of who asked: once it has ended nobody wants it any more
	write func(context.Context, apply.TargetTx) error
	done  chan error // holds one
}

// serve does what was asked for, at this point of the stream.
func (f *feeder) serve(ctx context.Context) error {
	for {
		select {
		case q := <-f.r.requests:
			if q.ctx.Err() != nil {
				continue
			}
			if err := f.flush(ctx); err != nil {
				return err
			}
			if err := f.r.flow.Drain(ctx, func(schedule.Name) bool { return false }); err != nil {
				return err
			}
			q.done <- f.r.target.large().Do(ctx, q.write, func(context.Context, apply.TargetTx) (bool, error) { return false, nil })
			f.open()
		default:
			return nil
		}
	}
}

// Rows reads the rows of the source for which a condition holds, as they are now, into memory.
func (s *Stream) Rows(ctx context.Context, t *row.Table, where string) (snapshot.Chunk, error) {
	return snapshot.ReadWhere(ctx, s.r.opts.Source, t, where, s.r.opts.Migration+" repair of "+t.Name)
}

// ErrGone says that a part of the stream can't be read again.
var ErrGone = errors.New("the source's binlog does not go back so far, or not by the same way")

// Recall reads the stream again between two positions, both of which are passed already, and gives
// the rows' changes to fn. Tables are known here as they are now: of one that a statement in between
// made another, forget is told instead. ErrGone: the stream can't be read as it was.
func (s *Stream) Recall(ctx context.Context, from, to state.Position, fn func([]row.Change), forget func([]schedule.Name)) error {
	start, err := source.ParsePosition(s.r.flavor, from.Text)
	if err != nil {
		return err
	}
	if from.Seq >= to.Seq {
		return nil // of what comes after it is told
	}
	reader := source.NewReader(source.ReaderConfig{Endpoint: s.r.opts.Source, Flavor: s.r.flavor, Start: start.Clone(),
		Queue: s.r.opts.Memory / 16, LargeTx: s.r.opts.Memory / 16, Decode: s.r.wanted, Ours: ours(s.r.opts.Migration), Log: s.r.log})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := reader.Run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("%w: %w", ErrGone, err)
	})
	g.Go(func() error {
		defer stop()
		return s.recall(ctx, reader, start, from.Seq, to, fn, forget)
	})
	return g.Wait()
}

func (s *Stream) recall(ctx context.Context, reader *source.Reader, at source.Position, seq uint64, to state.Position, fn func([]row.Change), forget func([]schedule.Name)) error {
	// A feeder of its own, for the decoders only: it submits nothing.
	f := &feeder{r: s.r, decoders: map[decoderKey]*row.Decoder{}}
	tell := func(events []source.Rows) {
		for i := range events {
			changes, _, err := f.changes(events[i : i+1])
			if err != nil {
				forget([]schedule.Name{{Schema: events[i].Schema, Table: events[i].Table}})
				continue
			}
			if slices.ContainsFunc(changes, func(c row.Change) bool { return c.Cascades }) {
				forget(slices.Collect(maps.Keys(s.catalog.foreignKeys().descendants(changes))))
			}
			fn(changes)
		}
	}
	for seq < to.Seq {
		tx, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		seq++
		if tx.Statement != nil {
			forget(s.r.concerned(tx.Statement))
			f.forget()
		}
		tell(tx.Rows)
		for tx.Large {
			rows, err := tx.More(ctx)
			if err == io.EOF {
				break
			}
			if err != nil {
				return err
			}
			tell(rows)
		}
		at.Advance(tx)
	}
	if at.String() != to.Text {
		return fmt.Errorf("%w: the %d transactions before %s led to %s", ErrGone, to.Seq, to.Text, at.String())
	}
	return nil
}

// concerned are the tables of the migration that a statement touches; all of them if it can't be told.
func (r *Runner) concerned(st *source.Statement) (out []schedule.Name) {
	class := r.classify(st.SQL, st.Schema)
	if class.Ours || class.Temporary {
		return nil
	}
	for n := range r.catalog.named(class) {
		if r.inScope(n.Schema, n.Table) {
			out = append(out, n)
		}
	}
	return out
}

// alterations says what became of tables, as a Companion is told.
func alterations(class source.Class, made []outcome) (out []Alteration) {
	for _, o := range made {
		a := Alteration{ID: o.id, Renamed: class.Verb == "RENAME TABLE" && !o.over}
		if o.was != nil {
			a.Was = schedule.Name{Schema: o.was.Schema, Table: o.was.Name}
		}
		if o.def != nil {
			a.Now = o.name
		}
		out = append(out, a)
	}
	return out
}

// readMarks knows the last watermark that was read from the stream.
type readMarks struct {
	mu      sync.Mutex
	last    uint64
	changed chan struct{}
}

func newReadMarks() *readMarks { return &readMarks{changed: make(chan struct{})} }

func (m *readMarks) passed(n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n > m.last {
		m.last = n
		close(m.changed)
		m.changed = make(chan struct{})
	}
}

func (m *readMarks) wait(ctx context.Context, n uint64) error {
	for {
		m.mu.Lock()
		last, changed := m.last, m.changed
		m.mu.Unlock()
		if last >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// alone is the Companion of a run that has none.
type alone struct{}

func (alone) Run(ctx context.Context, _ *Stream) error { <-ctx.Done(); return ctx.Err() }
func (alone) Begin()                                   {}
func (alone) Changed([]row.Change)                     {}
func (alone) Touched(*row.Table, map[string]row.Row)   {}
func (alone) Unsaid([]schedule.Name)                   {}
func (alone) Altered([]Alteration)                     {}
func (alone) Checkpoint(context.Context) error         { return nil }
func (alone) Verified(context.Context) error           { return nil }
