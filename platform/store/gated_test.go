package store_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/cutover/bus"
	"changeover/cutover/gate"
	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/platformtest"
	"changeover/platform/store"
)

// pairs runs a test on a pair of servers of each flavor.
func pairs(t *testing.T, fn func(t *testing.T, p *platformtest.Pair)) {
	t.Helper()
	t.Parallel()
	for name, opts := range map[string][]sandboxtest.Option{"MySQL": nil, "MariaDB": {sandboxtest.MariaDB}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := platformtest.NewPair(t, opts...)
			p.Replicate(t)
			fn(t, p)
		})
	}
}

// TestBehindAGate runs what needs no servers of its own, one after the other on the same pair.
func TestBehindAGate(t *testing.T) {
	pairs(t, func(t *testing.T, p *platformtest.Pair) {
		p.Store = p.NewStore(t)
		for _, c := range []struct {
			name string
			run  func(*testing.T, *platformtest.Pair)
		}{
			{"while writes are held reads go on", whileHeldReadsGoOn},
			{"the writer that is named is waited for", theNamedWriterIsWaitedFor},
			{"a hold names the operation that it waits for", aHoldNamesItsOperation},
			{"a write that a hold cancels is run again", whatIsCancelledIsRunAgain},
			{"a gate that is full or closed is unavailable", fullOrClosedIsUnavailable},
			{"a lost COMMIT that was carried out is found on the writer of then", func(t *testing.T, p *platformtest.Pair) { aLostCommit(t, p, true) }},
			{"a lost COMMIT that was not is done on the writer of then", func(t *testing.T, p *platformtest.Pair) { aLostCommit(t, p, false) }},
			{"a server catches up with what its client has seen", catchesUp},
			{"a writer that is gone is looked for elsewhere", goneIsLookedForElsewhere},
		} {
			if !t.Run(c.name, func(t *testing.T) { c.run(t, p) }) {
				return
			}
		}
	})
}

// byRows is a gate that hears no order, and reads the route rows only when it has a reason.
func byRows(c *gate.Config) { c.Bus, c.Follow = nil, time.Hour }

// sixWays there and back.
var sixWays = []platformtest.Way{platformtest.Held, platformtest.Lost, platformtest.Abrupt, platformtest.Held, platformtest.Abrupt, platformtest.Lost}

func TestAClassGoesOnWhileTheWriterChanges(t *testing.T) {
	pairs(t, func(t *testing.T, p *platformtest.Pair) {
		p.Store = p.NewStore(t)
		stores := []*store.Store{p.Store, p.NewStore(t), p.NewStore(t, byRows)}
		c := begin(t, p.Platform, stores, 12)
		for i, way := range sixWays {
			c.more(40)
			p.Flip(t, way)
			writer, epoch := p.Writer()
			if i == 2 {
				// One that is started now, and believes the source to be the writer.
				late := p.NewStore(t, func(c *gate.Config) { c.First = gate.Source })
				if r := late.Route(); r.Server != writer.At.Addr() || r.Epoch != epoch {
					t.Errorf("a new server goes to %+v; the writer is %s, epoch %d", r, writer.At.Addr(), epoch)
				}
			}
		}
		c.more(40)
		c.settle()
		p.Equal(t)
		p.DB = p.Source().On.DBIn(t, "app", p.At.Database)
		c.compare()
		p.DB = p.Target().On.DBIn(t, "app", p.At.Database)
		c.compare()
		for _, s := range stores {
			t.Logf("%+v, %+v", s.Route(), s.Meter().Read().Total)
		}
	})
}

func TestKilledConnectionsAndChangesOfTheWriterLoseAndDoubleNothing(t *testing.T) {
	pairs(t, func(t *testing.T, p *platformtest.Pair) {
		p.Store = p.NewStore(t)
		c := begin(t, p.Platform, []*store.Store{p.Store, p.NewStore(t)}, 10)
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			for ctx.Err() == nil {
				at := c.runs.Load()
				p.KillAll(t)
				for c.runs.Load() < at+4 && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
			}
		})
		for _, way := range sixWays {
			c.more(25)
			p.Flip(t, way)
		}
		c.more(25)
		stop()
		group.Wait()
		c.settle()
		p.Equal(t)
		t.Logf("%d runs, %+v", c.runs.Load(), p.Store.Meter().Read().Total)
	})
}

