package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Marks commits watermarks on the source; state.Watermarker is one.
type Marks interface {
	Mark(ctx context.Context) (uint64, error)
}

// Target is where chunks go. Its methods may be called from many goroutines at once.
type Target interface {
	// Write commits a chunk's rows, its done mark and the applied position in one transaction.
	// Writers are numbered from 0; each does one thing at a time.
	Write(ctx context.Context, writer int, c Chunk) error
	// Empty deletes what is in a range, in as many transactions as it takes.
	Empty(ctx context.Context, t *row.Table, r row.Range) error
	// Copied is called after a table's last chunk: what was left for later is done now.
	Copied(ctx context.Context, writer int, t *row.Table) error
}

// Chunk is what a writer writes.
type Chunk struct {
	Table  *row.Table
	Range  row.Range
	Number int
	Rows   int
	Bytes  int64
	rows   *rows
	skip   func(key []byte) bool
}

// Options are a copier's bounds.
type Options struct {
	Migration string
	Source    server.Endpoint
	Readers   int   // SELECTs at once
	Writers   int   // chunk writes at once
	Chunk     int64 // bytes of rows in a chunk
	Memory    int64 // bytes of chunks under way; 0 means as many as readers and writers can use
	Rate      int64 // bytes of rows a second, over all readers; 0 means no bound
	Log       zerolog.Logger
	// First are the tables that must be complete before a table is begun. It may be nil.
	First func(schedule.Name) []schedule.Name
	// Weigh puts the weights behind a key of a table that is Weighed. It may be nil if none is.
	Weigh func(context.Context, *row.Table, row.Row) (row.Row, error)
	// WithoutLow leaves the low watermark out. Rows are lost then: a test shows how.
	WithoutLow bool
}

// Copier copies the untouched ranges of tables until there are none.
type Copier struct {
	opts   Options
	flow   *schedule.Flow
	marks  Marks
	target Target
	memory *semaphore.Weighted
	rate   *rate.Limiter // nil: no bound

	mu     sync.Mutex
	tables []*table
	paused chan struct{} // closed when not paused
	began  time.Time
	ended  time.Time

	busy []atomic.Int64 // nanoseconds that each writer has spent writing
}

// table is one table on its way.
type table struct {
	layout
	name     schedule.Name
	size     int64 // bytes, as the source estimates
	choosing sync.Mutex

	// Under Copier.mu.
	active   int
	rowBytes int64 // of a row, about: from the source's estimate, then as seen
	chunks   int
	copied   bool

	rows, bytes atomic.Int64
}

// New makes a copier. Tables are added before Run, or later.
func New(opts Options, flow *schedule.Flow, marks Marks, target Target) *Copier {
	running := make(chan struct{})
	close(running)
	c := &Copier{opts: opts, flow: flow, marks: marks, target: target, paused: running,
		memory: semaphore.NewWeighted(chunkMemory(opts)),
		busy:   make([]atomic.Int64, opts.Writers)}
	if opts.Rate > 0 {
		c.rate = rate.NewLimiter(rate.Limit(opts.Rate), int(2*opts.Chunk))
	}
	return c
}

// chunkMemory is what chunks may hold: every reader fills one and every writer empties one, two more
// may wait. Where memory allows for less, fewer are under way, but never less than one each way.
func chunkMemory(opts Options) int64 {
	wanted := int64(opts.Readers+opts.Writers+2) * opts.Chunk
	if opts.Memory > 0 {
		wanted = min(wanted, opts.Memory)
	}
	return max(wanted, 2*opts.Chunk)
}

// Add gives the copier a table; size and rows are estimates,
// number is the highest that a chunk of it has.
func (c *Copier) Add(t *row.Table, size, rows int64, number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := schedule.Name{Schema: t.Schema, Table: t.Name}
	entry := &table{layout: newLayout(t), name: name, size: size, rowBytes: 256, chunks: number}
	if rows > 0 {
		entry.rowBytes = max(32, size/rows)
	}
	for i := range c.tables {
		if c.tables[i].name == name {
			c.tables[i] = entry
			return
		}
	}
	c.tables = append(c.tables, entry)
}

// Remove forgets a table: it was dropped, or renamed.
func (c *Copier) Remove(name schedule.Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.tables {
		if c.tables[i].name == name {
			c.tables = append(c.tables[:i], c.tables[i+1:]...)
			return
		}
	}
}

