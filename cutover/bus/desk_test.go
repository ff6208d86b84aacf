package bus_test

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"changeover/cutover/bus"
	"changeover/cutover/bus/bustest"
	"changeover/cutover/gate"
	"changeover/internal/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// known waits until the desk knows n gates.
func known(t testing.TB, d *bus.Desk, n int) {
	t.Helper()
	deadline := within(t, 30*time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(d.Gates()) != n {
		select {
		case <-tick.C:
		case <-deadline.Done():
			t.Fatalf("%d gates are there, want %d", len(d.Gates()), n)
		}
	}
}

func TestAHoldDrainsAndAFlipReachesEveryGate(t *testing.T) {
	rig := bustest.Start(t, school)
	var toys []*toy
	for i := range 3 {
		toys = append(toys, start(t, bus.New(bus.Options{}), fmt.Sprint("gate", i), always(rig.Address)))
	}
	known(t, rig.Desk, 3)
	toys[1].enter(2)

	h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 7, Epoch: 1})
	err := h.Drained(within(t, 250*time.Millisecond))
	var not *bus.NotDrained
	if !errors.As(err, &not) || len(not.Gates) != 1 || not.Gates[0].Gate != "gate1" || len(not.Silent) != 0 || not.Attempt != 7 {
		t.Fatalf("somebody is inside of gate1: %v", err)
	}
	if !fault.Is(err, fault.GateInside) || !strings.Contains(err.Error(), "orders.go:17 for 3s") {
		t.Errorf("the error does not say who is inside: %v", err)
	}
	toys[1].enter(0)
	if err := h.Drained(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}

	h.Flip(t.Context(), 2, "target")
	answers, err := h.Flipped(within(t, 10*time.Second))
	if err != nil || len(answers) != 3 {
		t.Fatal(answers, err)
	}
	for i, a := range answers {
		if a.Gate != fmt.Sprint("gate", i) || a.Epoch != 2 || a.State != gate.StateFlipped || a.Writer != "target" || a.Attempt != 7 {
			t.Errorf("%+v", a)
		}
	}
	if got := h.Answers(); len(got) != 3 {
		t.Error(got)
	}
}

func TestAReleaseLetsGatesGoOn(t *testing.T) {
	rig := bustest.Start(t, school)
	g := start(t, bus.New(bus.Options{}), "a", always(rig.Address))
	known(t, rig.Desk, 1)
	for attempt := range uint64(3) {
		h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: attempt + 1, Epoch: 1})
		if err := h.Drained(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
		h.Release(t.Context(), 1)
		h.Release(t.Context(), 1) // twice does nothing more
		g.got(t, func(o gate.Order) bool { return o.Kind == gate.Release && o.Attempt == attempt+1 })
	}
	if next(t, rig.Desk, 10*time.Second, func(p bus.Presence) bool { return p.State == gate.StateOpen && p.Attempt == 3 }) == nil {
		t.Error(rig.Desk.Gates())
	}
}

func TestAGateThatJoinsDuringAHoldIsToldAtOnceAndMustDrainToo(t *testing.T) {
	rig := bustest.Start(t, school)
	h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1, Life: time.Minute, Every: time.Hour})
	g := start(t, bus.New(bus.Options{}), "late", always(rig.Address), 1)
	g.got(t, func(o gate.Order) bool {
		return o.Kind == gate.Hold && o.To == "late" && o.Attempt == 1 && o.Life == time.Minute
	})
	if next(t, rig.Desk, 10*time.Second, func(p bus.Presence) bool { return p.State == gate.StateHeld }) == nil {
		t.Fatal("it does not hold")
	}
	err := h.Drained(within(t, 100*time.Millisecond))
	var not *bus.NotDrained
	if !errors.As(err, &not) || len(not.Gates) != 1 {
		t.Fatal(err)
	}
	g.enter(0)
	if err := h.Drained(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
}