// Among the reads is the one by which a session's use is noted.
func whileHeldReadsGoOn(t *testing.T, p *platformtest.Pair) {
	user, token := somebody(t, p.Platform)
	p.Exec(t, "UPDATE sessions SET seen_at = NOW() - INTERVAL 1 HOUR")
	before := p.Store.Meter().Read().Total
	release := p.Hold(t)
	wrote := make(chan error, 1)
	go func() { _, _, err := p.Store.Run(t.Context(), platformtest.Op("run"), user, aRun("a")); wrote <- err }()
	until(t, "a write waits", func() bool { r := p.Store.Route(); return r.Held && r.Waiting >= 1 })
	for range 20 {
		if _, err := p.Store.Session(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		must[[]store.LevelProgress](t)(p.Store.Progress(t.Context(), user, "maze"))
	}
	if now := p.Store.Meter().Read().Total; now != before {
		t.Errorf("while writes were held something was written or tried: %+v, before %+v", now, before)
	}
	release()
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	until(t, "the session's use is noted", func() bool {
		return p.Int(t, "SELECT COUNT(*) FROM sessions WHERE seen_at > NOW() - INTERVAL 30 MINUTE") == 1
	})
}

// The writer that the route rows name may not take writes yet, or not for the moment.
func theNamedWriterIsWaitedFor(t *testing.T, p *platformtest.Pair) {
	c := begin(t, p.Platform, []*store.Store{p.Store}, 4)
	for range 3 {
		c.more(10)
		writer, epoch := p.Writer()
		writer.On.Exec(t, "SET GLOBAL read_only = 1")
		until(t, "writes wait at the gate", func() bool { r := p.Store.Route(); return r.Held && r.Waiting == 4 })
		if r := p.Store.Route(); r.Server != writer.At.Addr() || r.Epoch != epoch {
			t.Errorf("the gate went to %+v", r)
		}
		writer.On.Exec(t, "SET GLOBAL read_only = 0")
	}
	c.more(10)
	c.settle()
}

// A server that has not heard of the flip reads the old writer, until it is told what a client has seen.
func catchesUp(t *testing.T, p *platformtest.Pair) {
	user, _ := somebody(t, p.Platform)
	behind := p.NewStore(t, byRows)
	old, _ := p.Writer()
	p.Flip(t, platformtest.Held)
	defer p.Stale(t, old)()
	_, epoch := p.Writer()
	_, a, err := p.Store.Run(t.Context(), platformtest.Op("run"), user, aRun("a"))
	if err != nil || a.Epoch != epoch {
		t.Fatalf("epoch %d, %v", a.Epoch, err)
	}
	if n := len(must[[]store.LevelProgress](t)(behind.Progress(t.Context(), user, "maze"))); n != 0 {
		t.Fatal("the server that has heard nothing reads the new writer: this test shows nothing")
	}
	behind.Reach(t.Context(), a.Epoch)
	if n := len(must[[]store.LevelProgress](t)(behind.Progress(t.Context(), user, "maze"))); n != 1 {
		t.Errorf("%d levels are read after the server has caught up", n)
	}
	began := time.Now()
	behind.Reach(t.Context(), 99)
	if took := time.Since(began); took < 900*time.Millisecond || took > 10*time.Second {
		t.Errorf("an epoch that never was is waited for for %v", took)
	}
}

func fullOrClosedIsUnavailable(t *testing.T, p *platformtest.Pair) {
	g := p.Gate(t, func(c *gate.Config) { c.Queue = 1 })
	s := store.New(store.Gated(g), p.Log)
	user, _ := somebody(t, p.Platform)
	release := p.Hold(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, _, err := s.Run(ctx, platformtest.Op("a"), user, aRun("a")); first <- err }()
	until(t, "a write waits", func() bool { return s.Route().Waiting == 1 })
	if _, _, err := s.Run(t.Context(), platformtest.Op("b"), user, aRun("a")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the queue is full: %v", err)
	}
	cancel()
	if err := <-first; !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a request whose time is over: %v", err)
	}
	release()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Gated(g).Enter(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the gate is closed: %v", err)
	}
}

