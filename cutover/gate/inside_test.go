package gate_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/cutover/gate"
)

// TestInsideAndOutside is what one gate does with those who come while writes are held, and those who are inside.
func TestInsideAndOutside(t *testing.T) {
	t.Parallel()
	servers := newWorld(t)
	for name, test := range map[string]func(t *testing.T, w *world){
		"reads never wait": readsNeverWait,
		"what waits is let in in the order in which it came":       firstComeFirstIn,
		"a Conn that is kept is inside until it is closed":         keptConn,
		"a nested write joins the outer one":                       nestedWrites,
		"the queue has an end":                                     queueEnds,
		"whoever waits may give up":                                giveUpWaiting,
		"a hold that is not renewed lapses":                        holdLapses,
		"reads find a flip that nobody told the gate of":           unheardFlip,
		"a hold of which nothing came leaves no trace":             unheardUndo,
		"what is inside too long is cancelled when a hold says so": cancelLong,
		"the first write after a flip is told":                     firstWriteTold,
		"the hooks are called":                                     hooksCalled,
		"a lost bus is dialled again where the row says":           busMoves,
		"a prepared statement moves along":                         preparedMoves,
		"a closed gate lets nobody in":                             closedGate,
		"a function's own error is returned as it is":              ownError,
		"arguments are converted as the driver does":               arguments,
		"a transaction that is left open is not handed on":         leftOpen,
		"who has written sees it":                                  seesItself,
		"orders for others are not obeyed":                         othersOrders,
		"both pools are warm, and stay so":                         warm,
		"half a transaction is not committed":                      halfATransaction,
		"what a hold cancels before it has begun is done later":    cancelledBefore,
		"a panic leaves the gate":                                  panics,
		"what is inside has the name that its caller gave it":      namedWrites,
	} {
		t.Run(name, func(t *testing.T) {
			w := *servers
			w.t, w.bus, w.attempt, w.writer = t, newFakeBus(), 0, gate.Source
			w.exec(gate.Source, "SET GLOBAL read_only = OFF")
			w.exec(gate.Target, "SET GLOBAL read_only = ON")
			for _, side := range []gate.Side{gate.Source, gate.Target} {
				w.exec(side, "DELETE FROM _changeover.route")
				w.exec(side, "DELETE FROM school.notes")
			}
			w.begin()
			test(t, &w)
		})
	}
}

// release ends the hold.
func (w *world) release() {
	w.bus.order(gate.Order{Migration: "m", Attempt: w.attempt, Epoch: w.epoch, Kind: gate.Release})
}

// soon is a context that ends before the test's patience.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

const insert = "INSERT INTO notes (op, worker, n) VALUES (?, 1, 1)"

func write(ctx context.Context, g *gate.Gate, op string) error {
	return g.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, insert, op)
		return err
	})
}

func readsNeverWait(t *testing.T, w *world) {
	g := w.gate()
	defer w.hold(1)()
	ctx := soon(t)
	var n int
	for _, db := range []*sql.DB{g.Reader(), g.DB()} {
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM notes").Scan(&n); err != nil {
			t.Error(err)
		}
		tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM notes WHERE worker = ?", 1).Scan(&n); err != nil {
			t.Error(err)
		}
		if _, err := tx.ExecContext(ctx, insert, "ro"); err == nil {
			t.Error("a read-only transaction has written")
		}
		_ = tx.Rollback()
		if err := db.PingContext(ctx); err != nil {
			t.Error(err)
		}
	}
	st, err := g.DB().PrepareContext(ctx, "SELECT COUNT(*) FROM notes WHERE worker = ?")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if err := st.QueryRowContext(ctx, 1).Scan(&n); err != nil {
		t.Error(err)
	}
	if r := g.Route(); !r.Held || r.Waiting != 0 {
		t.Errorf("it is not held: %+v", r)
	}
}

