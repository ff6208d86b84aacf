package verify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/cdc/row"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Bounds on what is held in memory of rows that differ at first sight, however many do.
const (
	// pieceRows is how many rows of each side are read one by one at once, by each lane.
	pieceRows = 20_000
	// heldRows is how many rows may wait to be looked at again before no more chunks are begun; about
	// 200 bytes each. Those that are being read come on top: 2 × pieceRows for each lane.
	heldRows = 200_000
	// mostShown is how many rows of all tables together are described, if the limit for one is not more.
	mostShown = 10_000
)

// scan is one table on its way.
type scan struct {
	pair     *pair
	ranges   bool   // it can be cut into ranges of its key
	expected uint64 // rows, about
	cutter   *cutter

	rest  row.Range   // what is left to cut; the workshop's
	began time.Time   // the workshop's
	cut   atomic.Bool // nothing is left

	open    atomic.Int32 // chunks that are being compared
	showing int          // differing rows that are described, or are about to be; the workshop's

	mu     sync.Mutex
	report TableReport
}

// progress is how many rows were read, and how many there are: about, until they are all read.
func (t *scan) progress() (rows, expected uint64) {
	done := t.cut.Load() && t.open.Load() == 0
	t.mu.Lock()
	defer t.mu.Unlock()
	if done {
		return t.report.SourceRows, t.report.SourceRows
	}
	return t.report.SourceRows, max(t.expected, t.report.SourceRows+1)
}

// update changes the report.
func (t *scan) update(change func(*TableReport)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(&t.report)
}

// found counts differing rows, and makes the verdict fit.
func (t *scan) found(different, unsettled uint64) {
	t.update(func(r *TableReport) {
		r.Different += different
		r.Unsettled += unsettled
		if different > 0 {
			r.Verdict = worse(r.Verdict, Different)
		}
		if unsettled > 0 {
			r.Verdict = worse(r.Verdict, Unsettled)
		}
	})
}

// workshop hands out the work: chunks, table after table, and what is due to be looked at again, which
// comes first.
type workshop struct {
	s     *Standalone
	queue *queue
	asked atomic.Int64 // statements of ours that may be running on the source

	mu      sync.Mutex // one lane cuts at a time
	scans   []*scan
	showing int // differing rows of all tables that are described, or are about to be
}