// A write that is inside for too long is cancelled for a cutover, and done after it.
// Who makes a cutover wait is told by what somebody did, not by the one function through which all writes go.
func aHoldNamesItsOperation(t *testing.T, p *platformtest.Pair) {
	user, _ := somebody(t, p.Platform)
	blocker, err := p.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blocker.Rollback() }()
	if _, err := blocker.Exec("UPDATE users SET total_lines = total_lines WHERE id = ?", user.ID); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() { _, _, err := p.Store.Run(t.Context(), platformtest.Op("run"), user, aRun("a")); wrote <- err }()
	until(t, "a write is inside", func() bool { return p.Store.Route().Inside == 1 })
	err = p.Undrained(t, time.Second)
	var late *bus.NotDrained
	if !errors.As(err, &late) || !strings.Contains(err.Error(), "store.(*Store).Run (run.go:") {
		t.Errorf("what it waits for is told as %v", err)
	}
	if err := blocker.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

func whatIsCancelledIsRunAgain(t *testing.T, p *platformtest.Pair) {
	user, _ := somebody(t, p.Platform)
	blocker, err := p.DB.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blocker.Rollback() }()
	if _, err := blocker.Exec("UPDATE users SET total_lines = total_lines WHERE id = ?", user.ID); err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() { _, _, err := p.Store.Run(t.Context(), platformtest.Op("run"), user, aRun("a")); wrote <- err }()
	until(t, "a write is inside", func() bool { return p.Store.Route().Inside == 1 })
	release := p.Hold(t, func(r *bus.HoldRequest) { r.Cancel = true }) // drained, so the write is out
	until(t, "it waits", func() bool { return p.Store.Route().Waiting == 1 })
	if err := blocker.Rollback(); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if n := p.Int(t, "SELECT COUNT(*) FROM activities WHERE user_id = ?", user.ID); n != 1 {
		t.Errorf("%d activities", n)
	}
}

// The old writer dies after a flip of which nothing was heard.
func goneIsLookedForElsewhere(t *testing.T, p *platformtest.Pair) {
	s := p.NewStore(t, byRows)
	user, _ := somebody(t, p.Platform)
	old, epoch := p.Writer()
	p.Flip(t, platformtest.Abrupt)
	if err := old.On.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, a, err := s.Run(ctx, platformtest.Op("run"), user, aRun("a")); err != nil || a.Epoch != epoch+1 {
		t.Errorf("epoch %d, %v", a.Epoch, err)
	}
}

// The answer to a COMMIT is lost, and the next thing that is heard is that there is another writer.
func aLostCommit(t *testing.T, p *platformtest.Pair, carried bool) {
	user, _ := somebody(t, p.Platform)
	var armed atomic.Bool
	swallow := func() bool { return armed.CompareAndSwap(true, false) }
	_, epoch := p.Writer()
	s := p.NewStore(t, byRows, func(c *gate.Config) {
		for _, server := range []*gate.Server{&c.Source, &c.Target} {
			server.Connector = losing{server.Connector, swallow, carried, func() { p.Flip(t, platformtest.Abrupt) }}
		}
	})
	armed.Store(true)
	ran, a, err := s.Run(t.Context(), platformtest.Op("run"), user, aRun("a"))
	if err != nil || a.Epoch != epoch+1 || a.Replayed != carried || ran.Attempts != 1 || ran.TotalLines != 4 {
		t.Errorf("%+v, %+v, %v", ran, a, err)
	}
	if n := p.Int(t, "SELECT COUNT(*) FROM activities WHERE user_id = ?", user.ID); n != 1 || armed.Load() {
		t.Errorf("%d activities; was a COMMIT lost at all: %v", n, !armed.Load())
	}
}

// losing is a connector whose connections lose the answer to a COMMIT, before or after it was carried out.
type losing struct {
	driver.Connector
	now     func() bool
	carried bool
	then    func()
}

func (l losing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := l.Connector.Connect(ctx)
	return losingConn{c.(conn), l}, err
}

// conn is what database/sql makes use of in a connection of the driver.
type conn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.Validator
	driver.SessionResetter
	driver.Pinger
}

type losingConn struct {
	conn
	l losing
}

func (c losingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if query != "COMMIT" || !c.l.now() {
		return c.conn.ExecContext(ctx, query, args)
	}
	if c.l.carried {
		if _, err := c.conn.ExecContext(ctx, query, args); err != nil {
			return nil, err
		}
	}
	_ = c.conn.Close() // what was not committed is rolled back
	c.l.then()
	return nil, fmt.Errorf("the answer is lost: %w", mysql.ErrInvalidConn)
}

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}