// Rename gives tables new definitions, and the names that these have, all at once.
func (c *Copier) Rename(moves map[schedule.Name]*row.Table) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, t := range c.tables {
		def := moves[t.name]
		if def == nil {
			continue
		}
		now := &table{layout: newLayout(def), name: schedule.Name{Schema: def.Schema, Table: def.Name},
			size: t.size, rowBytes: t.rowBytes, chunks: t.chunks, copied: t.copied}
		now.rows.Store(t.rows.Load())
		now.bytes.Store(t.bytes.Load())
		c.tables[i] = now
	}
}

// Pause holds chunks that are not begun, until Resume.
func (c *Copier) Pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.paused:
		c.paused = make(chan struct{})
	default:
	}
}

// Resume ends Pause.
func (c *Copier) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.paused:
	default:
		close(c.paused)
	}
}

func (c *Copier) waitRunning(ctx context.Context) error {
	c.mu.Lock()
	running := c.paused
	c.mu.Unlock()
	select {
	case <-running:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// job is a chunk that was read and waits to be written.
type job struct {
	table   *table
	chunk   *schedule.Chunk
	rows    *rows
	high    uint64
	memory  int64
	number  int
	last    bool          // no more of a table in pieces
	after   row.Row       // of a table in pieces: where this one begins
	written chan struct{} // closed when it is over, for a table in pieces
}

// covers is the range that the chunk's rows are all of.
func (j *job) covers() row.Range {
	if j.table.table.Ordered() {
		return j.chunk.Range
	}
	r := row.Range{Low: j.after, High: j.rows.last}
	if j.last {
		r.High = nil
	}
	return r
}

// Run copies until every table is complete, and returns nil; or until ctx ends, or something fails
// that no repetition mends.
func (c *Copier) Run(ctx context.Context) error {
	c.mu.Lock()
	c.began, c.ended = time.Now(), time.Time{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.ended = time.Now()
		c.mu.Unlock()
	}()
	g, ctx := errgroup.WithContext(ctx)
	copied, finish := context.WithCancel(ctx)
	defer finish()
	jobs := make(chan *job) // unbuffered: what is read and not written is bounded by c.memory
	// Each reader and writer is the group's own: the error of one ends all. A chunk that can't be
	// written holds up the stream, which holds up the watermarks that the others wait for.
	var reading, writing sync.WaitGroup
	for range c.opts.Readers {
		reading.Add(1)
		g.Go(func() error {
			defer reading.Done()
			return c.read(ctx, jobs)
		})
	}
	for i := range c.opts.Writers {
		writing.Add(1)
		g.Go(func() error {
			defer writing.Done()
			return c.write(ctx, i, jobs)
		})
	}
	g.Go(func() error {
		reading.Wait()
		close(jobs)
		return nil
	})
	g.Go(func() error {
		writing.Wait()
		finish()
		return nil
	})
	g.Go(func() error { return c.empty(copied) })
	return g.Wait()
}

// empty clears ranges that were given up. It waits for nothing else, so it can't be part of a
// circle of waiting.
func (c *Copier) empty(ctx context.Context) error {
	for {
		chunk, err := c.flow.TakeEmptiable(ctx)
		if err != nil {
			return nil // nothing is copied any more
		}
		c.opts.Log.Info().Str("table", chunk.Table.Schema+"."+chunk.Table.Name).Msg("a chunk is given up and will be read again")
		if err := c.target.Empty(ctx, chunk.Table, chunk.Range); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		c.flow.With(func(s *schedule.Scheduler) { s.Emptied(chunk) })
	}
}

// read is one reader: it takes the next range, reads it chunk by chunk, and hands the chunks on.
func (c *Copier) read(ctx context.Context, jobs chan<- *job) error {
	r := &reader{c: c, jobs: jobs}
	defer r.hangUp()
	for {
		if err := c.waitRunning(ctx); err != nil {
			return err
		}
		t, err := c.pick(ctx)
		if err != nil || t == nil {
			return err
		}
		err = r.copyNext(ctx, t)
		c.mu.Lock()
		t.active--
		c.mu.Unlock()
		if err != nil && !errors.Is(err, schedule.ErrGivenUp) {
			return err
		}
	}
}

// pick waits for a table with something to copy, and takes the largest, in which all readers may be at
// once: so it is through first, and its indexes are built while others are still copied. What is left
// for the end is small. Nil: all tables are complete.
func (c *Copier) pick(ctx context.Context) (*table, error) {
	var best *table
	err := c.flow.Until(ctx, func(s *schedule.Scheduler) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		complete := true
		for _, t := range c.tables {
			if s.Complete(t.name) {
				continue
			}
			complete = false
			if s.IsOpen() && s.HasUntouched(t.name) && c.mayBegin(s, t) && (best == nil || t.before(best)) {
				best = t
			}
		}
		if best != nil {
			best.active++
		}
		return best != nil || complete
	})
	return best, err
}

func (c *Copier) mayBegin(s *schedule.Scheduler, t *table) bool {
	return c.opts.First == nil || !slices.ContainsFunc(c.opts.First(t.name), func(n schedule.Name) bool { return !s.Complete(n) })
}

func (t *table) before(other *table) bool {
	return t.size > other.size || t.size == other.size && t.active < other.active
}

// Progress is how far one table is.
type Progress struct {
	Schema, Table string
	Rows, Bytes   int64 // copied by this run
	Size          int64 // bytes, as the source estimates
	Active        int   // readers in it
	Complete      bool
}

// Progress tells how far each table is.
func (c *Copier) Progress() []Progress {
	var out []Progress
	c.flow.With(func(s *schedule.Scheduler) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, t := range c.tables {
			out = append(out, Progress{Schema: t.name.Schema, Table: t.name.Table, Rows: t.rows.Load(), Bytes: t.bytes.Load(),
				Size: t.size, Active: t.active, Complete: s.Complete(t.name)})
		}
	})
	return out
}

