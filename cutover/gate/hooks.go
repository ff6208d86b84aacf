package gate

import "context"

// tellHooks calls the application's hooks, one after the other. It compares what was told last with what is now, so
// nothing piles up behind a slow hook, and the last state is always told.
func (g *Gate) tellHooks(ctx context.Context) {
	if g.cfg.OnHold == nil && g.cfg.OnRelease == nil && g.cfg.OnFlip == nil {
		return
	}
	held, epoch := false, uint64(0)
	for {
		g.mu.Lock()
		now, route := g.door.hold != nil, g.routeLocked()
		g.mu.Unlock()
		if epoch != 0 && route.Epoch != epoch && g.cfg.OnFlip != nil {
			g.cfg.OnFlip(ctx, route)
		}
		epoch = route.Epoch
		switch {
		case now && !held:
			held = true
			g.whileHeld(ctx)
		case !now && held:
			held = false
			if g.cfg.OnRelease != nil {
				g.cfg.OnRelease(ctx)
			}
		}
		if g.heldNow() != held {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-g.told:
		}
	}
}

// whileHeld calls OnHold with a context that ends with the hold.
func (g *Gate) whileHeld(ctx context.Context) {
	if g.cfg.OnHold == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.cfg.OnHold(ctx)
	}()
	for {
		if !g.heldNow() {
			cancel()
		}
		select {
		case <-done:
			return
		case <-g.told:
		}
	}
}

func (g *Gate) heldNow() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.door.hold != nil
}
