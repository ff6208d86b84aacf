package bustest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"changeover/cutover/bus/bustest"
	"changeover/cutover/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plain is a bus and its only link: what is said comes out in order.
type plain struct {
	orders chan gate.Order
	said   chan gate.Answer
	closed bool
}

func (p *plain) Dial(context.Context, string, string) (gate.Link, error) { return p, nil }
func (p *plain) Hear() <-chan gate.Order                                 { return p.orders }
func (p *plain) Say(a gate.Answer) error                                 { p.said <- a; return nil }
func (p *plain) Close() error {
	if !p.closed {
		p.closed = true
		close(p.orders)
	}
	return nil
}

const messages = 100 // fewer than a link keeps, doubled too

func suffer(t *testing.T, f bustest.Faults) (orders, answers []uint64) {
	t.Helper()
	p := &plain{orders: make(chan gate.Order), said: make(chan gate.Answer, 10*messages)}
	link, err := bustest.Lossy(p, f).Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(messages) {
		p.orders <- gate.Order{Attempt: n}
		if err := link.Say(gate.Answer{Attempt: n}); err != nil {
			t.Fatal(err)
		}
	}
	quiet := time.NewTimer(0)
	for {
		quiet.Reset(4 * f.Lateness) // nothing more is on its way
		select {
		case o := <-link.Hear():
			orders = append(orders, o.Attempt)
		case a := <-p.said:
			answers = append(answers, a.Attempt)
		case <-quiet.C:
			_ = link.Close()
			return orders, answers
		}
	}
}

func TestMessagesSufferWhatIsAskedFor(t *testing.T) {
	const lateness = 50 * time.Millisecond
	each := func(t *testing.T, f bustest.Faults, holds func([]uint64) bool) {
		f.Lateness = lateness
		for _, got := range first(suffer(t, f)) {
			if !holds(got) {
				t.Error(got)
			}
		}
	}
	distinct := func(got []uint64) int { return len(slices.Compact(slices.Sorted(slices.Values(got)))) }
	t.Run("nothing", func(t *testing.T) {
		each(t, bustest.Faults{}, func(got []uint64) bool { return len(got) == messages && slices.IsSorted(got) })
	})
	t.Run("lost", func(t *testing.T) {
		each(t, bustest.Faults{Lose: 0.5}, func(got []uint64) bool { return len(got) > 10 && len(got) < 90 && slices.IsSorted(got) })
	})
	t.Run("doubled", func(t *testing.T) {
		each(t, bustest.Faults{Double: 0.5}, func(got []uint64) bool { return len(got) > 110 && len(got) < 190 && distinct(got) == messages })
	})
	t.Run("late", func(t *testing.T) {
		each(t, bustest.Faults{Late: 0.5}, func(got []uint64) bool {
			return len(got) == messages && distinct(got) == messages && !slices.IsSorted(got)
		})
	})
}

func first(a, b []uint64) [][]uint64 { return [][]uint64{a, b} }

func TestANetworkIsMutedCutAndHealed(t *testing.T) {
	p := &plain{orders: make(chan gate.Order), said: make(chan gate.Answer, 10)}
	lossy := bustest.Lossy(p, bustest.Faults{})
	link, err := lossy.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	lossy.Mute()
	p.orders <- gate.Order{Attempt: 1}
	if err := link.Say(gate.Answer{Attempt: 1}); err != nil {
		t.Error("silence is noticed:", err)
	}
	p.orders <- gate.Order{Attempt: 1} // the one before has been dealt with
	lossy.Heal()
	p.orders <- gate.Order{Attempt: 2}
	if o := <-link.Hear(); o.Attempt != 2 && o.Attempt != 1 {
		t.Error(o)
	}
	if err := link.Say(gate.Answer{Attempt: 2}); err != nil {
		t.Error(err)
	}
	if a := <-p.said; a.Attempt != 2 {
		t.Error("what was said into silence came through:", a)
	}
	lossy.Cut()
	for range link.Hear() { // ends, since the link is lost
	}
	if _, err := lossy.Dial(t.Context(), "", ""); !errors.Is(err, bustest.ErrCut) {
		t.Error(err)
	}
	_ = link.Close()
}
