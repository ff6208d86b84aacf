// Package cdc keeps a target equal to its source: it copies what is there and streams what comes.
//
// In: a migration's two servers and its tables. Out: the target's rows, and a Status at any time.
// The decision that matters: one process does it all for a migration, and everything that it must
// not forget is in the target's `_changeover`, committed together with the rows it speaks of. So
// a crash between any two lines is an ordinary event: the next start reads and goes on.
//
//	source.Reader ─→ feeder ─→ schedule.Flow ─→ apply.Writers ─→ target
//	                              ↑    │
//	source SELECTs ─→ snapshot.Copier ─┴─→ chunk writers ──────→ target
package cdc

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"changeover/cdc/apply"
	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/schema"
	"changeover/cdc/snapshot"
	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Until says when Run is done by itself.
type Until uint8

// The ends of a run.
const (
	Forever  Until = iota // until the context ends
	Copied                // every table is copied, its indexes built, views and routines made
	CaughtUp              // copied, and everything committed on the source by then is applied
	Verified              // copied, and both sides proven equal
)

// Options describe one migration to a Runner.
type Options struct {
	Migration      string
	Source, Target server.Endpoint
	Databases      []string
	// InScope tells which tables of Databases belong to the migration.
	InScope func(schema, table string) bool
	// Scope says the same as InScope in words: it is kept, and a run with another is refused.
	Scope string

	CopyWorkers  int   // chunk writes at once
	Chunk        int64 // bytes
	CopyRate     int64 // bytes a second read from the source; 0 means no bound
	ApplyWorkers int
	Memory       int64 // bytes of transactions and chunks under way

	Definers schema.DefinerPolicy
	Control  string // the address of the control API, for whoever finds the lease held
	// Held is called when the lease is held, each time; an error ends the run. It may be nil.
	Held func() error
	// LeaseTTL is how long another runner must have been silent before this one takes its lease; 0
	// means state.DefaultTTL, up to state.AtOnce: it is taken whoever has it.
	LeaseTTL time.Duration
	Until    Until
	// Return: the stream goes back to a server that has the rows already, from where a Return was armed. It
	// copies nothing.
	Return bool
	// Proven is asked by a Return when it is armed: what the other stream's proof has just found wholly
	// equal, by table, in the Companion's own words. nil: nothing is.
	Proven func() map[schedule.Name][]byte
	// Companion goes along with the stream; nil: nobody does.
	Companion Companion
	Log       zerolog.Logger
}

// The phases of a migration, as `_changeover.migration` has them.
const (
	phaseSchema    = "schema"    // tables are being made; nothing on the target is worth keeping yet
	phaseCopying   = "copying"   // snapshot and stream
	phaseStreaming = "streaming" // every row is there
)

// Runner runs one migration. Run may be called once; the other methods at any time, by anyone.
type Runner struct {
	opts Options
	log  zerolog.Logger

	src, dst *sql.DB
	states   *sql.DB       // the target, for writes of the state
	pin      *server.Pin   // of the target: all that is written is written to one life of it
	flavor   server.Flavor // of the source, and so of the stream
	onto     server.Flavor // of the target
	// cascadesLogged: what a foreign key's action changes is in the source's binlog.
	cascadesLogged bool
	// foldsNames: both servers keep names in lower case (lower_case_table_names), but statements in the
	// binlog are as they were written.
	foldsNames bool
	lease      *state.Lease
	tokens     []state.Token // of this lease and those before a start over
	store      *state.Store
	marks      *state.Watermarker
	flow       *schedule.Flow
	copier     *snapshot.Copier
	reader     *source.Reader
	ddl        *ddlRunner
	target     *target
	catalog    *catalog
	weigher    *weigher

	position *source.Position // of the applied transactions; under the flow's lock

	again    chan struct{} // a table starts over after the copy was through
	requests chan request  // what the companion wants to be written
	read     *readMarks    // watermarks that the feeder has read

	withoutLow bool // for the test that shows what the low watermark is for

	mu      sync.Mutex
	live    *going        // the stream as it runs; nil while it does not
	started chan struct{} // closed when it does
	phase   string
	began   time.Time
	waits   map[int]string // for what workers wait, those that do
	halted  error
	paused  bool
	samples []sample
	lag     lagMeter
	stats   counters
	objects []schema.Done // what was done with views, routines, triggers, events
}

