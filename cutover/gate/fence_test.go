package gate_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/cutover/gate"
	"changeover/internal/sandbox/sandboxtest"
)

// operators are writers whose operations can be recognised, so that a lost COMMIT is settled.
type operators struct {
	t     *testing.T
	stop  context.CancelFunc
	group sync.WaitGroup
	acked sync.Map
	count atomic.Int64
}

func operate(t *testing.T, writers int, gates ...*gate.Gate) *operators {
	ctx, stop := context.WithCancel(context.Background())
	o := &operators{t: t, stop: stop}
	t.Cleanup(func() { stop(); o.group.Wait() })
	for i := range writers {
		o.group.Go(func() {
			for n := 0; ctx.Err() == nil && !t.Failed(); n++ {
				op := fmt.Sprintf("%d-%d", i, n)
				err := gates[i%len(gates)].WriteOp(t.Context(), gate.OperationIn("school.notes", "op", op), func(ctx context.Context, tx *sql.Tx) error {
					_, err := tx.ExecContext(ctx, "INSERT INTO notes (op, worker, n) VALUES (?, ?, ?)", op, i, n)
					return err
				})
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
					return
				}
				o.acked.Store(op, true)
				o.count.Add(1)
			}
		})
	}
	return o
}

func (o *operators) more(n int64) {
	o.t.Helper()
	from := o.count.Load()
	eventually(o.t, fmt.Sprintf("%d more writes", n), func() bool { return o.t.Failed() || o.count.Load() >= from+n })
	if o.t.Failed() {
		o.t.FailNow()
	}
}

// settle compares what was acknowledged with what the writer has.
func (o *operators) settle(writer *sql.DB) {
	o.t.Helper()
	o.stop()
	o.group.Wait()
	acked := 0
	o.acked.Range(func(op, _ any) bool {
		acked++
		var n int
		if err := writer.QueryRow("SELECT COUNT(*) FROM school.notes WHERE op = ?", op).Scan(&n); err != nil || n != 1 {
			o.t.Errorf("%s is there %d times, %v", op, n, err)
		}
		return true
	})
	var n int
	if err := writer.QueryRow("SELECT COUNT(*) FROM school.notes").Scan(&n); err != nil || n != acked {
		o.t.Errorf("%d are there, %d were acknowledged, %v", n, acked, err)
	}
}

// carry brings over what the new writer doesn't have yet, as the stream would.
func (w *world) carry(from, to gate.Side) {
	w.t.Helper()
	var last sql.NullInt64
	if err := w.root[to].QueryRow("SELECT MAX(id) FROM school.notes").Scan(&last); err != nil {
		w.t.Fatal(err)
	}
	rows, err := w.root[from].Query("SELECT id, op, worker, n FROM school.notes WHERE id > ?", last.Int64)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, worker, n int
		var op string
		if err := rows.Scan(&id, &op, &worker, &n); err != nil {
			w.t.Fatal(err)
		}
		w.exec(to, "INSERT INTO school.notes (id, op, worker, n) VALUES (?, ?, ?, ?)", id, op, worker, n)
	}
	if err := rows.Err(); err != nil {
		w.t.Fatal(err)
	}
}

// kill ends all sessions of the application until two looks find none.
func (w *world) kill(side gate.Side) {
	w.t.Helper()
	for none := 0; none < 2; {
		rows, err := w.root[side].Query("SELECT id FROM information_schema.processlist WHERE user = 'app'")
		if err != nil {
			w.t.Fatal(err)
		}
		none++
		var ids []int64
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				w.t.Fatal(err)
			}
			ids = append(ids, id)
		}
		_ = rows.Close()
		for _, id := range ids {
			none = 0
			_, _ = w.root[side].Exec(fmt.Sprintf("KILL %d", id)) // it may have ended
		}
	}
}

// TestAnAccountFence locks the application's account and kills its sessions, with a gate that hears of it and with one
// that doesn't: the connections that the writes had, and at COMMIT.
func TestAnAccountFence(t *testing.T) {
	t.Parallel()
	for name, flavor := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, flavor...)
			w.exec(gate.Target, "SET GLOBAL read_only = OFF")
			w.exec(gate.Target, "ALTER USER app@'%' ACCOUNT LOCK")
			w.begin()
			deaf := w.gate(func(c *gate.Config) { c.Bus = nil })
			o := operate(t, 10, w.gate(), deaf)
			for range 3 {
				o.more(50)
				old, to := w.writer, gate.Target
				if old == gate.Target {
					to = gate.Source
				}
				end := w.hold(1)
				w.exec(old, "ALTER USER app@'%' ACCOUNT LOCK")
				w.kill(old)
				w.carry(old, to)
				w.epoch, w.writer = w.epoch+1, to
				w.route(to, to, w.epoch, w.attempt)
				w.exec(to, "ALTER USER app@'%' ACCOUNT UNLOCK")
				end()
				w.bus.order(gate.Order{Migration: "m", Attempt: w.attempt, Epoch: w.epoch, Kind: gate.Flip, Writer: string(to)})
			}
			o.more(50)
			o.settle(w.root[w.writer])
		})
	}
}

// TestAServerThatIsKilledIsWaitedFor kills the writer under writes, and starts it again.
func TestAServerThatIsKilledIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, flavor := range flavors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, append(flavor, sandboxtest.Durable)...)
			w.begin()
			o := operate(t, 10, w.gate())
			for range 2 {
				o.more(50)
				if err := w.on[gate.Source].Kill(); err != nil {
					t.Fatal(err)
				}
				if err := w.on[gate.Source].Restart(soon(t)); err != nil {
					t.Fatal(err)
				}
			}
			o.more(50)
			o.settle(w.root[gate.Source])
		})
	}
}

// TestAServerThatAnswersNothing stops the old writer's process after a flip: who hears nothing learns of the flip from the new
// writer alone, and a COMMIT that hangs ends with the driver's readTimeout.
func TestAServerThatAnswersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begin()
	impatient := func(c *mysql.Config) { c.ReadTimeout = time.Second }
	g := w.gate(func(c *gate.Config) {
		c.Bus = nil
		c.Source, c.Target = w.connector(gate.Source, impatient), w.connector(gate.Target, impatient)
	})
	o := operate(t, 5, g)
	o.more(50)
	w.exec(gate.Source, "SET GLOBAL read_only = ON")
	w.carry(gate.Source, gate.Target)
	if err := w.on[gate.Source].Pause(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.on[gate.Source].Resume() })
	w.route(gate.Target, gate.Target, 2, 1)
	w.exec(gate.Target, "SET GLOBAL read_only = OFF")
	o.more(50)
	o.settle(w.root[gate.Target])
	if r := g.Route(); r.Side != gate.Target {
		t.Errorf("the route is %+v", r)
	}
}
