package verify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"changeover/cdc"
	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Config bounds a Verifier. docs/configuration.md has the keys.
type Config struct {
	Parallel   int           // chunks compared at once; 0 means 2
	Share      float64       // of one connection's time that the source works for it; 0 means 0.5
	MaxRunning int           // statements that others run on the source above which it waits; 0: no bound
	Memory     int64         // bytes of keys that it remembers; 0 means 16 MiB
	Every      time.Duration // a table that was wholly compared is compared again after this; 0: never
	Repair     bool          // differences are repaired as they are found
	Log        zerolog.Logger

	saveEvery time.Duration // a test's: how often the ledger is written down
}

// Verifier compares the two sides of a running migration, for ever: first every row once, behind the
// copy, then what the stream touches. It is the run's Companion. Nothing is locked, and nothing is
// said to differ that the stream may have touched meanwhile.
//
// Its methods may be called by anyone at any time.
type Verifier struct {
	cfg  Config
	log  zerolog.Logger
	pace *pace

	// Of the present start; a run that starts over has all of it new.
	mu       sync.Mutex
	ledger   *ledger
	look     *looker         // nil: what earlier runs knew is not loaded yet
	recall   error           // errRecalling: the stream is read again
	recalled chan struct{}   // closed when it is through
	from     *state.Position // from where; nil: nothing was ever written down
	tables   map[Name]*pacing
	cold     uint64 // the clock, half a second ago
	queue    []repair
	// lastRepair is the clock when the last repaired rows became due.
	lastRepair uint64
	counts     counts

	looks      int // so far, to name them
	interrupts map[int]context.CancelCauseFunc
	// interrupting counts those who wait for all looks to end.
	interrupting int

	looking sync.RWMutex // held, shared, by each look; alone by a proof
	busy    atomic.Int64 // looks
	saving  sync.Mutex   // a checkpoint is written
}

// pacing is how a table is looked at.
type pacing struct {
	cutter   *cutter
	rests    time.Time // until then it is left alone: it can't be compared as it is
	failures int       // in a row, of a kind that should pass
}

// counts are of this process.
type counts struct {
	chunks, keys, repaired int64
}

// New makes a Verifier.
func New(cfg Config) *Verifier {
	if cfg.Parallel <= 0 {
		cfg.Parallel = 2
	}
	if cfg.Share <= 0 {
		cfg.Share = 0.5
	}
	if cfg.saveEvery <= 0 {
		cfg.saveEvery = checkpointEvery
	}
	if cfg.Memory <= 0 {
		cfg.Memory = 16 << 20
	}
	return &Verifier{cfg: cfg, log: cfg.Log, pace: newPace(cfg.Share, cfg.MaxRunning), ledger: newLedger(cfg.Memory),
		interrupts: map[int]context.CancelCauseFunc{}, recalled: make(chan struct{})}
}

var _ cdc.Companion = (*Verifier)(nil)

// errRecalling says that what was touched before this start is not all known yet.
var errRecalling = errors.New("the stream is read again from where the proof was last written down")

// Begin makes everything new.
func (v *Verifier) Begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ledger, v.look, v.recall, v.from = newLedger(v.cfg.Memory), nil, errRecalling, nil
	v.recalled = make(chan struct{})
	v.tables, v.queue, v.cold, v.lastRepair = map[Name]*pacing{}, nil, 0, 0
}

func (v *Verifier) book() *ledger {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ledger
}

// Changed takes keys that the stream touches.
func (v *Verifier) Changed(changes []row.Change) { v.book().changed(changes) }

// Touched takes rows that change with others.
func (v *Verifier) Touched(t *row.Table, keys map[string]row.Row) { v.book().touched(t, keys) }

// Unsaid takes tables whose rows change unsaid.
func (v *Verifier) Unsaid(tables []schedule.Name) { v.book().unsaid(tables) }

// Altered takes what a statement made of tables.
func (v *Verifier) Altered(tables []cdc.Alteration) { v.book().altered(tables) }

// Run compares until ctx ends.
func (v *Verifier) Run(ctx context.Context, s *cdc.Stream) error {
	src, err := s.Source(2*v.cfg.Parallel + proofConnections)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, err := s.Target(2*v.cfg.Parallel + proofConnections)
	if err != nil {
		return err
	}
	defer func() { _ = dst.Close() }()
	if err := v.start(ctx, s, src, dst); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for range v.cfg.Parallel {
		g.Go(func() error { return v.forever(ctx, v.passOnce) })
	}
	g.Go(func() error { return v.forever(ctx, v.keysOnce) })
	g.Go(func() error { return v.forever(ctx, v.repairOnce) })
	g.Go(func() error { return v.tend(ctx) })
	g.Go(func() error { return v.recallTouched(ctx) })
	err = g.Wait()
	// What is known now need not be found out again by the next run.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if !errors.Is(err, server.ErrRestarted) {
		if err := v.save(last); err != nil {
			v.log.Debug().Err(err).Msg("the proof could not be written down at the end")
		}
	}
	return err
}