func firstComeFirstIn(t *testing.T, w *world) {
	g := w.gate(func(c *gate.Config) { c.Connections = 1 })
	end := w.hold(1)
	var order, want []int
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range 40 {
		want = append(want, i)
		group.Go(func() {
			err := g.Write(soon(t), func(context.Context, *sql.Tx) error {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		eventually(t, "one more waits", func() bool { return g.Route().Waiting == i+1 })
	}
	end()
	w.release()
	group.Wait()
	if !slices.Equal(order, want) {
		t.Errorf("let in in the order %v", order)
	}
}

func namedWrites(t *testing.T, w *world) {
	g := w.gate()
	ctx := soon(t)
	label := gate.Named(ctx, func() string { return "order 17" })
	w.attempt++
	inside := func(what string) {
		t.Helper()
		w.attempt++
		w.bus.order(gate.Order{Migration: "m", Attempt: w.attempt, Epoch: 1, Kind: gate.Hold, Life: 5 * time.Second})
		a := w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateHeld && a.Attempt == w.attempt })[0]
		if len(a.Inside) != 1 || !strings.HasPrefix(a.Inside[0].What, what) {
			t.Errorf("inside is %+v, not %s", a.Inside, what)
		}
		w.bus.order(gate.Order{Migration: "m", Attempt: w.attempt, Epoch: 1, Kind: gate.Release})
	}
	for what, ctx := range map[string]context.Context{"order 17": label, "gate_test.namedWrites": ctx} {
		pass, err := g.Enter(ctx)
		if err != nil {
			t.Fatal(err)
		}
		inside(what)
		pass.Leave()
	}
	err := g.Write(label, func(context.Context, *sql.Tx) error { inside("order 17"); return nil })
	if err != nil {
		t.Error(err)
	}
}

func keptConn(t *testing.T, w *world) {
	g := w.gate()
	ctx := soon(t)
	c, err := g.DB().Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := c.QueryRowContext(ctx, "SELECT COUNT(*) FROM notes").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if r := g.Route(); r.Inside != 0 {
		t.Errorf("a read is inside: %+v", r)
	}
	if _, err := c.ExecContext(ctx, "CREATE TEMPORARY TABLE mine (a INT)"); err != nil {
		t.Fatal(err)
	}
	w.attempt++
	w.bus.order(gate.Order{Migration: "m", Attempt: w.attempt, Epoch: 1, Kind: gate.Hold, Life: 5 * time.Second})
	a := w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateHeld })[0]
	if len(a.Inside) != 1 || a.InsideCount != 1 || a.Inside[0].What != "CREATE TEMPORARY TABLE mine" || a.Inside[0].For <= 0 {
		t.Errorf("inside is %+v", a.Inside)
	}
	for i := range 3 { // the session goes on: it is inside
		if _, err := c.ExecContext(ctx, "INSERT INTO mine VALUES (?)", i); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.QueryRowContext(ctx, "SELECT COUNT(*) FROM mine").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d rows, %v", n, err)
	}
	tx, err := c.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, insert, "kept"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if r := g.Route(); r.Inside != 1 {
		t.Errorf("it has left: %+v", r)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateDrained && a.InsideCount == 0 })
	w.release()
	if err := write(ctx, g, "after"); err != nil {
		t.Error(err)
	}
}

func nestedWrites(t *testing.T, w *world) {
	g := w.gate()
	var other sync.WaitGroup
	err := g.Write(soon(t), func(ctx context.Context, tx *sql.Tx) error {
		w.attempt++
		w.bus.order(gate.Order{Migration: "m", Attempt: w.attempt, Epoch: 1, Kind: gate.Hold, Life: 5 * time.Second})
		w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateHeld && a.InsideCount == 1 })
		other.Go(func() {
			if err := write(soon(t), g, "other"); err != nil {
				t.Error(err)
			}
		})
		eventually(t, "the other one waits", func() bool { return g.Route().Waiting == 1 })
		if err := g.Write(ctx, func(ctx context.Context, inner *sql.Tx) error {
			if inner != tx {
				t.Error("another transaction")
			}
			_, err := inner.ExecContext(ctx, insert, "inner")
			return err
		}); err != nil {
			return err
		}
		pass, err := g.Enter(ctx)
		if err != nil {
			return err
		}
		pass.Leave()
		if _, err := g.DB().ExecContext(ctx, insert, "beside"); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, insert, "outer")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateDrained })
	w.release()
	other.Wait()
	if ops := w.ops(); len(ops) != 4 {
		t.Errorf("written were %v", ops)
	}
	pass, err := g.Enter(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	pass.Leave()
	pass.Leave() // does nothing
	if again, err := g.Enter(pass.Context); err == nil {
		t.Errorf("joined a stay that was left, and is over: %+v", again)
	}
	if r := g.Route(); r.Inside != 0 {
		t.Errorf("somebody is inside: %+v", r)
	}
}