// Busy is the share of the copy's time that each writer was busy, 0 to 1.
func (c *Copier) Busy() []float64 {
	out := make([]float64, len(c.busy))
	c.mu.Lock()
	began, ended := c.began, c.ended
	c.mu.Unlock()
	if began.IsZero() {
		return out
	}
	if ended.IsZero() {
		ended = time.Now()
	}
	for i := range c.busy {
		out[i] = min(1, float64(c.busy[i].Load())/float64(ended.Sub(began)))
	}
	return out
}

// Paused tells whether chunks are held.
func (c *Copier) Paused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.paused:
		return false
	default:
		return true
	}
}

// write is one writer.
func (c *Copier) write(ctx context.Context, writer int, jobs <-chan *job) error {
	for j := range jobs {
		err := c.writeOne(ctx, writer, j)
		c.memory.Release(j.memory)
		if j.written != nil {
			close(j.written)
		}
		if err != nil && !errors.Is(err, schedule.ErrGivenUp) {
			return err
		}
	}
	return nil
}

func (c *Copier) writeOne(ctx context.Context, writer int, j *job) error {
	if err := c.flow.Dispatch(ctx, j.chunk, j.high); err != nil {
		return err
	}
	began := time.Now()
	t := j.table
	ordered := t.table.Ordered()
	err := c.target.Write(ctx, writer, Chunk{Table: t.table, Range: j.covers(), Number: j.number,
		Rows: j.rows.count(), Bytes: j.rows.bytes(), rows: j.rows, skip: j.chunk.Touched})
	if err != nil {
		return fmt.Errorf("write chunk %d of %s.%s: %w", j.number, t.name.Schema, t.name.Table, err)
	}
	t.rows.Add(int64(j.rows.count()))
	t.bytes.Add(j.rows.bytes())
	complete := false
	c.flow.With(func(s *schedule.Scheduler) {
		if !ordered && !j.last {
			s.Continue(j.chunk)
			return
		}
		s.Done(j.chunk)
		complete = s.Complete(t.name)
	})
	took := time.Since(began)
	c.busy[writer].Add(int64(took))
	c.opts.Log.Debug().Str("table", t.name.Schema+"."+t.name.Table).Int("chunk", j.number).Int("rows", j.rows.count()).
		Dur("took", took).Msg("chunk copied")
	if !complete {
		return nil
	}
	c.mu.Lock()
	first := !t.copied
	t.copied = true
	c.mu.Unlock()
	if !first {
		return nil
	}
	defer func() { c.busy[writer].Add(int64(time.Since(began) - took)) }()
	return c.target.Copied(ctx, writer, t.table)
}

// reader is one goroutine's connection to the source.
type reader struct {
	c    *Copier
	jobs chan<- *job
	w    *wire
}

