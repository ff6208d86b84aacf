package gate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Gate lets an application's writes in, one migration's. Safe for concurrent use.
type Gate struct {
	cfg    Config
	pools  map[Side]*pool
	writes *sql.DB // what DB returns
	reads  *sql.DB // what Reader returns

	mu    sync.Mutex
	door  *door
	lapse *time.Timer   // for the hold in force: its renewal is overdue, or its life over
	moved chan struct{} // closed, and made anew, when the epoch grows
	bus   string        // its address, from the route rows

	kick    chan struct{} // read the route rows now
	say     chan struct{} // something changed: tell the coordinator
	told    chan struct{} // something changed: tell the hooks
	closed  chan struct{}
	closing sync.Once
	stop    context.CancelFunc
	group   sync.WaitGroup // the goroutines of Open
}

// Open makes the pools, asks both servers for their route rows, and warms the connections. It fails if the
// configuration is wrong or ctx ends; where the rows don't say who the writer is, because a server can't be
// asked, writes wait until they do. Its work is bounded by ctx and by a few seconds; the Gate lives until Close.
func Open(ctx context.Context, cfg Config) (*Gate, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	g := &Gate{
		cfg: cfg,
		pools: map[Side]*pool{
			Source: newPool(Source, cfg.Source, cfg.Connections),
			Target: newPool(Target, cfg.Target, cfg.Connections),
		},
		moved:  make(chan struct{}),
		door:   newDoor(cfg.First, cfg.writers(), cfg.Queue),
		kick:   make(chan struct{}, 1),
		say:    make(chan struct{}, 1),
		told:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
	g.lapse = time.AfterFunc(time.Hour, g.overdue)
	g.lapse.Stop()
	g.writes, g.reads = openFacade(g, false), openFacade(g, true)

	live, stop := context.WithCancel(context.Background())
	g.stop = stop
	first, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	for _, p := range g.pools {
		g.group.Go(func() { g.keepWarm(live, first, p) })
	}
	f := &follower{g: g}
	err = f.look(first)
	g.group.Go(func() { f.run(live) })
	g.group.Go(func() { g.tellHooks(live) })
	if cfg.Bus != nil {
		g.group.Go(func() { g.talk(live) })
	}
	g.awaitWarm(first)
	if err = errors.Join(err, ctx.Err()); err != nil {
		_ = g.Close()
		return nil, err
	}
	return g, nil
}

// Close ends the gate: what waits fails with ErrClosed, the pools are closed. Whoever is inside should have left.
func (g *Gate) Close() error {
	g.closing.Do(func() { close(g.closed) })
	g.stop()
	g.lapse.Stop()
	g.group.Wait()
	return errors.Join(g.writes.Close(), g.reads.Close(), g.pools[Source].close(), g.pools[Target].close())
}

// DB is for code that exists: a pool whose transactions and single statements pass the gate. Writes wait in it,
// reads don't; see the package's comment for what is which. It is closed with the gate. It takes the limits of
// the gate: SetMaxOpenConns and the like have no use.
func (g *Gate) DB() *sql.DB { return g.writes }

// Reader is a pool for what only reads: whatever goes through it goes to the writer of the moment and never
// waits. It may be kept; it follows the flips. A write through it passes the gate by: it may be refused.
func (g *Gate) Reader() *sql.DB { return g.reads }

// Route says what the gate knows of the writer.
func (g *Gate) Route() Route {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.routeLocked()
}

func (g *Gate) routeLocked() Route {
	d := g.door
	return Route{Side: d.side, Address: g.pools[d.side].server.Address, Epoch: d.epoch, Held: d.hold != nil || !d.sure,
		Waiting: d.waiting.Len(), Inside: d.inside.Len()}
}

// Reach returns as soon as the gate goes by that epoch or a higher one, and has the route rows read until then; it fails
// when ctx ends. It is for reads on behalf of somebody who has seen that epoch in another process, whose gate heard of
// the flip earlier: the old writer would not have what he wrote.
func (g *Gate) Reach(ctx context.Context, epoch uint64) error {
	for wait := shortest; ; wait = min(2*wait, quick) {
		g.mu.Lock()
		now, moved := g.door.epoch, g.moved
		g.mu.Unlock()
		if now >= epoch {
			return nil
		}
		g.look()
		select {
		case <-moved:
		case <-time.After(wait):
		case <-g.closed:
			return ErrClosed
		case <-ctx.Done():
			return ended(ctx)
		}
	}
}

// Pass is one write transaction's stay inside the gate.
type Pass struct {
	DB    *sql.DB // the writer's pool
	Epoch uint64
	// Leave is to be called after COMMIT. A second call does nothing.
	Leave func()
	// Abandon is Leave for a transaction that did not take place: the first write after a flip is told to the coordinator,
	// and this was none.
	Abandon func()
	// Context is Enter's, for the transaction: it says that whoever enters with it is inside already, and it is
	// cancelled, with ErrCancelled as the cause, if the stay is cancelled for a cutover.
	Context context.Context

	stay *stay
	side Side
}

// Enter lets one write transaction in; while writes are held it waits. It fails when ctx ends, when too many
// wait already, and when the gate is closed. Under the Context of a Pass that has not been left it joins that stay.
func (g *Gate) Enter(ctx context.Context) (Pass, error) {
	pass, _, err := g.enter(ctx, &stay{what: named(ctx)})
	return pass, err
}

type nameKey struct{}

// Named says in ctx what a write is that enters with it, for whoever waits for it: a hold that it keeps from being
// drained names it so. Without it that is the place in the program from which the gate was called, which says little
// where all writes come through one function. what is called at any time, by anyone, and must not wait.
func Named(ctx context.Context, what func() string) context.Context {
	return context.WithValue(ctx, nameKey{}, what)
}

// named is what a write under ctx is called.
func named(ctx context.Context) func() string {
	if what, ok := ctx.Value(nameKey{}).(func() string); ok {
		return what
	}
	return caller()
}

type stayKey struct{ *Gate }

// enter is Enter with a stay that is made, all but what the door fills in. If it has no cancel of its own it is
// cancelled by the Pass's Context.
func (g *Gate) enter(ctx context.Context, s *stay) (pass Pass, joined bool, err error) {
	if ctx.Err() != nil {
		return Pass{}, false, ended(ctx)
	}
	if outer, ok := ctx.Value(stayKey{g}).(*stay); ok {
		g.mu.Lock()
		ok = g.door.join(outer)
		g.mu.Unlock()
		if ok {
			return g.pass(ctx, outer), true, nil
		}
	}
	select {
	case <-g.closed:
		return Pass{}, false, ErrClosed
	default:
	}
	inner := context.WithValue(ctx, stayKey{g}, s)
	if s.cancel == nil {
		inner, s.cancel = context.WithCancelCause(inner)
	}
	var t *ticket
	g.update(func(d *door) { t = d.enter(s, time.Now()) })
	if t == nil {
		s.cancel(nil)
		return Pass{}, false, ErrQueueFull
	}
	select {
	case <-t.in:
		return g.pass(inner, s), false, nil
	case <-ctx.Done():
		err = ended(ctx)
	case <-g.closed:
		err = ErrClosed
	}
	g.update(func(d *door) { d.giveUp(t, time.Now()) })
	s.cancel(nil)
	return Pass{}, false, err
}

// ended is the error of a context that has ended, with its cause if there is one.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause != nil && !errors.Is(cause, err) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}

func (g *Gate) pass(ctx context.Context, s *stay) Pass {
	p := Pass{DB: g.pools[s.side].db, Epoch: s.epoch, Context: ctx, stay: s, side: s.side}
	var once sync.Once
	p.Leave = func() { once.Do(func() { g.leave(s, true) }) }
	p.Abandon = func() { once.Do(func() { g.leave(s, false) }) }
	return p
}

// leave ends one pass of the stay; wrote: its write may have taken place.
func (g *Gate) leave(s *stay, wrote bool) {
	last := false
	g.update(func(d *door) {
		now := time.Now()
		if wrote {
			d.wrote(s.epoch, now)
		}
		d.leave(s, now)
		last = s.count == 0
	})
	if last {
		s.cancel(nil)
	}
}

// update is the one way to the door: it lets go whom the door has let in, in order, and tells of what changed.
func (g *Gate) update(change func(d *door)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.door
	before, since := g.sketch(), d.hold
	change(d)
	for _, t := range d.granted {
		close(t.in)
	}
	d.granted = d.granted[:0]
	if d.hold != nil {
		g.lapse.Reset(time.Until(d.hold.next()))
	} else if since != nil {
		g.lapse.Stop()
	}
	if d.epoch != before.epoch {
		close(g.moved)
		g.moved = make(chan struct{})
	}
	if g.sketch() != before {
		poke(g.say)
		poke(g.told)
	}
}

// overdue is for a hold that nothing more is heard of.
func (g *Gate) overdue() {
	look := false
	g.update(func(d *door) { look = d.overdue(time.Now()) })
	if look {
		g.look()
	}
}

// sketch is what the coordinator and the hooks are told of as soon as it changes.
type sketch struct {
	state          string
	attempt, epoch uint64
	first          time.Duration
}

func (g *Gate) sketch() sketch {
	d := g.door
	s := sketch{state: d.state(), attempt: d.last.attempt, epoch: d.epoch, first: d.last.first}
	return s
}

// poke wakes whoever waits for c, or will.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// look has the route rows read now.
func (g *Gate) look() { poke(g.kick) }

// answer is what the coordinator is told.
func (g *Gate) answer() Answer {
	a := Answer{
		Migration: g.cfg.Migration, Gate: g.cfg.Name, Host: hostname(), PID: os.Getpid(),
		Source: g.cfg.Source.Address, Target: g.cfg.Target.Address, Writer: string(g.cfg.First),
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.door.tell(&a, time.Now())
	a.CanHold = g.door.sure && g.pools[g.door.side.other()].warmed.Load()
	return a
}

// caller describes the place in the program from which the gate was called. The names are looked up only when asked.
func caller() func() string {
	pcs := make([]uintptr, 8)
	pcs = pcs[:runtime.Callers(4, pcs)]
	return func() string {
		for frames := runtime.CallersFrames(pcs); ; {
			f, more := frames.Next()
			if !more || !strings.HasPrefix(f.Function, own()) {
				name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
				return name + " (" + f.File[strings.LastIndexByte(f.File, '/')+1:] + ":" + strconv.Itoa(f.Line) + ")"
			}
		}
	}
}

// own is what the names of this package's functions begin with.
func own() string { return reflect.TypeFor[Gate]().PkgPath() + "." }