func queueEnds(t *testing.T, w *world) {
	g := w.gate(func(c *gate.Config) { c.Queue = 3 })
	end := w.hold(1)
	var group sync.WaitGroup
	for i := range 3 {
		group.Go(func() {
			if err := write(soon(t), g, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "three wait", func() bool { return g.Route().Waiting == 3 })
	if err := write(soon(t), g, "4"); !errors.Is(err, gate.ErrQueueFull) {
		t.Errorf("the fourth: %v", err)
	}
	if _, err := g.DB().Exec(insert, "5"); !errors.Is(err, gate.ErrQueueFull) {
		t.Errorf("the fifth: %v", err)
	}
	end()
	w.release()
	group.Wait()
}

func giveUpWaiting(t *testing.T, w *world) {
	g := w.gate()
	end := w.hold(1)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 3)
	go func() { errs <- write(ctx, g, "1") }()
	go func() { _, err := g.DB().ExecContext(ctx, insert, "2"); errs <- err }()
	go func() { _, err := g.DB().BeginTx(ctx, nil); errs <- err }()
	eventually(t, "three wait", func() bool { return g.Route().Waiting == 3 })
	cancel()
	for range 3 {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Errorf("gave up with %v", err)
		}
	}
	if r := g.Route(); r.Waiting != 0 || r.Inside != 0 {
		t.Errorf("left behind: %+v", r)
	}
	end()
	w.release()
	if err := write(soon(t), g, "3"); err != nil {
		t.Error(err)
	}
	if ops := w.ops(); len(ops) != 1 {
		t.Errorf("written were %v", ops)
	}
}

func holdLapses(t *testing.T, w *world) {
	g := w.gate()
	w.bus.order(gate.Order{Migration: "m", Attempt: 1, Epoch: 1, Kind: gate.Hold, Life: 200 * time.Millisecond})
	w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateDrained })
	if err := write(soon(t), g, "lapsed"); err != nil {
		t.Error(err)
	}
	a := w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateOpen && a.Attempt == 1 })[0]
	if a.Held < 200*time.Millisecond || a.FirstWrite != 0 {
		t.Errorf("it was held for %v, the first write after %v", a.Held, a.FirstWrite)
	}
}

// A gate that only reads, hears a hold, and then nothing more: no write is refused that would have it look.
func unheardFlip(t *testing.T, w *world) {
	g := w.gate(func(c *gate.Config) { c.Follow = time.Hour })
	ctx := soon(t)
	w.exec(gate.Source, "INSERT INTO school.notes (op, worker, n) VALUES ('old', 0, 0)")
	w.attempt++
	w.bus.order(gate.Order{Migration: "m", Attempt: w.attempt, Epoch: 1, Kind: gate.Hold, Life: 300 * time.Millisecond})
	w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateDrained })
	w.exec(gate.Source, "SET GLOBAL read_only = ON")
	// The coordinator is away for longer than the hold lives; who takes over goes on from the commit.
	w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateOpen && a.Attempt == w.attempt })
	asked := w.selects(gate.Source)
	eventually(t, "the rows are read again and again", func() bool { return w.selects(gate.Source) > asked+10 })
	w.route(gate.Target, gate.Target, 2, w.attempt)
	w.exec(gate.Target, "SET GLOBAL read_only = OFF")
	w.exec(gate.Target, "INSERT INTO school.notes (op, worker, n) VALUES ('new', 0, 0)")
	eventually(t, "reads go to the new writer", func() bool {
		var op string
		if err := g.Reader().QueryRowContext(ctx, "SELECT op FROM notes").Scan(&op); err != nil {
			t.Fatal(err)
		}
		return op == "new"
	})
}

// If nothing comes of the attempt the rows are left alone again.
func unheardUndo(t *testing.T, w *world) {
	g := w.gate(func(c *gate.Config) { c.Follow = time.Hour })
	w.attempt++
	w.bus.order(gate.Order{Migration: "m", Attempt: w.attempt, Epoch: 1, Kind: gate.Hold, Life: 100 * time.Millisecond})
	w.exec(gate.Source, "SET GLOBAL read_only = ON")
	w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateOpen && a.Attempt == w.attempt })
	asked := w.selects(gate.Source)
	eventually(t, "the rows are read again and again", func() bool { return w.selects(gate.Source) > asked+5 })
	w.exec(gate.Source, "SET GLOBAL read_only = OFF")
	last, since := w.selects(gate.Source), time.Now()
	eventually(t, "nobody asks any more", func() bool {
		if now := w.selects(gate.Source); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 4*slowest
	})
	if r := g.Route(); r.Side != gate.Source || r.Epoch != 1 || r.Held {
		t.Errorf("it goes by %+v", r)
	}
}

