package gate_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/cutover/gate"
)

// class is concurrent writers, each of which knows what was acknowledged.
type class struct {
	t       *testing.T
	stop    context.CancelFunc
	group   sync.WaitGroup
	acked   sync.Map
	count   atomic.Int64
	longest atomic.Int64 // of the reads
}

// begin seats writers, in two halves: through Write, and through DB; and readers.
func begin(t *testing.T, g *gate.Gate, writers int) *class {
	ctx, stop := context.WithCancel(context.Background())
	c := &class{t: t, stop: stop}
	t.Cleanup(func() { stop(); c.group.Wait() })
	for i := range writers {
		c.group.Go(func() {
			for n := 0; ctx.Err() == nil && !t.Failed(); n++ {
				op := fmt.Sprintf("%d-%d", i, n)
				var err error
				switch i % 4 {
				case 0, 1:
					err = g.Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error { return note(ctx, tx, op, i, n) })
				case 2:
					err = transact(t.Context(), g.DB(), op, i, n)
				default:
					_, err = g.DB().ExecContext(t.Context(), "INSERT INTO notes (op, worker, n) VALUES (?, ?, ?)", op, i, n)
				}
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
					return
				}
				c.acked.Store(op, true)
				c.count.Add(1)
			}
		})
	}
	for i, db := range []*sql.DB{g.Reader(), g.DB()} {
		c.group.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				began := time.Now()
				var n int
				if err := db.QueryRow("SELECT COUNT(*) FROM notes WHERE worker = ?", -1).Scan(&n); err != nil {
					t.Errorf("reader %d: %v", i, err)
				}
				took := int64(time.Since(began))
				for was := c.longest.Load(); took > was && !c.longest.CompareAndSwap(was, took); was = c.longest.Load() {
				}
			}
		})
	}
	return c
}

// note is a transaction of two statements.
func note(ctx context.Context, tx *sql.Tx, op string, worker, n int) error {
	if _, err := tx.ExecContext(ctx, "INSERT INTO totals (worker, n) VALUES (?, 1) ON DUPLICATE KEY UPDATE n = n + 1", worker); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO notes (op, worker, n) VALUES (?, ?, ?)", op, worker, n)
	return err
}

func transact(ctx context.Context, db *sql.DB, op string, worker, n int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := note(ctx, tx, op, worker, n); err != nil {
		return err
	}
	return tx.Commit()
}

// more waits for so many more writes.
func (c *class) more(n int64) {
	c.t.Helper()
	from := c.count.Load()
	eventually(c.t, fmt.Sprintf("%d more writes", n), func() bool { return c.t.Failed() || c.count.Load() >= from+n })
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// settle ends the class and compares what was acknowledged with what is there.
func (c *class) settle(w *world) {
	c.t.Helper()
	c.stop()
	c.group.Wait()
	there := w.ops()
	c.acked.Range(func(op, _ any) bool {
		if there[op.(string)] != 1 {
			c.t.Errorf("%s was acknowledged once and is there %d times", op, there[op.(string)])
		}
		delete(there, op.(string))
		return true
	})
	for op, n := range there {
		c.t.Errorf("%s was not acknowledged and is there %d times", op, n)
	}
	var totals int
	for _, db := range w.root {
		var n int
		if err := db.QueryRow("SELECT COALESCE(SUM(n), 0) FROM school.totals").Scan(&n); err != nil {
			c.t.Fatal(err)
		}
		totals += n
	}
	transactions := 0
	c.acked.Range(func(op, _ any) bool {
		var i, n int
		_, _ = fmt.Sscanf(op.(string), "%d-%d", &i, &n)
		if i%4 != 3 {
			transactions++
		}
		return true
	})
	if totals != transactions {
		c.t.Errorf("%d transactions were acknowledged, %d are there", transactions, totals)
	}
	c.t.Logf("%d writes, the longest read took %v", c.count.Load(), time.Duration(c.longest.Load()))
}

func TestTheWriterChangesUnderFiftyWritersWithoutAnError(t *testing.T) {
	t.Parallel()
	for name, flavor := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, flavor...)
			w.begin()
			g := w.gate(func(c *gate.Config) { c.Follow = time.Hour }) // it hears the bus alone
			c := begin(t, g, 50)
			for range 6 {
				c.more(100)
				began := time.Now()
				w.flip(1, true)
				c.more(1)
				t.Logf("%v from hold to the next write", time.Since(began))
			}
			c.more(100)
			c.settle(w)
			if r := g.Route(); r.Side != gate.Source || r.Epoch != 7 || r.Held {
				t.Errorf("the route is %+v", r)
			}
		})
	}
}

func TestAGateThatHearsNothingFollowsTheRows(t *testing.T) {
	t.Parallel()
	for name, flavor := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, flavor...)
			w.begin()
			g := w.gate(func(c *gate.Config) { c.Bus, c.Follow = nil, time.Hour }) // refusals alone make it look
			ctx, stop := context.WithCancel(context.Background())
			var group sync.WaitGroup
			var count atomic.Int64
			acked := sync.Map{}
			for i := range 50 { // in transactions of DB a 1290 is the caller's; here nobody holds
				group.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						op := fmt.Sprintf("%d-%d", i, n)
						var err error
						if i%2 == 0 {
							err = g.Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error { return note(ctx, tx, op, i, n) })
						} else {
							_, err = g.DB().ExecContext(t.Context(), "INSERT INTO notes (op, worker, n) VALUES (?, ?, ?)", op, i, n)
						}
						if err != nil {
							t.Errorf("writer %d: %v", i, err)
							return
						}
						acked.Store(op, true)
						count.Add(1)
					}
				})
			}
			for range 4 {
				from := count.Load()
				eventually(t, "100 writes", func() bool { return t.Failed() || count.Load() > from+100 })
				w.flip(1, false)
			}
			from := count.Load()
			eventually(t, "100 writes", func() bool { return t.Failed() || count.Load() > from+100 })
			stop()
			group.Wait()
			there := w.ops()
			acked.Range(func(op, _ any) bool {
				if there[op.(string)] != 1 {
					t.Errorf("%s is there %d times", op, there[op.(string)])
				}
				delete(there, op.(string))
				return true
			})
			if len(there) > 0 {
				t.Errorf("not acknowledged: %v", there)
			}
		})
	}
}

func TestAGateWithoutWritesFollowsTheRowsToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin()
	flipped := make(chan gate.Route, 10)
	g := w.gate(func(c *gate.Config) {
		c.Bus = nil
		c.OnFlip = func(_ context.Context, r gate.Route) { flipped <- r }
	})
	w.flip(1, false)
	select {
	case r := <-flipped:
		if r.Side != gate.Target || r.Epoch != 2 {
			t.Errorf("OnFlip was told %+v", r)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the row was not followed")
	}
	if _, err := g.DB().ExecContext(t.Context(), "INSERT INTO notes (op, worker, n) VALUES ('x', 1, 1)"); err != nil {
		t.Error(err)
	}
}