// start sets up what the looks need, and reads what earlier runs knew.
func (v *Verifier) start(ctx context.Context, s *cdc.Stream, src, dst *sql.DB) error {
	l := v.book()
	var c *comparer
	err := retried(ctx, v.log, func() (err error) {
		c, err = newComparer(ctx, src, dst)
		return err
	})
	if err != nil {
		return err
	}
	position, proofs, saved, err := s.Store().Proofs(ctx)
	if err != nil {
		return err
	}
	if err := l.load(proofs, s.Tables); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.look = &looker{comparer: c, stream: s, ledger: l, pairs: map[Name]known{}}
	if saved {
		v.from = &position
	}
	return nil
}

// present is what the looks of this start need.
func (v *Verifier) present() (*ledger, *looker) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ledger, v.look
}

// recallTouched reads the stream again from where the ledger was written down to where this run began:
// what was touched there is due too.
func (v *Verifier) recallTouched(ctx context.Context) error {
	l, k := v.present()
	if v.from != nil {
		began := time.Now()
		err := retried(ctx, v.log, func() error {
			return k.stream.Recall(ctx, *v.from, k.stream.Began(), l.changed, l.unsaid)
		})
		switch {
		case errors.Is(err, cdc.ErrGone):
			v.log.Warn().Err(err).Msg("what changed since the proof was written down can't be told: every row is compared again")
			l.everything()
		case err != nil:
			return err
		}
		v.log.Debug().Dur("took", time.Since(began)).Msg("touched keys recalled")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.recall = nil
	close(v.recalled)
	return nil
}

func (v *Verifier) recalling() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.recall
}