// slowest is how long a gate pauses between two looks while it looks again and again.
const slowest = 250 * time.Millisecond

// selects is how many SELECTs a server has run.
func (w *world) selects(side gate.Side) (n int) {
	w.t.Helper()
	var name string
	if err := w.root[side].QueryRow("SHOW GLOBAL STATUS LIKE 'Com_select'").Scan(&name, &n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func cancelLong(t *testing.T, w *world) {
	g := w.gate()
	ctx := soon(t)
	// One that runs a statement, one that does nothing in a transaction of DB, one in a statement of DB, one by Enter.
	var tries atomic.Int64
	var group sync.WaitGroup
	group.Go(func() {
		if err := g.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
			if tries.Add(1) == 1 {
				if _, err := tx.ExecContext(ctx, insert, "cancelled"); err != nil {
					return err
				}
				_, err := tx.ExecContext(ctx, "SELECT SLEEP(15)")
				return err
			}
			_, err := tx.ExecContext(ctx, insert, "again")
			return err
		}); err != nil {
			t.Errorf("Write: %v", err)
		}
	})
	tx, err := g.DB().BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, insert, "idle"); err != nil {
		t.Fatal(err)
	}
	statement := make(chan error, 1)
	go func() { _, err := g.DB().ExecContext(ctx, "DO SLEEP(15)"); statement <- err }()
	pass, err := g.Enter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "four are inside", func() bool { return g.Route().Inside == 4 && tries.Load() == 1 })
	w.attempt++
	o := gate.Order{Migration: "m", Attempt: w.attempt, Epoch: 1, Kind: gate.Hold, Life: 5 * time.Second, Cancel: true}
	stop := time.NewTicker(20 * time.Millisecond)
	defer stop.Stop()
	for range 10 { // renewals: what was younger than 100 ms at the first is not at the last
		w.bus.order(o)
		<-stop.C
	}
	<-pass.Context.Done()
	if !errors.Is(context.Cause(pass.Context), gate.ErrCancelled) {
		t.Errorf("Enter's context ended with %v", context.Cause(pass.Context))
	}
	pass.Leave()
	w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateDrained })
	if err := <-statement; err == nil {
		t.Error("a statement that was cancelled has no error")
	}
	if _, err := tx.ExecContext(ctx, insert, "more"); !errors.Is(err, gate.ErrCancelled) {
		t.Errorf("the transaction goes on: %v", err)
	}
	if err := tx.Commit(); !errors.Is(err, gate.ErrCancelled) {
		t.Errorf("it was committed: %v", err)
	}
	w.release()
	group.Wait()
	if ops := w.ops(); len(ops) != 1 || ops["again"] != 1 || tries.Load() != 2 {
		t.Errorf("written were %v in %d tries", ops, tries.Load())
	}
	if r := g.Route(); r.Inside != 0 {
		t.Errorf("somebody is inside: %+v", r)
	}
}

