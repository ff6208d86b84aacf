package gate_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"changeover/cutover/gate"
)

// pair is two servers in memory.
type pair map[gate.Side]*memory

func newPair() pair {
	p := pair{gate.Source: newMemory(gate.Source, false), gate.Target: newMemory(gate.Target, true)}
	for _, m := range p {
		m.route = &[3]any{"source", int64(1), int64(0)}
	}
	return p
}

func (p pair) gate(t testing.TB, bus gate.Bus, change ...func(*gate.Config)) *gate.Gate {
	t.Helper()
	c := gate.Config{Migration: "m", Source: gate.Server{Connector: p[gate.Source], Address: "s:1"}, Target: gate.Server{Connector: p[gate.Target], Address: "t:1"},
		Connections: 8, Bus: bus, Follow: 20 * time.Millisecond, Number: nil}
	for _, f := range change {
		f(&c)
	}
	g, err := gate.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// TestNothingIsLostOrDoubledInAStorm has a coordinator pass the role to and fro over a bus that loses, doubles and delays,
// under writers whose connections break, also at COMMIT. No write fails that may not fail.
func TestNothingIsLostOrDoubledInAStorm(t *testing.T) {
	t.Parallel()
	p, bus := newPair(), &lossy{fakeBus: newFakeBus(), lose: 0.3, double: 0.3, late: 30 * time.Millisecond}
	for _, m := range p {
		m.fault = func(what string) fault {
			if what == "commit" {
				if rand.N(100) == 0 {
					return []fault{cut, swallowed, late}[rand.N(3)]
				}
			} else if rand.N(300) == 0 {
				return cut
			}
			return fine
		}
	}
	gates := []*gate.Gate{p.gate(t, bus), p.gate(t, bus), p.gate(t, nil)}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	var acked, unknown, failed sync.Map
	var writes, flips atomic.Int64
	for i := range 24 {
		g := gates[i%len(gates)]
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				op := fmt.Sprintf("%d-%d", i, n)
				insert := func(ctx context.Context, tx *sql.Tx) error {
					_, err := tx.ExecContext(ctx, "INSERT INTO ops VALUES (?)", op)
					return err
				}
				var err error
				kind := i / len(gates) % 3
				if kind == 1 {
					op = "unique " + op
				}
				switch kind {
				case 0:
					err = g.Write(t.Context(), insert)
					if err != nil && !errors.Is(err, gate.ErrUnknown) {
						t.Errorf("Write: %v", err)
					}
				case 1:
					err = g.WriteOp(t.Context(), gate.OperationIn("ops", "op", op), insert)
					if err != nil {
						t.Errorf("WriteOp: %v", err)
					}
				default:
					_, err = g.DB().ExecContext(t.Context(), "INSERT INTO ops VALUES (?)", op)
					if err != nil && err.Error() != errInvalid.Error() && !errors.Is(err, gate.ErrCancelled) {
						t.Errorf("DB: %v", err)
					}
				}
				switch {
				case err == nil:
					acked.Store(op, true)
				case errors.Is(err, gate.ErrUnknown) || errors.Is(err, gate.ErrCancelled) || strings.Contains(err.Error(), errInvalid.Error()):
					unknown.Store(op, true)
				default:
					failed.Store(op, true)
				}
				writes.Add(1)
			}
		})
	}
	group.Go(func() { passTheRole(ctx, p, bus, &flips) })
	eventually(t, "40 flips", func() bool { return flips.Load() >= 40 || t.Failed() })
	stop()
	group.Wait()
	bus.group.Wait()

	// What the last writer has is what there is: the role passes with all that was written.
	there := map[string]int{}
	for _, m := range p {
		m.set(func() {
			m.era++
			if !m.readOnly {
				there = m.ops
			}
		})
	}
	count := func(of *sync.Map, what string, may ...int) (n int) {
		of.Range(func(op, _ any) bool {
			n++
			ok := false
			for _, m := range may {
				ok = ok || there[op.(string)] == m
			}
			if !ok {
				t.Errorf("%s was %s and is there %d times", op, what, there[op.(string)])
			}
			return true
		})
		return n
	}
	t.Logf("%d writes, %d flips, %d acknowledged, %d unknown, %d failed", writes.Load(), flips.Load(), count(&acked, "acknowledged", 1),
		count(&unknown, "unknown", 0, 1), count(&failed, "failed", 0))
}

// passTheRole is the coordinator.
func passTheRole(ctx context.Context, p pair, bus *lossy, flips *atomic.Int64) {
	writer, epoch, attempt := gate.Source, uint64(1), uint64(0)
	for ctx.Err() == nil {
		attempt++
		other := gate.Target
		if writer == gate.Target {
			other = gate.Source
		}
		o := gate.Order{Migration: "m", Attempt: attempt, Epoch: epoch, Kind: gate.Hold, Life: 60 * time.Millisecond, Cancel: rand.N(4) == 0}
		for range rand.N(4) {
			bus.order(o)
			time.Sleep(rand.N(15 * time.Millisecond)) // the coordinator is as slow as it is
		}
		p[writer].set(func() { p[writer].readOnly = true })
		if rand.N(3) == 0 { // undone
			p[writer].set(func() { p[writer].readOnly = false })
			o.Kind = gate.Release
			bus.order(o)
			continue
		}
		var all map[string]int
		p[writer].set(func() {
			all = maps.Clone(p[writer].ops)
			p[writer].era++ // the sessions of the old writer are killed: what is open in them must not be committed after a way back
		})
		p[other].set(func() {
			p[other].ops = all
			p[other].route = &[3]any{string(other), int64(epoch + 1), int64(attempt)}
		})
		if rand.N(2) == 0 {
			time.Sleep(rand.N(10 * time.Millisecond))
		}
		p[other].set(func() { p[other].readOnly = false })
		epoch, writer = epoch+1, other
		o.Kind, o.Epoch, o.Writer = gate.Flip, epoch, string(other)
		bus.order(o)
		flips.Add(1)
		if rand.N(10) == 0 {
			bus.cut(false)
		}
		time.Sleep(rand.N(30 * time.Millisecond))
	}
}