func (r *reader) hangUp() {
	if r.w != nil {
		r.w.close()
		r.w = nil
	}
}

// wire gives the reader a connection that works.
func (r *reader) wire(ctx context.Context) (*wire, error) {
	if r.w != nil && !r.w.broken {
		return r.w, nil
	}
	r.hangUp()
	w, err := dialWire(ctx, r.c.opts.Source)
	r.w = w
	return w, err
}

// copyNext registers the next range of t and copies it, in as many chunks as its bytes need.
func (r *reader) copyNext(ctx context.Context, t *table) error {
	chunk, err := r.register(ctx, t)
	var after row.Row // of a table in pieces
	for chunk != nil && err == nil {
		if err = r.c.waitRunning(ctx); err == nil {
			chunk, after, err = r.copyChunk(ctx, t, chunk, after)
		}
	}
	return err
}

// register takes the table's next range. Its end is the key of a row so far on that the rows
// before it should just not fill a chunk.
func (r *reader) register(ctx context.Context, t *table) (*schedule.Chunk, error) {
	t.choosing.Lock()
	defer t.choosing.Unlock()
	var ranges []row.Range
	r.c.flow.With(func(s *schedule.Scheduler) { ranges = s.Untouched(t.name) })
	if len(ranges) == 0 {
		return nil, nil
	}
	next := ranges[0]
	if t.table.Ordered() {
		r.c.mu.Lock()
		n := max(1, r.c.opts.Chunk*9/10/t.rowBytes)
		r.c.mu.Unlock()
		var high row.Row
		err := r.retry(ctx, t, func(w *wire) (err error) {
			high, err = w.keyAt(&t.layout, next, n, fmt.Sprintf("%s next range of %s", r.c.opts.Migration, comment(t.name.Table)))
			return err
		})
		if err == nil && high != nil {
			next.High, err = r.c.weigh(ctx, t.table, high)
		}
		if err != nil {
			return nil, r.afterDDL(ctx, t, err)
		}
	}
	var chunk *schedule.Chunk
	var err error
	r.c.flow.With(func(s *schedule.Scheduler) {
		if !r.c.current(t) { // a DDL passed since it was picked: its columns may be others now
			err = schedule.ErrGivenUp
			return
		}
		chunk, err = s.Register(t.name, next)
	})
	return chunk, r.afterDDL(ctx, t, err)
}

func (c *Copier) current(t *table) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.tables, t)
}