// work does what there is to do until all is done.
func (w *workshop) work(ctx context.Context, l lane) error {
	for more := true; ; {
		t, ok, err := w.queue.take(ctx, more)
		if err != nil || !ok {
			return err
		}
		if err = w.s.pace.wait(ctx); err == nil {
			w.asked.Add(1)
			more, err = w.do(ctx, l, t, more)
			w.asked.Add(-1)
		}
		w.queue.done()
		if err == nil {
			err = l.release(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// do does one thing; more tells whether there may be new chunks.
func (w *workshop) do(ctx context.Context, l lane, t task, more bool) (bool, error) {
	switch {
	case t.again != nil:
		return more, w.settle(ctx, t.again.scan, w.again(ctx, l, t.again))
	case t.rest != nil:
		return more, w.settle(ctx, t.rest.scan, t.rest.read(ctx, l))
	}
	next, chunk, err := w.next(ctx, l)
	if next == nil {
		return false, nil
	}
	if err == nil {
		w.s.progress.reading(next)
		err = w.compare(ctx, l, next, chunk)
	}
	next.open.Add(-1)
	next.update(func(r *TableReport) { r.Took = time.Since(next.began) })
	return true, w.settle(ctx, next, err)
}

// next cuts the next chunk; of a table that can't be cut it is all. An error is the table's.
func (w *workshop) next(ctx context.Context, l lane) (*scan, row.Range, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.scans) > 0 && w.scans[0].cut.Load() {
		w.scans = w.scans[1:]
	}
	if len(w.scans) == 0 {
		return nil, row.Range{}, nil
	}
	t := w.scans[0]
	if t.began.IsZero() {
		t.began = time.Now()
	}
	chunk, err := w.cut(ctx, l, t)
	t.open.Add(1)
	t.cut.Store(err != nil || whole(chunk, t.rest))
	t.rest.Low = chunk.High
	return t, chunk, err
}

// cut cuts a chunk off what is left of a table.
func (w *workshop) cut(ctx context.Context, l lane, t *scan) (row.Range, error) {
	if !t.ranges {
		return t.rest, nil
	}
	began := time.Now()
	defer func() { w.s.pace.spent(began, time.Since(began)) }()
	return t.pair.through(l).next(ctx, t.rest, w.size(t))
}

// size is how many rows the next chunk of a table has. Of the last table they become fewer to the end, so that
// no lane is at a chunk for long while the others have nothing left.
func (w *workshop) size(t *scan) int64 {
	rows := t.cutter.rows()
	read, expected := t.progress()
	if left := int64(expected - read); len(w.scans) == 1 && left > firstRows {
		rows = min(rows, max(left/int64(2*w.s.o.Parallel), firstRows))
	}
	return rows
}

// settle makes an error that is one table's the table's: the others are compared all the same.
func (w *workshop) settle(ctx context.Context, t *scan, err error) error {
	if err == nil || ctx.Err() != nil || connectionLost(err) {
		return err
	}
	t.update(func(r *TableReport) { r.Verdict, r.Reason = worse(r.Verdict, Failed), err.Error() })
	t.cut.Store(true)
	return nil
}

// connectionLost tells whether an error is of the connection, or the server, and not of what was asked.
func connectionLost(err error) bool {
	var refused *mysql.MySQLError
	if errors.As(err, &refused) {
		switch refused.Number {
		case 1053, 1317, 1927, 3169, 4031: // shutting down; killed, the statement or the connection; idle for too long
			return true
		}
		return false
	}
	return errors.Is(err, server.ErrLost) || errors.Is(err, sql.ErrConnDone) || fault.Is(server.Classify(server.Endpoint{}, err), fault.Connect)
}

// compare compares a chunk.
func (w *workshop) compare(ctx context.Context, l lane, t *scan, chunk row.Range) error {
	p := t.pair.through(l)
	began := time.Now()
	source, target, err := w.digests(ctx, p, p.within(chunk))
	if err != nil {
		return err
	}
	t.cutter.took(source.Rows, time.Since(began))
	t.update(func(r *TableReport) { r.SourceRows, r.TargetRows = r.SourceRows+source.Rows, r.TargetRows+target.Rows })
	switch {
	case source == target:
		return nil
	case t.ranges:
		return w.locate(ctx, l, t, chunk)
	case p.keyed():
		return w.locateHashed(ctx, p, t, max(source.Rows, target.Rows))
	}
	return w.suspectWhole(ctx, p, t, source, target)
}

// digests asks both sides, and notes how long the source has worked.
func (w *workshop) digests(ctx context.Context, p *pair, where string) (source, target Digest, err error) {
	return both(ctx, p, func(ctx context.Context, t *table) (Digest, error) {
		began := time.Now()
		d, err := t.digest(ctx, t.db, where)
		if t == p.source {
			w.s.pace.spent(began, time.Since(began))
		}
		return d, err
	})
}

// locate finds the rows that differ at the beginning of a range. What is behind them is read later, when
// there is room for what is found there.
func (w *workshop) locate(ctx context.Context, l lane, t *scan, part row.Range) error {
	p := t.pair.through(l)
	piece, err := p.piece(ctx, part, w.s.piece)
	if err != nil {
		return err
	}
	where := p.within(piece)
	ours, theirs, err := spend(ctx, w, p, func(ctx context.Context, t *table) (sums, error) { return t.sums(ctx, t.db, where) })
	if err != nil {
		return err
	}
	w.suspect(t, &piece, ours, theirs)
	if !whole(piece, part) {
		behind := row.Range{Low: piece.High, High: part.High}
		w.queue.later(rest{t, func(ctx context.Context, l lane) error { return w.locate(ctx, l, t, behind) }})
	}
	return nil
}

// spend asks both sides, and counts the time as the source's.
func spend[T any](ctx context.Context, w *workshop, p *pair, ask func(context.Context, *table) (T, error)) (ours, theirs T, err error) {
	began := time.Now()
	defer func() { w.s.pace.spent(began, time.Since(began)) }()
	return both(ctx, p, ask)
}

// piece cuts off the beginning of a range so much that neither side has more than so many rows in it.
// Both cut, because a side may have all its rows where the other has a few.
func (p *pair) piece(ctx context.Context, part row.Range, rows int) (row.Range, error) {
	for _, t := range []*table{p.source, p.target} {
		end, err := p.end(ctx, t, part, int64(rows))
		if err != nil {
			return part, err
		}
		if end != nil {
			part.High = end
		}
	}
	return part, nil
}

// suspect takes note of the rows that differ in what was read, to look at them again; part is the range
// that was read, if it was one.
func (w *workshop) suspect(t *scan, part *row.Range, ours, theirs sums) {
	b := &batch{scan: t, rows: map[string]sighting{}, moved: map[string]bool{}}
	for _, key := range unequal(ours, theirs) {
		b.rows[key] = sight(ours, theirs, key)
	}
	if len(b.rows) > w.s.piece/4 {
		b.part = part
	}
	w.put(b)
}

// put has a batch looked at again later.
func (w *workshop) put(b *batch) {
	w.queue.put(b, w.s.o.Recheck)
	w.s.progress.suspects.Store(int64(w.queue.rows()))
}

// watch looks how busy the source is, and tells if that begins or ends to hold us up.
func (s *Standalone) watch(ctx context.Context, src *sql.DB, w *workshop) error {
	if s.o.MaxRunning <= 0 {
		return nil
	}
	n, err := running(ctx, src)
	if err != nil {
		return fmt.Errorf("ask the source how busy it is: %w", err)
	}
	others := max(n-int(w.asked.Load()), 0)
	s.pace.sees(others)
	held := others > s.o.MaxRunning
	if held != s.progress.held.Swap(held) {
		if held {
			s.o.Say(fmt.Sprintf("waits: others run %d statements on the source, more than %d (--max-running)", others, s.o.MaxRunning))
		} else {
			s.o.Say(fmt.Sprintf("goes on: others run %d statements on the source", others))
		}
	}
	return nil
}

// watchOn watches every second until ctx ends. A look that fails changes nothing: the workers will find
// out if the source is gone.
func (s *Standalone) watchOn(ctx context.Context, src *sql.DB, w *workshop) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = s.watch(ctx, src, w)
		}
	}
}

