package gate_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"changeover/cutover/bus"
	"changeover/cutover/bus/bustest"
	"changeover/cutover/gate"
)

// TestTheRoleChangesOverTheRealBus has the coordinator's end of the bus pass the role to and fro, while what gates and
// coordinator say to each other is lost, doubled, late and out of order.
func TestTheRoleChangesOverTheRealBus(t *testing.T) {
	t.Parallel()
	rig, p := bustest.Start(t, "m"), newPair()
	for _, m := range p {
		m.bus = rig.Address
	}
	var gates []*gate.Gate
	for i := range 5 {
		faults := bustest.Faults{}
		if i > 0 {
			faults = bustest.Faults{Seed: uint64(i), Lose: 0.2, Double: 0.2, Late: 0.2, Lateness: 20 * time.Millisecond}
		}
		gates = append(gates, p.gate(t, bustest.Lossy(bus.New(bus.Options{}), faults), func(c *gate.Config) { c.Follow = time.Hour }))
	}
	eventually(t, "all gates have joined", func() bool { return len(rig.Desk.Gates()) == len(gates) })

	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	t.Cleanup(func() { stop(); group.Wait() })
	for i, g := range gates {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := put(t.Context(), g, fmt.Sprintf("%d-%d", i, n)); err != nil {
					t.Errorf("gate %d: %v", i, err)
					return
				}
			}
		})
	}
	writer := gate.Source
	for attempt := uint64(1); attempt <= 6; attempt++ {
		h := rig.Desk.Hold(soon(t), bus.HoldRequest{Attempt: attempt, Epoch: attempt})
		if err := h.Drained(soon(t)); err != nil {
			t.Fatal(err)
		}
		old, to := writer, gate.Target
		if old == gate.Target {
			to = gate.Source
		}
		p[old].set(func() { p[old].readOnly = true })
		p[to].set(func() {
			p[to].readOnly = false
			p[to].route = &[3]any{string(to), int64(attempt + 1), int64(attempt)}
		})
		h.Flip(soon(t), attempt+1, string(to))
		answers, err := h.Flipped(soon(t))
		if err != nil || len(answers) != len(gates) {
			t.Fatalf("%d gates have flipped: %v", len(answers), err)
		}
		writer = to
	}
	stop()
	group.Wait()
	for _, g := range gates {
		if r := g.Route(); r.Epoch != 7 || r.Side != gate.Source {
			t.Errorf("the route is %+v", r)
		}
	}
}