func TestManyThatJoinDuringAHoldAreTold(t *testing.T) {
	rig := bustest.Start(t, school)
	h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1, Life: time.Minute, Every: time.Hour})
	var toys []*toy
	for i := range 50 {
		toys = append(toys, start(t, bus.New(bus.Options{}), fmt.Sprint("gate", i), always(rig.Address)))
	}
	for _, g := range toys {
		g.got(t, func(o gate.Order) bool { return o.Kind == gate.Hold })
	}
	known(t, rig.Desk, 50)
	if err := h.Drained(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	h.Release(t.Context(), 1)
	late := start(t, bus.New(bus.Options{}), "later", always(rig.Address))
	known(t, rig.Desk, 51)
	if len(h.Answers()) != 50 {
		t.Error("who joins after the end was in the hold")
	}
	late.mu.Lock()
	defer late.mu.Unlock()
	for _, o := range late.orders {
		if o.Kind == gate.Hold {
			t.Error("who joins after the end is held")
		}
	}
}

func TestAGateThatKnowsAHigherEpochIsNotWaitedFor(t *testing.T) {
	rig := bustest.Start(t, school)
	g := start(t, bus.New(bus.Options{}), "a", always(rig.Address))
	g.do(func() { g.state.Epoch = 5 })
	if next(t, rig.Desk, 10*time.Second, func(p bus.Presence) bool { return p.Epoch == 5 }) == nil {
		t.Fatal("it is not there")
	}
	h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 4})
	if err := h.Drained(within(t, 10*time.Second)); !fault.Is(err, fault.BusOvertaken) {
		t.Error(err)
	}
	h.Flip(t.Context(), 5, "target") // it read that from the route row before it heard it here
	if answers, err := h.Flipped(within(t, 10*time.Second)); err != nil || len(answers) != 1 {
		t.Error(answers, err)
	}
}

func TestAHoldIsNoLongerRenewedWhenItsContextEnds(t *testing.T) {
	rig := bustest.Start(t, school)
	g := start(t, bus.New(bus.Options{}), "a", always(rig.Address))
	known(t, rig.Desk, 1)
	ctx, cancel := context.WithCancel(t.Context())
	h := rig.Desk.Hold(ctx, bus.HoldRequest{Attempt: 1, Epoch: 1, Life: 250 * time.Millisecond, Every: 20 * time.Millisecond})
	if err := h.Drained(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	// Four lives long it is renewed, and the gate stays drained.
	if a := next(t, rig.Desk, time.Second, func(p bus.Presence) bool { return p.State == gate.StateOpen }); a != nil {
		t.Fatalf("a hold that is renewed lapsed: %+v", a)
	}
	cancel()
	if a := next(t, rig.Desk, 10*time.Second, func(p bus.Presence) bool { return p.State == gate.StateOpen }); a == nil {
		t.Fatal("a hold that is renewed no more does not lapse")
	}
	h.Release(t.Context(), 1) // an end may still be said
	g.got(t, func(o gate.Order) bool { return o.Kind == gate.Release })
}

// next waits for a gate that is so, until the time is over; nil: there was none.
func next(t testing.TB, d *bus.Desk, limit time.Duration, so func(bus.Presence) bool) *bus.Presence {
	t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		_ = d.Fresh(within(t, 20*time.Millisecond), 20*time.Millisecond)
		there := d.Gates()
		if i := slices.IndexFunc(there, so); i >= 0 {
			return &there[i]
		}
	}
	return nil
}

// missed is what Fresh says of a gate that has just fallen silent. A word of before may still be on
// its way.
func missed(t testing.TB, d *bus.Desk) error {
	t.Helper()
	for range 5 {
		var absent *bus.Absent
		if err := d.Fresh(t.Context(), 100*time.Millisecond); errors.As(err, &absent) {
			return err
		}
	}
	return nil
}

