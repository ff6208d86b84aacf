package bus

import (
	"context"
	"time"

	"changeover/cutover/gate"
	"changeover/internal/fault"
)

// HoldRequest is what gates are told.
type HoldRequest struct {
	Attempt uint64        // higher than that of any hold before
	Epoch   uint64        // the route's, as it is now
	Life    time.Duration // a gate that hears nothing more lets writes go on after this; 0: 300 ms
	Every   time.Duration // the hold is renewed this often; 0: 100 ms
	Cancel  bool          // cancel the contexts of what is inside
}

// Holding is one hold of all gates:
//
//	holding ──Release──→ released       repeated until every gate says "open", or a higher epoch
//	   │  └────Flip────→ flipped        repeated until every gate says the flip's epoch
//	   └─ its ctx ends, or the desk: nothing is said any more, gates lapse by themselves
//
// It goes on to note what its gates say, until the next hold begins.
type Holding struct {
	desk    *Desk
	request HoldRequest
	renewal context.CancelFunc // ends the renewing

	newcomers chan struct{} // there are some to tell

	// Under desk.mu:
	gates    map[member]*held
	untold   []string    // gates that have joined and were not told yet
	final    *gate.Order // how it ended; nil: not yet
	retell   context.CancelFunc
	attempts gate.Answer // the one that knows the highest attempt
	epochs   gate.Answer // the one that knows the highest epoch
}

// held is a gate in a hold.
type held struct {
	answer gate.Answer // its latest of this attempt, else of before
	heard  bool        // it has answered in this attempt
	gone   bool        // it has left: nobody waits for it
}

// When the bus has moved all gates join at once. An order to one of them is a message to all, so
// they are told in groups.
const groups = 20 * time.Millisecond

// Hold tells all gates to hold, and renews that in the background until Release or Flip, but not
// longer than ctx lives: a coordinator that hangs must not hold the application. A hold of before
// is over with it.
func (d *Desk) Hold(ctx context.Context, r HoldRequest) *Holding {
	if r.Life <= 0 {
		r.Life = 300 * time.Millisecond
	}
	if r.Every <= 0 {
		r.Every = 100 * time.Millisecond
	}
	renewing, renewal := context.WithCancel(ctx)
	h := &Holding{desk: d, request: r, renewal: renewal, newcomers: make(chan struct{}, 1), gates: map[member]*held{}, retell: func() {}}
	d.mu.Lock()
	before := d.holding
	if before != nil {
		before.retell()
	}
	d.holding = h
	for _, who := range d.roster.present(time.Now()) {
		h.gates[who] = &held{answer: d.roster[who].Answer}
		h.compare(d.roster[who].Answer)
	}
	d.mu.Unlock()
	if before != nil {
		before.renewal()
	}
	d.order(h.order(gate.Hold))
	d.over.Go(func() { h.renew(renewing) })
	return h
}

func (h *Holding) order(kind gate.Kind) gate.Order {
	o := gate.Order{Kind: kind, Attempt: h.request.Attempt, Epoch: h.request.Epoch}
	if kind == gate.Hold {
		o.Life, o.Cancel = h.request.Life, h.request.Cancel
	}
	return o
}

// renew says the hold again, which a gate answers each time, so a lost answer is made up for. It
// tells those that have joined, too.
func (h *Holding) renew(ctx context.Context) {
	defer h.renewal()
	tick := time.NewTicker(h.request.Every)
	defer tick.Stop()
	newcomers, rest := h.newcomers, time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-tick.C:
			h.desk.order(h.order(gate.Hold))
		case <-newcomers:
			h.welcome()
			newcomers = nil
			rest.Reset(groups)
		case <-rest.C:
			newcomers = h.newcomers
		case <-ctx.Done():
			return
		case <-h.desk.ctx.Done():
			return
		}
	}
}

// welcome tells those that have joined of the hold.
func (h *Holding) welcome() {
	h.desk.mu.Lock()
	names := h.untold
	h.untold = nil
	h.desk.mu.Unlock()
	h.desk.tell(h.order(gate.Hold), names)
}

// hear notes what a gate says. One that joins is told of the hold at once, not with the next
// renewal. One that joins after the end has read the route rows and was never in the hold. Called
// under desk.mu.
func (h *Holding) hear(who member, a gate.Answer, n news) {
	h.compare(a)
	g := h.gates[who]
	switch {
	case g == nil && (n == left || h.final != nil):
		return
	case g == nil:
		g = &held{answer: a}
		h.gates[who] = g
	}
	g.gone = n == left
	if !g.heard || a.Attempt >= h.request.Attempt { // what it said of this attempt is for the record
		g.answer, g.heard = a, a.Attempt == h.request.Attempt
	}
	if n != joined || h.final != nil {
		return
	}
	h.untold = append(h.untold, who.name)
	select {
	case h.newcomers <- struct{}{}:
	default:
	}
}

// compare notes who knows more than this coordinator might.
func (h *Holding) compare(a gate.Answer) {
	if a.Attempt > h.attempts.Attempt {
		h.attempts = a
	}
	if a.Epoch > h.epochs.Epoch {
		h.epochs = a
	}
}

// overtaken is an error if a gate follows another coordinator, or knows of a flip that this one
// does not: it will never do what it is told here.
func (h *Holding) overtaken() error {
	epoch := h.request.Epoch
	if h.final != nil {
		epoch = max(epoch, h.final.Epoch)
	}
	switch {
	case h.attempts.Attempt > h.request.Attempt:
		return fault.New(fault.BusOvertaken, "gate %s knows attempt %d, this one is %d", h.attempts.Gate, h.attempts.Attempt, h.request.Attempt)
	case h.epochs.Epoch > epoch && epoch > 0:
		return fault.New(fault.BusOvertaken, "gate %s knows epoch %d, this coordinator %d", h.epochs.Gate, h.epochs.Epoch, epoch)
	}
	return nil
}
