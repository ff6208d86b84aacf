package bus_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"changeover/cutover/gate"
)

// toy is what a gate does on the bus, and nothing else: the real one needs two servers.
type toy struct {
	name string
	bus  gate.Bus
	at   func() string // the route row's address

	change chan func()
	state  gate.Answer // only run's goroutine touches it
	ended  uint64
	inside int
	lapse  <-chan time.Time

	mu     sync.Mutex
	orders []gate.Order
	heard  chan struct{} // closed and made anew with each order
	lost   chan struct{} // one for each link that was lost
	over   sync.WaitGroup
	stop   context.CancelFunc
}

const school = "school"

// start makes a gate that is there until the test ends, or leave is called. Some writes may be inside.
func start(t testing.TB, bus gate.Bus, name string, at func() string, inside ...int) *toy {
	t.Helper()
	g := &toy{name: name, bus: bus, at: at, change: make(chan func()), heard: make(chan struct{}), lost: make(chan struct{}, 16)}
	g.state = gate.Answer{Migration: school, Gate: name, State: gate.StateOpen, Epoch: 1, CanHold: true}
	for _, n := range inside {
		g.inside += n
	}
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	g.over.Go(func() { g.run(ctx) })
	t.Cleanup(g.leave)
	return g
}

func always(address string) func() string { return func() string { return address } }

func (g *toy) leave() { g.stop(); g.over.Wait() }

// do changes the gate, which then says its state.
func (g *toy) do(f func()) { g.change <- f }

// enter makes n writes be inside; 0 lets all of them leave.
func (g *toy) enter(n int) {
	g.do(func() {
		g.inside = n
		g.settle()
	})
}

func (g *toy) run(ctx context.Context) {
	for ctx.Err() == nil {
		link, err := g.bus.Dial(ctx, g.at(), school)
		if err != nil {
			select {
			case <-time.After(20 * time.Millisecond): // as the gate reads the route rows again
			case f := <-g.change:
				f()
			case <-ctx.Done():
			}
			continue
		}
		g.serve(ctx, link)
		_ = link.Close()
	}
}

func (g *toy) serve(ctx context.Context, link gate.Link) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	_ = link.Say(g.state)
	for {
		select {
		case o, ok := <-link.Hear():
			if !ok {
				g.lost <- struct{}{}
				return
			}
			g.obey(o)
		case f := <-g.change:
			f()
		case <-g.lapse:
			g.lapse = nil
			g.state.State = gate.StateOpen
		case <-second.C:
		case <-ctx.Done():
			return
		}
		_ = link.Say(g.state)
	}
}

func (g *toy) obey(o gate.Order) {
	g.mu.Lock()
	g.orders = append(g.orders, o)
	close(g.heard)
	g.heard = make(chan struct{})
	g.mu.Unlock()
	if o.Kind == gate.Ask || o.To != "" && o.To != g.name || o.Attempt <= g.ended || o.Attempt < g.state.Attempt {
		return
	}
	g.state.Attempt = o.Attempt
	switch o.Kind {
	case gate.Hold:
		if g.state.State == gate.StateOpen || g.state.State == gate.StateFlipped {
			g.state.State = gate.StateHeld
		}
		g.lapse = time.After(o.Life)
		g.settle()
	case gate.Release:
		g.ended, g.lapse, g.state.State = o.Attempt, nil, gate.StateOpen
	case gate.Flip:
		g.ended, g.lapse, g.state.State, g.state.Epoch, g.state.Writer = o.Attempt, nil, gate.StateFlipped, o.Epoch, o.Writer
	}
}

func (g *toy) settle() {
	g.state.InsideCount, g.state.Inside = g.inside, nil
	if g.inside > 0 {
		g.state.Inside = []gate.Stay{{For: 3 * time.Second, What: "orders.go:17"}}
	}
	switch {
	case g.state.State == gate.StateHeld && g.inside == 0:
		g.state.State = gate.StateDrained
	case g.state.State == gate.StateDrained && g.inside > 0:
		g.state.State = gate.StateHeld
	}
}

// got waits until an order has come that is so.
func (g *toy) got(t testing.TB, so func(gate.Order) bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		g.mu.Lock()
		for _, o := range g.orders {
			if so(o) {
				g.mu.Unlock()
				return
			}
		}
		heard := g.heard
		g.mu.Unlock()
		select {
		case <-heard:
		case <-deadline:
			t.Fatal("the order has not come")
		}
	}
}
