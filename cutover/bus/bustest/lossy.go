package bustest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"changeover/cutover/gate"
)

// Faults are how often something happens to a message, of all, from 0 to 1. Orders and answers
// suffer alike.
type Faults struct {
	Seed     uint64
	Lose     float64
	Double   float64       // the second one may be late
	Late     float64       // so that others overtake it
	Lateness time.Duration // how late, at most; 0: 50 ms
}

// Bus is a gate.Bus around another one.
type Bus struct {
	inner  gate.Bus
	faults Faults

	mu    sync.Mutex
	chaos *rand.Rand
	state network
	links map[*link]struct{}
}

type network int

const (
	whole network = iota
	muted         // nothing passes, and nobody notices
	cut           // links are lost, and nobody can dial
)

// ErrCut is why nobody can dial.
var ErrCut = errors.New("bustest: the network is cut")

// Lossy makes the messages of inner suffer from faults.
func Lossy(inner gate.Bus, faults Faults) *Bus {
	if faults.Lateness <= 0 {
		faults.Lateness = 50 * time.Millisecond
	}
	return &Bus{inner: inner, faults: faults, chaos: rand.New(rand.NewPCG(faults.Seed, 0)), links: map[*link]struct{}{}}
}

// Mute lets nothing pass until Heal, in silence: links stay.
func (b *Bus) Mute() { b.set(muted) }

// Cut ends all links, and lets nobody dial until Heal.
func (b *Bus) Cut() {
	for _, l := range b.set(cut) {
		l.drop()
	}
}

// Heal makes the network whole.
func (b *Bus) Heal() { b.set(whole) }

func (b *Bus) set(state network) []*link {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = state
	var links []*link
	for l := range b.links {
		links = append(links, l)
	}
	return links
}

// Dial is gate.Bus.
func (b *Bus) Dial(ctx context.Context, address, migration string) (gate.Link, error) {
	if b.is(cut) {
		return nil, ErrCut
	}
	inner, err := b.inner.Dial(ctx, address, migration)
	if err != nil {
		return nil, err
	}
	l := &link{bus: b, inner: inner, orders: make(chan gate.Order, 256), late: map[*time.Timer]struct{}{}}
	b.mu.Lock()
	b.links[l] = struct{}{}
	b.mu.Unlock()
	l.over.Go(l.hear)
	if b.is(cut) { // meanwhile
		l.drop()
		return nil, ErrCut
	}
	return l, nil
}

func (b *Bus) is(state network) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == state
}

func (b *Bus) forget(l *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.links, l)
}

// fate is when a message arrives: not at all, once or twice, each after a while.
func (b *Bus) fate() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != whole || b.chaos.Float64() < b.faults.Lose {
		return nil
	}
	copies := make([]time.Duration, 1, 2)
	if b.chaos.Float64() < b.faults.Double {
		copies = copies[:2]
	}
	for i := range copies {
		if b.chaos.Float64() < b.faults.Late {
			copies[i] = time.Duration(1 + b.chaos.Int64N(int64(b.faults.Lateness)))
		}
	}
	return copies
}

// link is a link between which and the gate messages suffer.
type link struct {
	bus   *Bus
	inner gate.Link
	over  sync.WaitGroup

	mu     sync.Mutex
	orders chan gate.Order
	late   map[*time.Timer]struct{}
	closed bool
}

// Hear is gate.Link.
func (l *link) Hear() <-chan gate.Order { return l.orders }

// Say is gate.Link. What gets lost is no error: nobody knows.
func (l *link) Say(a gate.Answer) error {
	var err error
	for _, after := range l.bus.fate() {
		if after == 0 {
			err = l.inner.Say(a)
			continue
		}
		l.later(after, func() { _ = l.inner.Say(a) })
	}
	return err
}

// Close is gate.Link. Its goodbye gets through only a whole network, and then surely.
func (l *link) Close() error {
	if !l.bus.is(whole) {
		l.drop()
	}
	err := l.inner.Close()
	l.over.Wait()
	return err
}

// drop ends the inner link without a goodbye, if it can.
func (l *link) drop() {
	if d, ok := l.inner.(interface{ Drop() }); ok {
		d.Drop()
	} else {
		_ = l.inner.Close()
	}
	l.over.Wait()
}

// hear passes orders on until the inner link is lost; then this one is.
func (l *link) hear() {
	for order := range l.inner.Hear() {
		for _, after := range l.bus.fate() {
			if after == 0 {
				l.hand(order)
				continue
			}
			l.later(after, func() { l.hand(order) })
		}
	}
	l.bus.forget(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for timer := range l.late {
		timer.Stop()
	}
	close(l.orders)
}

func (l *link) hand(order gate.Order) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	select {
	case l.orders <- order:
	default: // lost, as any message may be
	}
}

// later runs deliver after a while, unless the link is lost before.
func (l *link) later(after time.Duration, deliver func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(after, func() {
		l.mu.Lock()
		delete(l.late, timer)
		closed := l.closed
		l.mu.Unlock()
		if !closed {
			deliver()
		}
	})
	l.late[timer] = struct{}{}
}