// copyChunk reads a registered chunk and hands it to a writer. It returns what is to be copied
// next: the rest of its range, or nil.
func (r *reader) copyChunk(ctx context.Context, t *table, chunk *schedule.Chunk, after row.Row) (*schedule.Chunk, row.Row, error) {
	c := r.c
	budgetBytes := c.opts.Chunk
	if err := c.memory.Acquire(ctx, budgetBytes); err != nil {
		return nil, nil, err
	}
	handed := false
	defer func() {
		if !handed {
			c.memory.Release(budgetBytes)
		}
	}()
	c.mu.Lock()
	t.chunks++
	number := t.chunks
	c.mu.Unlock()

	ordered := t.table.Ordered()
	from := chunk.Range
	b := budget{bytes: budgetBytes}
	if !ordered {
		from.Low = after
		c.mu.Lock()
		b.rows = max(1, budgetBytes*9/10/t.rowBytes)
		c.mu.Unlock()
	}
	var got *rows
	var whole bool
	err := r.retry(ctx, t, func(w *wire) (err error) {
		got, whole, err = r.readOnce(ctx, w, t, from, b, number)
		return err
	})
	if err != nil {
		c.flow.With(func(s *schedule.Scheduler) { s.GiveUp(chunk) })
		return nil, nil, r.afterDDL(ctx, t, err)
	}
	c.learn(t, got)
	if c.rate != nil {
		if err := c.rate.WaitN(ctx, int(min(got.bytes(), 2*c.opts.Chunk))); err != nil {
			return nil, nil, err
		}
	}
	var rest *schedule.Chunk
	if !whole && ordered {
		last, err := c.weigh(ctx, t.table, got.last)
		if err != nil {
			c.flow.With(func(s *schedule.Scheduler) { s.GiveUp(chunk) })
			return nil, nil, r.afterDDL(ctx, t, err)
		}
		c.flow.With(func(s *schedule.Scheduler) { rest, err = s.Cut(chunk, last) })
		if err != nil {
			return nil, nil, err
		}
	}
	high, err := c.marks.Mark(ctx)
	if err != nil {
		return nil, nil, err
	}
	j := &job{table: t, chunk: chunk, rows: got, high: high, memory: budgetBytes, number: number, last: whole, after: after}
	if !ordered {
		j.written = make(chan struct{})
	}
	select {
	case r.jobs <- j:
		handed = true
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if ordered {
		return rest, nil, nil
	}
	select {
	case <-j.written:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	lost := false
	c.flow.With(func(*schedule.Scheduler) { lost = chunk.State() != schedule.Registered })
	if lost {
		return nil, nil, nil
	}
	return chunk, got.last, nil
}

// afterDDL judges what failed in reading a table. The source may be ahead of the stream: what is read
// is the table as a DDL has made it, of which nothing is known here yet. Columns are gone; a key has
// become text, or has another order, and makes no sense as the end of a range. So it waits until the
// stream has passed all that is in the binlog now. If a DDL was among it all is well, since that has
// given up what was being read of the table.
func (r *reader) afterDDL(ctx context.Context, t *table, cause error) error {
	if cause == nil || ctx.Err() != nil || errors.Is(cause, schedule.ErrGivenUp) {
		return cause
	}
	r.c.opts.Log.Info().Err(cause).Str("table", t.name.Schema+"."+t.name.Table).Msg("the table can't be read as it is known here; the copy goes on if the stream brings a change of it")
	n, err := r.c.marks.Mark(ctx)
	if err != nil {
		return err
	}
	if err := r.c.flow.WaitMark(ctx, n); err != nil {
		return err
	}
	switch {
	case !r.c.current(t) || rebuilt(cause):
		return nil
	case SchemaChanged(cause):
		return fault.New(fault.StreamTable, "%s.%s can't be read on the source, and no statement in its binlog says why: %w", t.name.Schema, t.name.Table, cause)
	}
	return fmt.Errorf("read %s.%s: %w", t.name.Schema, t.name.Table, cause)
}

func (c *Copier) weigh(ctx context.Context, t *row.Table, key row.Row) (row.Row, error) {
	if !t.Weighed() {
		return key, nil
	}
	return c.opts.Weigh(ctx, t, key)
}

// learn keeps the size of a row up to date.
func (c *Copier) learn(t *table, got *rows) {
	if got.count() == 0 {
		return
	}
	c.mu.Lock()
	t.rowBytes = max(1, got.bytes()/int64(got.count()))
	c.mu.Unlock()
}

// readOnce reads rows in a read view that contains a low watermark committed after the chunk was
// registered: what was in the binlog before that is in the view.
func (r *reader) readOnce(ctx context.Context, w *wire, t *table, from row.Range, b budget, number int) (*rows, bool, error) {
	var low uint64
	if !r.c.opts.WithoutLow {
		var err error
		if low, err = r.c.marks.Mark(ctx); err != nil {
			return nil, false, err
		}
	}
	if err := w.view(r.c.opts.Migration, low); err != nil {
		w.broken = true
		return nil, false, err
	}
	got, whole, err := w.read(&t.layout, from, b, fmt.Sprintf("%s chunk %d of %s", r.c.opts.Migration, number, comment(t.name.Table)))
	if err != nil {
		w.broken = true
		return nil, false, err
	}
	if w.broken {
		// At once: its SELECT keeps the table from being altered, and behind a waiting ALTER stands
		// everybody who uses it.
		r.hangUp()
		return got, whole, nil
	}
	return got, whole, w.exec("COMMIT")
}

// retry repeats what a lost connection, or a read view that came too early, made fail.
func (r *reader) retry(ctx context.Context, t *table, fn func(*wire) error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 20*time.Millisecond, 5*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		w, err := r.wire(ctx)
		if err == nil {
			err = fn(w)
		}
		if err == nil {
			return struct{}{}, nil
		}
		r.hangUp()
		if !passing(err) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		r.c.opts.Log.Warn().Err(err).Str("table", t.name.Schema+"."+t.name.Table).Msg("a read of the source failed and is repeated")
	}))
	return err
}

// comment makes a name safe inside of an SQL comment.
func comment(name string) string {
	out := []rune(name)
	for i, r := range out {
		if r == '*' || r == '/' || r < ' ' {
			out[i] = '_'
		}
	}
	return string(out)
}