func firstWriteTold(t *testing.T, w *world) {
	g := w.gate()
	pass, err := g.Enter(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	pass.Leave()
	w.flip(1, true)
	a := w.bus.await(t, 1, func(a gate.Answer) bool { return a.Epoch == 2 })[0]
	if a.FirstWrite != 0 || a.Held <= 0 || a.Attempt != 1 || a.State != gate.StateFlipped {
		t.Errorf("before the first write it says %+v", a)
	}
	if err := g.Write(soon(t), func(context.Context, *sql.Tx) error { return errMine }); !errors.Is(err, errMine) {
		t.Fatal(err)
	}
	w.bus.forget()
	w.bus.order(gate.Order{Migration: "m", Kind: gate.Ask})
	if a := w.bus.await(t, 1, func(gate.Answer) bool { return true })[0]; a.FirstWrite != 0 {
		t.Errorf("a write that failed counts as the first: %+v", a)
	}
	if err := write(soon(t), g, "first"); err != nil {
		t.Fatal(err)
	}
	a = w.bus.await(t, 1, func(a gate.Answer) bool { return a.FirstWrite > 0 })[0]
	if a.FirstWrite < a.Held {
		t.Errorf("the first write came before the hold's end: %+v", a)
	}
	if !strings.HasSuffix(a.Source, fmt.Sprint(w.on[gate.Source].Port)) || !strings.HasSuffix(a.Target, fmt.Sprint(w.on[gate.Target].Port)) || a.Writer != "source" || a.PID == 0 || a.Host == "" {
		t.Errorf("it is %+v", a)
	}
}

func hooksCalled(t *testing.T, w *world) {
	calls := make(chan string, 10)
	w.gate(func(c *gate.Config) {
		c.OnHold = func(ctx context.Context) { calls <- "hold"; <-ctx.Done(); calls <- "held" }
		c.OnRelease = func(context.Context) { calls <- "release" }
		c.OnFlip = func(_ context.Context, r gate.Route) { calls <- "flip to " + string(r.Side) }
	})
	next := func(want string) {
		t.Helper()
		select {
		case got := <-calls:
			if got != want {
				t.Errorf("called: %s, want %s", got, want)
			}
		case <-time.After(40 * time.Second):
			t.Fatalf("not called: %s", want)
		}
	}
	w.hold(1)()
	next("hold")
	w.release()
	next("held")
	next("release")
	w.flip(1, true)
	next("hold")
	next("held")
	next("flip to target")
	next("release")
}

func busMoves(t *testing.T, w *world) {
	g := w.gate(func(c *gate.Config) { c.Follow = 20 * time.Millisecond })
	w.bus.await(t, 1, func(gate.Answer) bool { return true })
	w.bus.cut(true)
	if err := write(soon(t), g, "without a bus"); err != nil {
		t.Error(err)
	}
	w.bus.cut(false)
	w.hold(1)()
	w.release()
	if err := write(soon(t), g, "again"); err != nil {
		t.Error(err)
	}
}

func preparedMoves(t *testing.T, w *world) {
	g := w.gate()
	ctx := soon(t)
	st, err := g.DB().PrepareContext(ctx, insert)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	for i := range 3 {
		for j := range 5 {
			if _, err := st.ExecContext(ctx, fmt.Sprintf("%d-%d", i, j)); err != nil {
				t.Fatal(err)
			}
		}
		tx, err := g.DB().BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		for j := range 5 {
			if _, err := tx.StmtContext(ctx, st).ExecContext(ctx, fmt.Sprintf("tx %d-%d", i, j)); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		w.flip(1, true)
	}
	if ops := w.ops(); len(ops) != 30 {
		t.Errorf("%d were written", len(ops))
	}
	var open, opened int
	for _, side := range []gate.Side{gate.Source, gate.Target} {
		var name string
		if err := w.root[side].QueryRow("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'").Scan(&name, &open); err != nil {
			t.Fatal(err)
		}
		opened += open
	}
	if opened != 0 {
		t.Errorf("%d prepared statements are left in the servers", opened)
	}
}

func closedGate(t *testing.T, w *world) {
	g := w.gate()
	end := w.hold(1)
	errs := make(chan error, 1)
	go func() { errs <- write(context.Background(), g, "waits") }()
	eventually(t, "it waits", func() bool { return g.Route().Waiting == 1 })
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if err := <-errs; !errors.Is(err, gate.ErrClosed) {
		t.Errorf("what waited: %v", err)
	}
	if err := write(context.Background(), g, "late"); !errors.Is(err, gate.ErrClosed) {
		t.Errorf("what came later: %v", err)
	}
	end()
}

var errMine = errors.New("mine")

func ownError(t *testing.T, w *world) {
	g := w.gate()
	tries := 0
	err := g.Write(soon(t), func(ctx context.Context, tx *sql.Tx) error {
		tries++
		if _, err := tx.ExecContext(ctx, insert, "mine"); err != nil {
			return err
		}
		return errMine
	})
	if err != errMine || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
	if err := write(soon(t), g, "twice"); err != nil {
		t.Fatal(err)
	}
	if err := write(soon(t), g, "twice"); err == nil || !strings.Contains(err.Error(), "1062") {
		t.Errorf("a duplicate: %v", err)
	}
	if ops := w.ops(); len(ops) != 1 {
		t.Errorf("written were %v", ops)
	}
	err = g.Write(soon(t), func(_ context.Context, tx *sql.Tx) error { return tx.Commit() })
	if err == nil {
		t.Error("a function may end the transaction")
	}
}

func arguments(t *testing.T, w *world) {
	g := w.gate()
	ctx := soon(t)
	worker := 7
	for i, db := range []*sql.DB{g.DB(), g.Reader()} {
		var s string
		var n uint64
		var at sql.NullTime
		// A pointer, a Valuer, an unsigned number with its high bit: database/sql alone refuses the last.
		err := db.QueryRowContext(ctx, "SELECT ?, ?, ?", &worker, uint64(1)<<63, sql.NullTime{}).Scan(&s, &n, &at)
		if err != nil || s != "7" || n != 1<<63 || at.Valid {
			t.Errorf("%d: %q %d %v, %v", i, s, n, at, err)
		}
	}
	rows, err := g.DB().QueryContext(ctx, "SELECT id, op FROM notes")
	if err != nil {
		t.Fatal(err)
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		t.Fatal(err)
	}
	if types[0].DatabaseTypeName() != "BIGINT" || types[1].DatabaseTypeName() != "VARCHAR" || types[0].ScanType().String() != "int64" {
		t.Errorf("the columns are %s %s %s", types[0].DatabaseTypeName(), types[0].ScanType(), types[1].DatabaseTypeName())
	}
	_ = rows.Close()
	if _, err := g.DB().ExecContext(ctx, insert); err == nil {
		t.Error("a missing argument is no error")
	}
	if r := g.Route(); r.Inside != 0 {
		t.Errorf("somebody is inside: %+v", r)
	}
}

func leftOpen(t *testing.T, w *world) {
	g := w.gate(func(c *gate.Config) { c.Connections = 2 })
	ctx := soon(t)
	c, err := g.DB().Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"BEGIN", "INSERT INTO notes (op, worker, n) VALUES ('open', 1, 1)"} {
		if _, err := c.ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	for i := range 10 {
		if _, err := g.DB().ExecContext(ctx, insert, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if ops := w.ops(); len(ops) != 10 || ops["open"] != 0 {
		t.Errorf("written were %v", ops)
	}
}

func panics(t *testing.T, w *world) {
	g := w.gate()
	func() {
		defer func() { _ = recover() }()
		_ = g.Write(soon(t), func(ctx context.Context, tx *sql.Tx) error {
			_, _ = tx.ExecContext(ctx, insert, "panic")
			panic("oh")
		})
	}()
	if r := g.Route(); r.Inside != 0 {
		t.Errorf("somebody is inside: %+v", r)
	}
	if err := write(soon(t), g, "panic"); err != nil { // its row is free again
		t.Error(err)
	}
}

// seesItself: reads change servers before the first write is let go.
func seesItself(t *testing.T, w *world) {
	g := w.gate()
	var group sync.WaitGroup
	end := w.hold(1)
	for i := range 40 {
		group.Go(func() {
			op := fmt.Sprint(i)
			if i%2 == 0 {
				if err := write(soon(t), g, op); err != nil {
					t.Error(err)
				}
			} else if _, err := g.DB().ExecContext(soon(t), insert, op); err != nil {
				t.Error(err)
			}
			for _, db := range []*sql.DB{g.Reader(), g.DB()} {
				var n int
				if err := db.QueryRowContext(soon(t), "SELECT COUNT(*) FROM notes WHERE op = ?", op).Scan(&n); err != nil || n != 1 {
					t.Errorf("%s is seen %d times, %v", op, n, err)
				}
			}
		})
	}
	eventually(t, "all wait", func() bool { return g.Route().Waiting == 40 })
	end()
	w.attempt-- // flip holds by itself, with the same attempt
	w.flip(1, true)
	group.Wait()
}

func othersOrders(t *testing.T, w *world) {
	g := w.gate(func(c *gate.Config) { c.Name = "mine" })
	w.bus.await(t, 1, func(gate.Answer) bool { return true })
	o := gate.Order{Migration: "m", Attempt: 1, Epoch: 1, Kind: gate.Hold, Life: 5 * time.Second}
	other, stranger := o, o
	other.To, stranger.Migration = "another", "n"
	w.bus.order(other)
	w.bus.order(stranger)
	ask := gate.Order{Migration: "m", Kind: gate.Ask, To: "mine"}
	w.bus.forget()
	w.bus.order(ask)
	if a := w.bus.await(t, 1, func(gate.Answer) bool { return true })[0]; a.State != gate.StateOpen || a.Gate != "mine" || !a.CanHold {
		t.Errorf("it says %+v", a)
	}
	o.To = "mine"
	w.bus.order(o)
	w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateDrained })
	if !g.Route().Held {
		t.Error("its own order is not obeyed")
	}
}

// sessions is how many the application has on a server, but for those that read the rows.
func (w *world) sessions(side gate.Side) (n int) {
	w.t.Helper()
	if err := w.root[side].QueryRow("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app'").Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// connections is how many were ever made to a server.
func (w *world) connections(side gate.Side) (n int) {
	w.t.Helper()
	var name string
	if err := w.root[side].QueryRow("SHOW GLOBAL STATUS LIKE 'Connections'").Scan(&name, &n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func warm(t *testing.T, w *world) {
	g := w.gate(func(c *gate.Config) { c.Connections = 12 })
	for _, side := range []gate.Side{gate.Source, gate.Target} {
		if n := w.sessions(side); n < 12 || n > 14 {
			t.Errorf("the %s has %d sessions", side, n)
		}
	}
	var group sync.WaitGroup
	for i := range 24 {
		group.Go(func() {
			if err := write(soon(t), g, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := w.sessions(gate.Source); n < 12 { // database/sql keeps two unless it is told otherwise
		t.Errorf("after use %d sessions are left", n)
	}
	before := w.connections(gate.Source)
	for i := range 20 { // sessions are given back, not closed
		if err := transact(soon(t), g.DB(), fmt.Sprint("tx ", i), 1, i); err != nil {
			t.Error(err)
		}
		if _, err := g.DB().Exec(insert, fmt.Sprint("alone ", i)); err != nil {
			t.Error(err)
		}
		var n int
		if err := g.Reader().QueryRow("SELECT COUNT(*) FROM notes WHERE n = ?", i).Scan(&n); err != nil {
			t.Error(err)
		}
		tx, err := g.DB().Begin()
		if err != nil {
			t.Fatal(err)
		}
		_ = tx.Rollback()
	}
	if made := w.connections(gate.Source) - before; made > 5 {
		t.Errorf("%d connections were made", made)
	}
	w.kill(gate.Target)
	w.bus.order(gate.Order{Migration: "m", Kind: gate.Ask})
	eventually(t, "the connections are made again", func() bool { return w.sessions(gate.Target) >= 12 })
}

// halfATransaction: a statement is refused, the fence is lifted, and whoever took no notice commits.
func halfATransaction(t *testing.T, w *world) {
	g := w.gate(func(c *gate.Config) { c.Bus = nil })
	ctx := soon(t)
	tx, err := g.DB().BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(ctx, insert, "first half"); err != nil {
		t.Fatal(err)
	}
	w.exec(gate.Source, "SET GLOBAL read_only = ON")
	if _, err := tx.ExecContext(ctx, insert, "second half"); err == nil {
		t.Fatal("it was not refused")
	}
	w.exec(gate.Source, "SET GLOBAL read_only = OFF")
	if err := tx.Commit(); err == nil || !strings.Contains(err.Error(), "1290") {
		t.Errorf("committed: %v", err)
	}
	if ops := w.ops(); len(ops) != 0 {
		t.Errorf("written were %v", ops)
	}
}

// cancelledBefore: a hold that cancels meets a write that waits for a connection.
func cancelledBefore(t *testing.T, w *world) {
	g := w.gate(func(c *gate.Config) { c.Connections = 1 })
	c, err := g.Reader().Conn(soon(t)) // has the only connection
	if err != nil {
		t.Fatal(err)
	}
	if err := c.PingContext(soon(t)); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 1)
	go func() { _, err := g.DB().ExecContext(soon(t), insert, "later"); errs <- err }()
	w.attempt++
	o := gate.Order{Migration: "m", Attempt: w.attempt, Epoch: 1, Kind: gate.Hold, Life: 5 * time.Second, Cancel: true}
	eventually(t, "it is inside for a while", func() bool { return g.Route().Inside == 1 })
	for range 10 {
		w.bus.order(o)
		w.bus.forget()
		w.bus.await(t, 1, func(a gate.Answer) bool { return len(a.Inside) == 1 })
		time.Sleep(20 * time.Millisecond) // so long it must have been there
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	w.bus.await(t, 1, func(a gate.Answer) bool { return a.State == gate.StateDrained && a.Waiting == 1 })
	w.release()
	if err := <-errs; err != nil {
		t.Error(err)
	}
	if ops := w.ops(); ops["later"] != 1 {
		t.Errorf("written were %v", ops)
	}
}