func TestASilentGateIsNamed(t *testing.T) {
	rig := bustest.Start(t, school)
	start(t, bus.New(bus.Options{}), "a", always(rig.Address))
	lossy := bustest.Lossy(bus.New(bus.Options{}), bustest.Faults{})
	start(t, lossy, "mute", always(rig.Address))
	known(t, rig.Desk, 2)
	lossy.Mute()

	err := missed(t, rig.Desk)
	var absent *bus.Absent
	if !errors.As(err, &absent) || !slices.Equal(absent.Silent, []string{"mute"}) || !fault.Is(err, fault.GateSilent) {
		t.Error(err)
	}
	h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1})
	err = h.Drained(within(t, 200*time.Millisecond))
	var not *bus.NotDrained
	if !errors.As(err, &not) || !slices.Equal(not.Silent, []string{"mute"}) || len(not.Gates) != 0 || !fault.Is(err, fault.GateSilent) {
		t.Error(err)
	}
	h.Flip(t.Context(), 2, "target")
	answers, err := h.Flipped(within(t, 200*time.Millisecond))
	var behind *bus.NotFlipped
	if !errors.As(err, &behind) || !slices.Equal(behind.Silent, []string{"mute"}) || len(answers) != 1 || answers[0].Gate != "a" {
		t.Error(answers, err)
	}
	lossy.Heal() // what was said is said again
	if answers, err := h.Flipped(within(t, 10*time.Second)); err != nil || len(answers) != 2 {
		t.Error(answers, err)
	}
}

func TestWhatAGateSaidUnderAnEarlierAttemptCountsForNothing(t *testing.T) {
	rig := bustest.Start(t, school)
	lossy := bustest.Lossy(bus.New(bus.Options{}), bustest.Faults{})
	start(t, lossy, "a", always(rig.Address))
	known(t, rig.Desk, 1)
	h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1, Life: time.Minute})
	if err := h.Drained(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	lossy.Mute() // it says no more that it was released, nor hears of the next hold
	h.Release(t.Context(), 1)
	h = rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 2, Epoch: 1, Life: time.Minute})
	var not *bus.NotDrained
	if err := h.Drained(within(t, 100*time.Millisecond)); !errors.As(err, &not) || !slices.Equal(not.Silent, []string{"a"}) {
		t.Error(err)
	}
}

func TestAGateThatLeavesIsNotWaitedFor(t *testing.T) {
	rig := bustest.Start(t, school)
	start(t, bus.New(bus.Options{}), "a", always(rig.Address))
	b := start(t, bus.New(bus.Options{}), "b", always(rig.Address))
	known(t, rig.Desk, 2)
	b.enter(1)
	h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1})
	b.leave()
	if err := h.Drained(within(t, 2*time.Second)); err != nil {
		t.Error(err)
	}
	if there := rig.Desk.Gates(); len(there) != 1 || there[0].Gate != "a" {
		t.Error(there)
	}
}

func TestAGateWhoseProcessDiedIsForgotten(t *testing.T) {
	rig := bustest.Start(t, school)
	lossy := bustest.Lossy(bus.New(bus.Options{}), bustest.Faults{})
	start(t, lossy, "a", always(rig.Address))
	known(t, rig.Desk, 1)
	lossy.Cut()
	if missed(t, rig.Desk) == nil {
		t.Error("a gate that was there a moment ago is not missed")
	}
	known(t, rig.Desk, 0)
	lossy.Heal()
	known(t, rig.Desk, 1)
}

func TestTwoProcessesOfOneNameAreTwoGates(t *testing.T) {
	rig := bustest.Start(t, school)
	start(t, bus.New(bus.Options{}), "app", always(rig.Address))
	other := start(t, bus.New(bus.Options{}), "app", always(rig.Address))
	known(t, rig.Desk, 2)
	other.enter(1)
	h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1})
	if err := h.Drained(within(t, 300*time.Millisecond)); err == nil {
		t.Error("the one that has drained hides the one that has not")
	}
}