type counters struct {
	transactions, changes, skipped, ddl, large atomic.Int64
}

// New makes a Runner.
func New(opts Options) *Runner {
	if opts.Companion == nil {
		opts.Companion = alone{}
	}
	return &Runner{opts: opts, log: opts.Log, phase: "starting", began: time.Now(), waits: map[int]string{},
		again: make(chan struct{}, 1), started: make(chan struct{})}
}

// Run copies and streams until the context ends, or what Until says, or a fault that a person must
// mend. It may be run again after any end, also that of the process.
//
// Trouble that passes does not end it. What can't be outlasted where it was met, above all a target
// that restarted and may have forgotten what it had answered, makes Run start over: it drops what is
// in memory and reads it again from `_changeover`, as after a crash.
func (r *Runner) Run(ctx context.Context) (err error) {
	defer func() {
		err = r.told(err)
		if err != nil && !errors.Is(err, context.Canceled) {
			r.mu.Lock()
			r.halted = err
			r.mu.Unlock()
		}
	}()
	defer r.disconnect()
	defer func() { r.letGo(err) }()
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 100*time.Millisecond, 5*time.Second
	for {
		began := time.Now()
		if err = r.attempt(ctx); ctx.Err() != nil || !r.startsOver(err) {
			return err
		}
		if time.Since(began) > time.Minute {
			pauses.Reset()
		}
		wait := pauses.NextBackOff()
		r.log.Warn().Err(err).Dur("retry_in", wait).Msg("starting over from what the target has")
		r.waiting(runWaits, err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// told is err with the remedies for the stream's direction.
func (r *Runner) told(err error) error {
	if r.opts.Return {
		return fault.Returning(err)
	}
	return err
}

// startsOver tells whether err is one after which what is in memory can't be relied on any more, but
// `_changeover` can. Before the first lease nothing is: who starts a run wants to know what is wrong.
func (r *Runner) startsOver(err error) bool {
	switch {
	case err == nil || r.lease == nil:
		return false
	case errors.Is(err, server.ErrRestarted), errors.Is(err, apply.ErrAgain), errors.Is(err, source.ErrInterrupted):
		return true
	}
	if _, known := fault.CodeOf(err); known {
		return fault.Is(err, fault.Connect)
	}
	return state.Passes(err) || errors.Is(err, gomysql.ErrBadConn)
}

// attempt is a run from its first connection to its end, or until it has to start over.
func (r *Runner) attempt(ctx context.Context) error {
	r.disconnect()
	if err := r.connect(ctx); err != nil {
		return err
	}
	if err := r.takeLease(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	ctx, finish := context.WithCancelCause(ctx)
	g.Go(func() error { return ended(ctx, r.lease.Keep(ctx)) })
	g.Go(func() error {
		err := r.migrate(ctx)
		finish(errDone)
		return err
	})
	return g.Wait()
}

// errDone ends what runs beside the migration when that is through.
var errDone = errors.New("done")

// ended drops the error of something that was told to stop.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), errDone) {
		return nil
	}
	return err
}

// letGo gives the lease back, so that the next runner need not wait for it to grow old.
func (r *Runner) letGo(err error) {
	if r.lease == nil || fault.Is(err, fault.LeaseLost) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.lease.Release(ctx); err != nil {
		r.log.Warn().Err(err).Msg("the lease could not be given back; it grows old by itself")
	}
}

func (r *Runner) connect(ctx context.Context) (err error) {
	if r.src, err = server.Dial(ctx, r.opts.Source, server.Session{Connections: 8}); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	r.weigher = newWeigher(r.src, r.log)
	r.pin = new(server.Pin)
	if r.dst, err = server.Dial(ctx, r.opts.Target, server.Session{Connections: 8 + r.opts.CopyWorkers, Pin: r.pin}); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	session := state.Session()
	session.Connections, session.Pin = 8, r.pin
	if r.states, err = server.Open(r.opts.Target, session); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	from, err := server.Identify(ctx, r.src)
	if err != nil {
		return err
	}
	to, err := server.Identify(ctx, r.dst)
	if err != nil {
		return err
	}
	if server.Same(from, to) {
		return fault.New(fault.SameServer, "source %s and target %s are the same server", r.opts.Source, r.opts.Target)
	}
	r.flavor, r.onto = from.Flavor, to.Flavor
	if v, err := server.ParseVersion(from.Version); err == nil {
		r.cascadesLogged = from.Flavor == server.MySQL && v.AtLeast(9, 6, 0)
	}
	if err := r.src.QueryRowContext(ctx, "SELECT @@GLOBAL.lower_case_table_names <> 0").Scan(&r.foldsNames); err != nil {
		return err
	}
	r.log.Info().Str("source", from.Version).Str("target", to.Version).Msg("connected")
	return nil
}

// mixed is MariaDB if one of the two servers is one.
func (r *Runner) mixed() server.Flavor {
	if r.onto == server.MariaDB {
		return r.onto
	}
	return r.flavor
}

func (r *Runner) disconnect() {
	for _, db := range []*sql.DB{r.src, r.dst, r.states} {
		if db != nil {
			_ = db.Close()
		}
	}
	r.src, r.dst, r.states = nil, nil, nil
}

func (r *Runner) takeLease(ctx context.Context) error {
	if err := state.Install(ctx, r.dst, state.Target); err != nil {
		return err
	}
	host, _ := os.Hostname()
	lease, err := state.AcquireLease(ctx, r.states, state.LeaseRequest{Migration: r.opts.Migration, Log: r.log,
		TTL: r.opts.LeaseTTL, Before: r.tokens, Wait: func(reason error) { r.waiting(stateWaits, reason) },
		Holder: state.Holder{Name: fmt.Sprintf("%s:%d", host, os.Getpid()), Control: r.opts.Control}})
	if err != nil {
		return err
	}
	r.lease, r.store, r.tokens = lease, lease.Store(), append(r.tokens, lease.Token())
	if r.opts.Held != nil {
		if err := r.opts.Held(); err != nil {
			return err
		}
	}
	if err := state.Install(ctx, r.src, state.Source); err != nil {
		return err
	}
	r.marks = state.NewWatermarker(r.src, r.opts.Migration, lease.Token())
	return nil
}

// migrate is the whole of a run, under the lease.
func (r *Runner) migrate(ctx context.Context) error {
	m, known, err := r.store.Load(ctx)
	if err != nil {
		return err
	}
	if err := r.armed(m, known); err != nil {
		return err
	}
	if !known {
		if m, err = r.begin(ctx); err != nil {
			return err
		}
	} else if err := r.sameDatabases(m); err != nil {
		return err
	}
	r.setPhase(m.Phase)
	if m.Phase == phaseSchema {
		if err := r.prepare(ctx); err != nil {
			return err
		}
		m.Phase = phaseCopying
	}
	r.setPhase(m.Phase)
	if err := r.load(ctx); err != nil {
		return err
	}
	return r.stream(ctx, m.Phase)
}

// begin writes the migration's record. From then on what is in its databases on the target is ours.
func (r *Runner) begin(ctx context.Context) (state.Migration, error) {
	if err := r.checkSchema(ctx); err != nil {
		return state.Migration{}, err
	}
	found, err := schema.Empty(ctx, r.dst, r.opts.Databases)
	if err != nil {
		return state.Migration{}, err
	}
	if len(found) > 0 {
		return state.Migration{}, fault.New(fault.TargetNotEmpty, "the target has %d tables in the migration's databases, among them %s", len(found), found[0])
	}
	identity, err := r.sourceIdentity(ctx)
	if err != nil {
		return state.Migration{}, err
	}
	return r.store.Begin(ctx, identity, phaseSchema, r.databases())
}

func (r *Runner) setPhase(phase string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phase = phase
}

// load makes the scheduler from what the target says is done, and empties what isn't.
func (r *Runner) load(ctx context.Context) error {
	pos, ok, err := r.store.Position(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.StateBroken, "the migration %s has tables but no position", r.opts.Migration)
	}
	position, err := source.ParsePosition(r.flavor, pos.Text)
	if err != nil {
		return err
	}
	if err := r.sameSource(ctx, position); err != nil {
		return err
	}
	s := schedule.New(schedule.Options{Workers: r.opts.ApplyWorkers, BatchBytes: 2 << 20, BatchChanges: 4000,
		TouchedBytes: max(1<<20, r.opts.Memory/16), Applied: r.appliedTo(&position)}, pos.Seq)
	target, err := newTarget(ctx, r)
	if err != nil {
		return err
	}
	flow := schedule.NewFlow(s, r.opts.Memory/2)
	copier := snapshot.New(snapshot.Options{Migration: r.opts.Migration, Source: r.opts.Source,
		Readers: max(1, (r.opts.CopyWorkers+1)/2), Writers: r.opts.CopyWorkers, Chunk: r.opts.Chunk, Rate: r.opts.CopyRate, Memory: r.opts.Memory / 2, Log: r.log,
		First: func(n schedule.Name) []schedule.Name { return r.catalog.foreignKeys().first(n) },
		Weigh: r.weigher.weigh, WithoutLow: r.withoutLow},
		flow, patientMarks{r.marks, r.log}, target)
	r.mu.Lock()
	r.position, r.flow, r.target, r.copier, r.catalog = &position, flow, target, copier, newCatalog(r)
	if r.paused {
		copier.Pause()
	}
	r.mu.Unlock()
	if err := r.catalog.load(ctx); err != nil {
		target.close()
		return err
	}
	r.ddl = newDDLRunner(r)
	if err := r.ddl.loadDecisions(ctx); err != nil {
		target.close()
		return err
	}
	return nil
}

// sameSource refuses another server than the one that the migration began with if the position is a
// file and an offset: those are that server's own. By GTID the reader compares what each one has.
func (r *Runner) sameSource(ctx context.Context, position source.Position) error {
	if position.IsGTID() {
		return nil
	}
	m, _, err := r.store.Load(ctx)
	if err != nil {
		return err
	}
	var before server.Identity
	if err := json.Unmarshal([]byte(m.Source), &before); err != nil {
		return fmt.Errorf("read the source's identity as the migration began: %w", err)
	}
	now, err := server.Identify(ctx, r.src)
	if err != nil {
		return err
	}
	if server.Same(before, now) {
		return nil
	}
	return fault.New(fault.StreamIdentity, "another server answers at %s (%s, the migration began with %s), and %s is no position of it",
		r.opts.Source.Addr(), now.UUID, before.UUID, position.String())
}

// appliedTo moves position forward. It is called for each transaction in stream order, once it and
// all before it are committed.
func (r *Runner) appliedTo(position *source.Position) func(*schedule.Tx) {
	return func(tx *schedule.Tx) {
		position.Advance(tx.Note.(*source.Tx))
		r.stats.transactions.Add(1)
		if tx.Mark > 0 {
			r.lag.arrived(tx.Mark)
		}
	}
}

// appliedPosition is the applied position as `_changeover.stream` takes it.
func (r *Runner) appliedPosition() (p state.Position) {
	r.mu.Lock()
	flow, position := r.flow, r.position
	r.mu.Unlock()
	flow.With(func(s *schedule.Scheduler) { p = state.Position{Text: position.String(), Seq: s.Applied()} })
	return p
}

// stream runs everything that goes on at once, until the end that Until names.
func (r *Runner) stream(ctx context.Context, phase string) error {
	defer r.target.close()
	applied, err := r.store.Applied(ctx)
	if err != nil {
		return err
	}
	reader := source.NewReader(source.ReaderConfig{Endpoint: r.opts.Source, Flavor: r.flavor, Start: *r.position,
		Queue: r.opts.Memory / 8, LargeTx: r.opts.Memory / 16, Decode: r.wanted, Ours: ours(r.opts.Migration), Log: r.log})
	r.mu.Lock()
	r.reader = reader
	r.mu.Unlock()
	f := newFeeder(r, applied)
	r.requests, r.read = make(chan request, 4), newReadMarks()
	companion, beside := r.opts.Companion, r.newStream()
	companion.Begin()
	defer r.goesLive(beside)()
	g, ctx := errgroup.WithContext(ctx)
	ctx, finish := context.WithCancelCause(ctx)
	defer finish(errDone)
	run := func(fn func(context.Context) error) {
		g.Go(func() error { return ended(ctx, fn(ctx)) })
	}
	run(r.reader.Run)
	run(f.run)
	for worker := range r.opts.ApplyWorkers {
		w := r.target.applier(worker)
		run(func(ctx context.Context) error { return r.applyLoop(ctx, worker, w) })
	}
	run(r.heartbeat)
	run(r.savePosition)
	run(func(ctx context.Context) error { return companion.Run(ctx, beside) })
	g.Go(func() error {
		for {
			if err := r.copyAndFinish(ctx, phase); err != nil {
				return err
			}
			phase = phaseStreaming
			if r.opts.Until != Forever {
				// A DDL may have made a table start over after the copier was through.
				if r.catalog.complete() {
					break
				}
				continue
			}
			select {
			case <-r.again:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := r.store.SavePosition(ctx, r.appliedPosition()); err != nil {
			return err
		}
		finish(errDone)
		return nil
	})
	r.waiting(runWaits, nil)
	return g.Wait()
}

// copyAndFinish copies what is still to be copied, makes what comes after the rows, and waits for
// the end that Until names.
func (r *Runner) copyAndFinish(ctx context.Context, phase string) error {
	if err := r.copier.Run(ctx); err != nil {
		return err
	}
	if err := r.catalog.finishTables(ctx); err != nil {
		return err
	}
	if phase == phaseCopying {
		if err := r.makeObjects(ctx); err != nil {
			return err
		}
		if err := r.store.SetPhase(ctx, phaseStreaming); err != nil {
			return err
		}
		r.log.Info().Msg("every table is copied")
	}
	r.setPhase(phaseStreaming)
	switch r.opts.Until {
	case Forever, Copied:
		return nil
	case Verified:
		return r.opts.Companion.Verified(ctx)
	}
	n, err := patientMarks{r.marks, r.log}.Mark(ctx)
	if err != nil {
		return err
	}
	return r.flow.WaitMark(ctx, n)
}

// makeObjects makes what may only come after the rows: routines and views. Triggers and events wait
// for the cutover: until then the source's own have already done what they do. What the target
// refuses does not stop the stream; it is in the record, and the cutover asks for it.
func (r *Runner) makeObjects(ctx context.Context) error {
	there, err := schema.Read(ctx, r.src, r.opts.Databases, r.inScope)
	if err != nil {
		return err
	}
	what, err := schema.Inspect(ctx, r.dst)
	if err != nil {
		return err
	}
	here, _, err := there.Translate(what, schema.TranslateOptions{})
	if err != nil {
		r.log.Warn().Err(err).Msg("some objects can't be carried as they are")
	}
	o := schema.ObjectOptions{Target: what, Definers: r.opts.Definers}
	made, err := schema.CreateRoutines(ctx, r.dst, here, o)
	if err := r.madeObjects(ctx, made, err); err != nil {
		return err
	}
	made, err = schema.CreateViews(ctx, r.dst, here, o)
	if err := r.madeObjects(ctx, made, err); err != nil {
		return err
	}
	var later []schema.Done
	for _, d := range here.Databases {
		for _, o := range append(slices.Clone(d.Triggers), d.Events...) {
			later = append(later, schema.Done{Kind: o.Kind, Name: o.Schema + "." + o.Name, Action: schema.Deferred, Note: "made at the cutover"})
		}
	}
	return r.madeObjects(ctx, later, nil)
}

// madeObjects records what was done with objects. The target's refusals are part of that.
func (r *Runner) madeObjects(ctx context.Context, made []schema.Done, err error) error {
	if err != nil && !fault.Is(err, fault.SchemaObject) && !fault.Is(err, fault.SchemaDefiner) {
		return err
	}
	for _, d := range made {
		text := fmt.Sprintf("%s %s: %s", d.Kind, d.Name, d.Action)
		if d.Note != "" {
			text += " (" + d.Note + ")"
		}
		if err := r.store.Record(ctx, "object", text); err != nil {
			return err
		}
		r.log.Info().Msg(text)
	}
	if err != nil {
		r.log.Error().Err(err).Msg("some objects are not on the target")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.objects = append(r.objects, made...)
	return nil
}

// applyLoop is one apply worker.
func (r *Runner) applyLoop(ctx context.Context, worker int, w *apply.Writer) error {
	for {
		batch, err := r.flow.Take(ctx, worker)
		if err != nil {
			return err
		}
		if _, err := w.Apply(ctx, batch.Txs); err != nil {
			return err
		}
		r.stats.changes.Add(int64(batch.Changes))
		r.flow.Committed(batch)
	}
}

// heartbeat commits a watermark every second, also when the source is idle: it measures the lag,
// and it moves the applied position, without which the binlog would be purged under our feet.
// Saving that is another's work, so that the lag is measured also while the target hangs.
func (r *Runner) heartbeat(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		sent := time.Now()
		n, err := r.marks.Mark(ctx)
		switch {
		case err == nil:
			r.lag.sent(n, sent)
		case fault.Is(err, fault.SnapshotOrder):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			r.log.Warn().Err(err).Msg("no heartbeat on the source")
		}
		r.note()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// savePosition writes the applied position down every second.
func (r *Runner) savePosition(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.store.SavePosition(ctx, r.appliedPosition()); err != nil {
			return err
		}
	}
}

// patientMarks outlasts a source that is away, or that lets nobody write for a while: what is read
// of a chunk is worth waiting for.
type patientMarks struct {
	*state.Watermarker
	log zerolog.Logger
}

func (m patientMarks) Mark(ctx context.Context) (uint64, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 20*time.Millisecond, 5*time.Second
	return backoff.Retry(ctx, func() (uint64, error) {
		n, err := m.Watermarker.Mark(ctx)
		if err != nil && !state.Passes(err) && !errors.Is(err, context.DeadlineExceeded) {
			err = backoff.Permanent(err)
		}
		return n, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		m.log.Warn().Err(err).Msg("no watermark on the source; it is tried again")
	}))
}

// wanted tells the tables whose rows the reader decodes.
func (r *Runner) wanted(schema, table string) bool {
	return ownTable(schema, table) || r.inScope(schema, table)
}

func (r *Runner) inScope(schema, table string) bool {
	for _, d := range r.opts.Databases {
		if d == schema {
			return r.opts.InScope == nil || r.opts.InScope(schema, table)
		}
	}
	return false
}

// Pause holds chunks that are not begun; the stream goes on. Resume ends it. Both count also before
// there is a copy.
func (r *Runner) Pause() { r.pause(true, (*snapshot.Copier).Pause) }

// Resume ends Pause.
func (r *Runner) Resume() { r.pause(false, (*snapshot.Copier).Resume) }

func (r *Runner) pause(paused bool, tell func(*snapshot.Copier)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = paused
	if r.copier != nil {
		tell(r.copier)
	}
}

// copyAgain wakes the copier after it was through: a table starts over.
func (r *Runner) copyAgain() {
	select {
	case r.again <- struct{}{}:
	default:
	}
}

// keyed tells whether rows of t have names.
func keyed(t *row.Table) bool { return t.RowKey >= 0 }