// progress is how far a Standalone has come.
type progress struct {
	held     atomic.Bool
	suspects atomic.Int64

	mu    sync.Mutex
	scans []*scan
	now   *scan
}

func (p *progress) begin(scans []*scan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scans = scans
}

func (p *progress) reading(t *scan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = t
}

// Progress is a moment of a Standalone.
type Progress struct {
	Tables, TablesRead  int  // all; those of which every row was read
	Table               Name // the one that is being read
	TableRows, Expected uint64
	Rows, ExpectedRows  uint64 // of all tables; expected by the source's estimate
	Suspects            int    // rows that wait to be looked at again
	Held                bool   // the source is too busy
}

// Progress tells how far it has come. It may be called by anyone at any time.
func (s *Standalone) Progress() Progress {
	s.progress.mu.Lock()
	scans, now := s.progress.scans, s.progress.now
	s.progress.mu.Unlock()
	p := Progress{Tables: len(scans), Suspects: int(s.progress.suspects.Load()), Held: s.progress.held.Load()}
	for _, t := range scans {
		rows, expected := t.progress()
		if rows == expected {
			p.TablesRead++
		}
		p.Rows += rows
		p.ExpectedRows += expected
		if t == now {
			p.Table, p.TableRows, p.Expected = t.report.Name, rows, expected
		}
	}
	return p
}
