package gate

import (
	"context"
	"time"
)

// newBus takes the bus's address from the route row of the writer.
func (g *Gate) newBus(address string) {
	g.mu.Lock()
	changed := address != g.bus
	g.bus = address
	g.mu.Unlock()
	if changed {
		poke(g.say)
	}
}

func (g *Gate) busAddress() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bus
}

// talk keeps the link to the coordinator: it dials where the route row says, and again when the link is lost.
func (g *Gate) talk(ctx context.Context) {
	const shortest, longest = 50 * time.Millisecond, 2 * time.Second
	wait := shortest
	for ctx.Err() == nil {
		address := g.busAddress()
		if address == "" {
			select {
			case <-ctx.Done():
			case <-g.say:
			}
			continue
		}
		began := time.Now()
		g.join(ctx, address)
		if time.Since(began) > longest {
			wait = shortest // it held for a while
		}
		g.look() // the coordinator may have moved
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, longest)
	}
}

// join dials and talks until the link is lost or the address is another.
func (g *Gate) join(ctx context.Context, address string) {
	dialling, cancel := context.WithTimeout(ctx, 2*patience)
	link, err := g.cfg.Bus.Dial(dialling, address, g.cfg.Migration)
	cancel()
	if err != nil {
		g.cfg.Log.Debug("the coordinator can't be reached", "error", err)
		return
	}
	defer func() { _ = link.Close() }()
	presence := time.NewTicker(time.Second)
	defer presence.Stop()
	_ = link.Say(g.answer())
	for orders := link.Hear(); ; {
		asked := false
		select {
		case <-ctx.Done():
			return
		case o, ok := <-orders:
			if !ok {
				return
			}
			if o.Migration != g.cfg.Migration || o.To != "" && o.To != g.cfg.Name {
				continue
			}
			asked = o.Kind == Ask
			g.obey(o) // and answer, though nothing may have changed: the last answer may have been lost
		case <-g.say:
			if g.busAddress() != address {
				return
			}
		case <-presence.C:
		}
		a := g.answer()
		if asked {
			a.Sessions = g.sessions()
		}
		_ = link.Say(a)
	}
}

// sessions are those of the writer's pool.
func (g *Gate) sessions() []uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pools[g.door.side].made.sessions()
}

// obey does what an order says, if it counts.
func (g *Gate) obey(o Order) {
	look := false
	g.update(func(d *door) { look = d.hear(o, time.Now()) })
	if look {
		g.look()
	}
	if o.Kind == Ask {
		// It comes before a hold: the other pool must be warm now.
		g.mu.Lock()
		idle := g.pools[g.door.side.other()]
		g.mu.Unlock()
		poke(idle.again)
	}
}