func TestOfTwoCoordinatorsTheHigherAttemptHolds(t *testing.T) {
	rig := bustest.Start(t, school)
	second, err := bus.Open(t.Context(), rig.Address, school, bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	start(t, bus.New(bus.Options{}), "a", always(rig.Address))
	known(t, rig.Desk, 1)
	known(t, second, 1)

	first := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1})
	if err := first.Drained(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	h := second.Hold(t.Context(), bus.HoldRequest{Attempt: 2, Epoch: 1})
	if err := h.Drained(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	if next(t, rig.Desk, 10*time.Second, func(p bus.Presence) bool { return p.Attempt == 2 }) == nil {
		t.Fatal("the first does not hear what the gate says to the second")
	}
	if err := first.Drained(within(t, 10*time.Second)); !fault.Is(err, fault.BusOvertaken) {
		t.Errorf("the first does not see that it was overtaken: %v", err)
	}
	first.Flip(t.Context(), 2, "source")
	h.Flip(t.Context(), 2, "target")
	answers, err := h.Flipped(within(t, 10*time.Second))
	if err != nil || len(answers) != 1 || answers[0].Writer != "target" || answers[0].Attempt != 2 {
		t.Error(answers, err)
	}
	if _, err := first.Flipped(within(t, 10*time.Second)); !fault.Is(err, fault.BusOvertaken) {
		t.Error(err)
	}
}

func TestMigrationsDoNotHearEachOther(t *testing.T) {
	rig := bustest.Start(t, "other")
	start(t, bus.New(bus.Options{}), "a", always(rig.Address))
	if err := rig.Desk.Fresh(t.Context(), 200*time.Millisecond); err == nil {
		t.Error("a desk that has just been opened says that it knows everybody")
	}
	if err := rig.Desk.Fresh(t.Context(), 10*time.Second); err != nil || len(rig.Desk.Gates()) != 0 {
		t.Error(err, rig.Desk.Gates())
	}
	for _, name := range []string{"", "a.b", "*", ">", "a b"} {
		if _, err := bus.Open(t.Context(), rig.Address, name, bus.Options{}); !fault.Is(err, fault.BusAddress) {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := bus.New(bus.Options{}).Dial(t.Context(), rig.Address, name); !fault.Is(err, fault.BusAddress) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestHoldAndFlipGetThroughALossyNetwork(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rig := bustest.Start(t, school)
			lossy := bustest.Lossy(bus.New(bus.Options{}), bustest.Faults{Seed: seed, Lose: 0.3, Double: 0.3, Late: 0.5, Lateness: 200 * time.Millisecond})
			for i := range 5 {
				start(t, lossy, fmt.Sprint("gate", i), always(rig.Address))
			}
			known(t, rig.Desk, 5)
			epoch := uint64(1)
			for attempt := uint64(1); attempt <= 4; attempt++ {
				h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: attempt, Epoch: epoch, Life: 3 * time.Second, Every: 50 * time.Millisecond})
				if err := h.Drained(within(t, 10*time.Second)); err != nil {
					t.Fatal(err)
				}
				if attempt%2 == 0 {
					h.Release(t.Context(), epoch)
					continue // the next hold may overtake the release
				}
				epoch++
				h.Flip(t.Context(), epoch, "target")
				answers, err := h.Flipped(within(t, 10*time.Second))
				if err != nil || len(answers) != 5 {
					t.Fatal(answers, err)
				}
			}
		})
	}
}

func TestAThousandGatesHoldAndFlip(t *testing.T) {
	n := 1000
	if underRace() { // which makes each of them five times as slow, all in this one process
		n = 100
	}
	rig := bustest.Start(t, school)
	for i := range n {
		start(t, bus.New(bus.Options{}), fmt.Sprintf("gate%03d", i), always(rig.Address))
	}
	known(t, rig.Desk, n)
	began := time.Now()
	h := rig.Desk.Hold(t.Context(), bus.HoldRequest{Attempt: 1, Epoch: 1, Life: 5 * time.Second, Every: 100 * time.Millisecond})
	if err := h.Drained(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	drained := time.Since(began)
	h.Flip(t.Context(), 2, "target")
	answers, err := h.Flipped(within(t, 10*time.Second))
	if err != nil || len(answers) != n {
		t.Fatal(len(answers), err)
	}
	t.Logf("%d gates: drained after %s, flipped after %s", n, drained, time.Since(began)-drained)
}

func underRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
