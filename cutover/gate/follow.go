package gate

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// follower reads the route rows: every so often, at once when it is told to, and again and again while it is not
// known who the writer is. It is the one that looks; everybody else asks it to.
type follower struct {
	g      *Gate
	unsure time.Time // since when; zero: it is sure
	hurry  time.Time // since when the rows are read again and again; zero: they are not
	said   string    // the last complaint, so that each is logged once
}

// While the writer is not known the rows are read quickly at first, since a cutover takes a fraction of a second, and
// then at a rate that thousands of gates can keep up.
const (
	shortest = 2 * time.Millisecond
	quick    = 50 * time.Millisecond
	slow     = 250 * time.Millisecond
	hasty    = 2 * time.Second // for how long quick holds
)

func (f *follower) run(ctx context.Context) {
	wait := shortest
	for {
		pause := f.g.cfg.Follow
		if !f.hurries() {
			wait = shortest
		} else {
			limit := quick
			if time.Since(f.hurry) > hasty {
				limit = slow
			}
			wait = min(2*wait, limit)
			pause = wait
		}
		select {
		case <-ctx.Done():
			return
		case <-f.g.kick:
		case <-time.After(pause - pause/8 + rand.N(pause/4+1)): // gates must not all ask at the same moment
		}
		_ = f.look(ctx)
	}
}

// hurries tells whether the rows are to be read again and again: the writer is not known, or may be another by now.
func (f *follower) hurries() bool {
	f.g.mu.Lock()
	adrift := f.g.door.adrift
	f.g.mu.Unlock()
	switch {
	case f.unsure.IsZero() && !adrift:
		f.hurry = time.Time{}
	case f.hurry.IsZero():
		f.hurry = time.Now()
	}
	return !f.hurry.IsZero()
}

// look reads both rows and tells the door. It fails only if the configuration has the servers mixed up.
func (f *follower) look(ctx context.Context) error {
	g := f.g
	g.mu.Lock()
	d := g.door
	known, epoch, highest, settled, sure, doubts := d.side, d.epoch, d.highest, d.settled, d.sure, d.doubts
	adrift, lapses := d.adrift, d.lapses
	g.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	type answer struct {
		side Side
		row  row
	}
	answers := make(chan answer, 2)
	for side, p := range g.pools {
		go func() { answers <- answer{side, p.read(ctx, g.cfg.Migration, g.cfg.Number)} }()
	}
	rows := map[Side]row{Source: {err: errPending}, Target: {err: errPending}}
	var v verdict
	for range g.pools {
		a := <-answers
		rows[a.side] = a.row
		v = decide(rows[Source], rows[Target], known, epoch, highest, settled)
		// A gate that knew its writer needs to hear only one row that says there is a new one: the old writer may be gone.
		// A new gate hears both.
		if settled && v.sure && v.epoch > epoch {
			break
		}
	}
	f.complain(rows)
	if err := errors.Join(rows[Source].err, rows[Target].err); errors.Is(err, errSwapped) {
		v.sure = false
		g.update(func(d *door) { d.know(v, doubts, time.Now()) })
		f.settle()
		return err
	}
	if v.sure && (!sure || v.side != known) {
		// It may still be behind its fence: the row is written a moment before that is lifted.
		v.sure = f.takesWrites(ctx, v.side)
	}
	g.update(func(d *door) { d.know(v, doubts, time.Now()) })
	if adrift && v.sure && (v.side != known || !sure || f.takesWrites(ctx, known)) {
		g.update(func(d *door) { d.ashore(lapses) })
	}
	if v.bus != "" || rows[Source].err == nil && rows[Target].err == nil {
		g.newBus(v.bus)
	}
	f.settle()
	return nil
}

var errPending = errors.New("not heard yet")

// takesWrites asks the server: first on the connection that is there, which thousands of gates may do often, then by
// a new one, since an account may be locked for new ones only.
func (f *follower) takesWrites(ctx context.Context, side Side) bool {
	p := f.g.pools[side]
	if on, err := p.refuses(ctx); err != nil || on {
		return false
	}
	c, err := p.server.Connector.Connect(ctx)
	if err != nil {
		f.g.cfg.Log.Debug("the writer lets nobody in", "server", p.server.Address, "error", err)
		return false
	}
	_ = c.Close()
	return true
}

func (f *follower) settle() {
	f.g.mu.Lock()
	sure, r := f.g.door.sure, f.g.routeLocked()
	f.g.mu.Unlock()
	switch {
	case sure && !f.unsure.IsZero():
		f.g.cfg.Log.Info("writes go on", "writer", r.Side, "server", r.Address, "epoch", r.Epoch, "waited", time.Since(f.unsure))
		f.unsure = time.Time{}
	case !sure && f.unsure.IsZero():
		f.unsure = time.Now()
		f.g.cfg.Log.Warn("writes wait: the writer is not known, or takes none", "side", r.Side, "epoch", r.Epoch)
	}
}

// complain logs what kept a row from being read, once.
func (f *follower) complain(rows map[Side]row) {
	text := ""
	for _, side := range []Side{Source, Target} {
		if err := rows[side].err; err != nil && !errors.Is(err, errPending) && !errors.Is(err, context.Canceled) {
			text += string(side) + ": " + err.Error() + "; "
		}
	}
	if text != "" && text != f.said {
		f.g.cfg.Log.Warn("a route row can't be read", "error", text)
	}
	f.said = text
}

// keepWarm keeps all connections of a pool made: at the start, and later while it isn't the writer's, which is
// kept warm by its use.
func (g *Gate) keepWarm(ctx, first context.Context, p *pool) {
	var last time.Time
	for try := 0; ctx.Err() == nil; try++ {
		g.mu.Lock()
		idle := g.door.side != p.side && g.door.hold == nil
		g.mu.Unlock()
		if try == 0 || idle && (!p.full() || time.Since(last) > 30*time.Second) {
			bound := ctx
			if try == 0 {
				bound = first
			}
			round, cancel := context.WithTimeout(bound, 2*patience)
			if err := p.warm(round); err != nil && ctx.Err() == nil {
				g.cfg.Log.Debug("connections are missing", "server", p.server.Address, "error", err)
			}
			cancel()
			last = time.Now()
		}
		if try == 0 {
			p.started()
		}
		select {
		case <-ctx.Done():
		case <-p.again:
			last = time.Time{}
		case <-time.After(time.Second):
		}
	}
}

// awaitWarm waits for the first round of both pools.
func (g *Gate) awaitWarm(ctx context.Context) {
	for _, p := range g.pools {
		select {
		case <-p.first:
		case <-ctx.Done():
		}
	}
}