// retried repeats what fails for a reason that passes, with pauses.
func retried(ctx context.Context, log zerolog.Logger, fn func() error) error {
	for try := 0; ; try++ {
		err := fn()
		if err == nil || ctx.Err() != nil || errors.Is(err, server.ErrRestarted) || !passes(err) {
			return err
		}
		log.Warn().Err(err).Msg("a look at both sides failed and is repeated")
		select {
		case <-time.After(min(50*time.Millisecond<<min(try, 7), 5*time.Second)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// passes tells whether trouble is one that passes: a connection that was lost, a lock, a table that is
// being altered.
func passes(err error) bool {
	return state.Passes(err) || slices.Contains(schemaChanged, state.Number(err)) || errors.Is(err, errAgain) || errors.Is(err, context.DeadlineExceeded)
}

// schemaChanged are the errors of reading a table that is being altered, on the side where the statement
// has run already.
var schemaChanged = []uint16{
	1054, // unknown column
	1146, // no such table
	1176, // no such key
	1412, // the table is another since the read view was opened
}

// forever repeats a step; what it can't do now it is to do later. Only what concerns the run ends it.
func (v *Verifier) forever(ctx context.Context, step func(context.Context) (did bool, err error)) error {
	pause := idle
	for {
		did, err := step(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, server.ErrRestarted), fault.Is(err, fault.LeaseLost), fault.Is(err, fault.SnapshotOrder):
			return err
		case errors.Is(err, errAgain): // the table rests
			did = true
		case err != nil:
			v.log.Warn().Err(err).Dur("again_in", pause).Msg("a comparison came to nothing")
			did = false
			pause = min(2*pause, 5*time.Second)
		default:
			pause = idle
		}
		if did {
			continue
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// idle is how long somebody with nothing to do waits before looking again.
const idle = 200 * time.Millisecond

// tend keeps house: tables that are complete by now, how busy the source is, the checkpoint.
func (v *Verifier) tend(ctx context.Context) error {
	l, k := v.present()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var next time.Time
	said := time.Now()
	for {
		if time.Since(said) > sayEvery {
			said = time.Now()
			if s := v.State(); !s.Wholly {
				v.log.Info().Uint64("rows", s.Rows).Int("keys_due", s.KeysDue).Str("held_back", s.HeldBack).Msg("both sides are being compared")
			}
		}
		l.define(k.stream.Tables)
		l.startPasses(v.cfg.Every)
		v.cool(l)
		if n, err := running(ctx, k.source.db); err == nil {
			v.pace.sees(n - 1 - int(v.busy.Load())) // one reads the binlog
		}
		if began := time.Now(); began.After(next) {
			if err := v.save(ctx); err != nil {
				return err
			}
			next = time.Now().Add(max(v.cfg.saveEvery, 10*time.Since(began))) // what takes long is done seldom
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// cool notes the ledger's clock. Not with both locks: who has the ledger's may ask for the verifier's.
func (v *Verifier) cool(l *ledger) {
	now := l.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cold = now
}

const (
	checkpointEvery = time.Second
	sayEvery        = 30 * time.Second
)

// mostLag is how far the target may be behind while chunks are compared.
const mostLag = 2 * time.Second

// besideCopy is how many times slower chunks are compared while others are copied.
const besideCopy = 4

// begin waits until the source may be asked something. A proof does not begin until done, but ends the
// look's context, so that it needn't wait for long.
func (v *Verifier) begin(ctx context.Context) (look context.Context, done func(), err error) {
	if err := v.pace.wait(ctx); err != nil {
		return nil, nil, err
	}
	v.looking.RLock()
	v.busy.Add(1)
	look, end := v.interruptible(ctx)
	return look, func() {
		end()
		v.busy.Add(-1)
		v.looking.RUnlock()
	}, nil
}

// interruptible makes a context that interrupt ends.
func (v *Verifier) interruptible(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.looks
	v.looks++
	v.interrupts[n] = cancel
	if v.interrupting > 0 {
		cancel(errAgain)
	}
	return ctx, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.interrupts, n)
		cancel(nil)
	}
}

// interrupt ends the looks that are under way, those that begin meanwhile too, and returns once it alone
// has what they share. They are taken again.
func (v *Verifier) interrupt() {
	v.mu.Lock()
	v.interrupting++
	for _, cancel := range v.interrupts {
		cancel(errAgain)
	}
	v.mu.Unlock()
	v.looking.Lock()
	v.mu.Lock()
	v.interrupting--
	v.mu.Unlock()
}

// passOnce compares one chunk of what was not compared yet.
func (v *Verifier) passOnce(ctx context.Context) (did bool, err error) {
	l, k := v.present()
	if k.stream.Lag() > mostLag {
		return false, nil // the stream comes first
	}
	part, ok := l.open(v.awake)
	if !ok {
		return false, nil
	}
	ctx, done, err := v.begin(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	p, err := k.pair(ctx, part.name, part.version)
	if err != nil {
		v.rest(part.name, 2*idle)
		return false, v.failed(ctx, part.name, part.version, err)
	}
	chunk, size := row.Range{}, v.pacing(part.name).cutter
	if p.keyed() {
		if chunk, err = p.next(ctx, part.Range, size.rows()); err != nil {
			v.rest(part.name, 2*idle)
			return false, v.failed(ctx, part.name, part.version, err)
		}
	}
	c := l.claim(part, chunk)
	if c == nil {
		return true, nil // another was faster
	}
	began := time.Now()
	rows, took, err := v.compareChunk(ctx, l, k, p, c)
	read := took
	if k.stream.Unfinished() > 0 {
		took *= besideCopy
	}
	v.pace.spent(began, took)
	if err != nil {
		l.giveBack(c)
		v.rest(part.name, max(2*idle, 10*time.Since(began))) // what is written all the time costs a tenth
		return false, v.failed(ctx, part.name, part.version, err)
	}
	l.cannot(part.name, part.version, "")
	v.compared(part.name)
	size.took(rows, read)
	v.count(func(n *counts) { n.chunks++ })
	return true, nil
}

// compareChunk looks at what was claimed and takes the result into the ledger.
func (v *Verifier) compareChunk(ctx context.Context, l *ledger, k *looker, p *pair, c *claim) (rows uint64, took time.Duration, err error) {
	if p.keyed() {
		rows, took, differing, err := k.chunk(ctx, p, c)
		if err == nil {
			l.compared(c, rows, differing)
		}
		return rows, took, err
	}
	rows, took, different, err := k.whole(ctx, p, c)
	if err == nil {
		v.tell(c.name, l.comparedWhole(c, rows, different))
	}
	return rows, took, err
}

// keysAtOnce and more of them are compared between two watermarks.
const keysInALook = 2 * keysAtOnce

// keysOnce compares some of the keys that are due.
func (v *Verifier) keysOnce(ctx context.Context) (did bool, err error) {
	l, k := v.present()
	v.mu.Lock()
	cold := v.cold
	v.mu.Unlock()
	ctx, done, err := v.begin(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	taken, since := l.takeDue(v.awake, keysInALook, cold)
	if len(taken) == 0 {
		return false, nil
	}
	if err := k.caughtUp(ctx); err != nil {
		return false, err
	}
	began := time.Now()
	all := map[Name]map[string]*Finding{}
	for n, t := range taken {
		different, err := k.look(ctx, n, t)
		if err != nil {
			delete(taken, n) // the others needn't wait for it
			v.rest(n, 2*idle)
			if err := v.failed(ctx, n, t.version, err); !passes(err) && ctx.Err() == nil {
				v.log.Warn().Err(err).Msg("rows that changed can't be compared")
			}
			continue
		}
		all[n] = different
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	v.pace.spent(began, time.Since(began))
	if err := k.settled(ctx); err != nil {
		return false, err
	}
	count, stay := 0, 0
	for n, t := range taken {
		v.compared(n)
		stays, news := l.settleKeys(n, t, since, all[n])
		v.tell(n, news)
		count, stay = count+len(t.keys), stay+stays
	}
	v.count(func(n *counts) { n.keys += int64(count - stay) })
	// With few keys due there is no haste: each look costs the source two commits.
	return count == keysInALook && stay < count, nil
}

// look compares keys of one table, and says in which columns rows differ.
func (k *looker) look(ctx context.Context, n Name, t dueKeys) (map[string]*Finding, error) {
	p, err := k.pair(ctx, n, t.version)
	if err != nil {
		return nil, err
	}
	if !p.keyed() {
		return k.compareImages(ctx, p, t.keys)
	}
	if _, err := p.names(t.keys); err != nil { // a key that is none of this table's
		k.ledger.wholeDue(n, t.version)
		return nil, err
	}
	different, err := k.compareKeys(ctx, p, t.keys)
	if err != nil {
		return nil, err
	}
	return different, p.columns(ctx, different)
}

// failed judges what kept a table from being compared. The source may be ahead of the stream, where the
// table is another: only what is so once the stream has passed all of it is noted, and the table is
// left alone for a while.
func (v *Verifier) failed(ctx context.Context, n Name, version int, err error) error {
	l, k := v.present()
	k.forget(n)
	if errors.Is(context.Cause(ctx), errAgain) {
		return errAgain // a proof is made
	}
	if passes(err) || ctx.Err() != nil || errors.Is(err, server.ErrRestarted) {
		v.mu.Lock()
		p := v.pacingHeld(n)
		p.failures++
		told := p.failures%tellEvery == 0
		v.mu.Unlock()
		if told && ctx.Err() == nil {
			v.log.Warn().Err(err).Str("table", n.String()).Msg("the table can't be compared for some time now; it is tried on")
		}
		return err
	}
	if err := k.caughtUp(ctx); err != nil {
		return err
	}
	if !l.current(n, version) {
		return errAgain
	}
	l.cannot(n, version, err.Error())
	v.rest(n, restTime)
	return fmt.Errorf("%s: %w", n, err)
}

// tellEvery is after how many failures that should pass the log says so.
const tellEvery = 20

// restTime is how long a table is left alone that could not be compared.
const restTime = 10 * time.Second

// rest leaves a table alone for a while.
func (v *Verifier) rest(n Name, d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pacingHeld(n).rests = time.Now().Add(d)
}

// compared notes that something of a table was compared.
func (v *Verifier) compared(n Name) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pacingHeld(n).failures = 0
}

func (v *Verifier) awake(n Name) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Now().After(v.pacingHeld(n).rests)
}

func (v *Verifier) pacing(n Name) *pacing {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.pacingHeld(n)
}

func (v *Verifier) pacingHeld(n Name) *pacing {
	p := v.tables[n]
	if p == nil {
		p = &pacing{cutter: newCutter()}
		v.tables[n] = p
	}
	return p
}

func (v *Verifier) count(fn func(*counts)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fn(&v.counts)
}

// tell logs rows that were found to differ.
func (v *Verifier) tell(n Name, keys []string) {
	if len(keys) > 0 {
		v.log.Error().Str("table", n.String()).Int("rows", len(keys)).Msg("rows differ; changeover verify shows them")
	}
}

// ErrNotYet says that the run has not begun to compare.
var ErrNotYet = errors.New("the run has not begun to compare; ask again in a moment")

// Again has every table compared once more from its beginning, and what is known to differ. What was
// proven stays proven meanwhile.
func (v *Verifier) Again() error {
	l, k := v.present()
	if k == nil {
		return ErrNotYet
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.tables {
		if e.def != nil && e.wholly() && len(e.second) == 0 {
			l.startPass(e)
		}
	}
	return nil
}
