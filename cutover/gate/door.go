package gate

import (
	"container/list"
	"context"
	"time"
)

// maxLife bounds a hold, whatever an order says: an application must never stand still for longer
// because of one message.
const maxLife = 10 * time.Second

// cancelAfter is how long a stay must have been inside before a hold cancels it: shorter ones end by themselves,
// and the hold's next renewal meets those that don't.
const cancelAfter = 100 * time.Millisecond

// door is the gate's state machine: who is inside, who waits, which orders count. It has no lock, no clock,
// no connection and no goroutine; each method is told the time, and leaves those that it let in in granted.
type door struct {
	writers, queue int

	side    Side
	epoch   uint64 // that of side
	highest uint64 // that any route row or flip has told
	sure    bool   // side may be written to, as far as is known
	settled bool   // it was sure once
	doubts  uint64 // grows with each refusal: what was looked at before one tells nothing about it

	hold   *hold
	adrift bool   // a hold has lapsed, and it is not known what came of its attempt: perhaps a flip
	lapses uint64 // how many have
	ended  uint64 // attempts up to this one are over: what is still heard of them is late
	last   past

	inside  list.List // of *stay, the longest first
	waiting list.List // of *ticket, the first come first
	granted []*ticket
}

// hold is one that is in force.
type hold struct {
	attempt      uint64
	began, until time.Time
	silent       time.Time // when a renewal is overdue
	asked        bool      // it was, and the route rows are read
}

// past is what is told about the last hold.
type past struct {
	attempt uint64
	began   time.Time
	held    time.Duration
	flipped uint64        // the epoch that its flip made; 0: it was no flip
	first   time.Duration // from its beginning to the first write of that epoch
}

// stay is one write that is inside, with all that has joined it.
type stay struct {
	side   Side
	epoch  uint64
	since  time.Time
	what   func() string
	cancel context.CancelCauseFunc
	asked  bool // to end
	count  int  // of passes that are it
	place  *list.Element
}

// ticket is one write's place in the queue.
type ticket struct {
	stay  *stay
	in    chan struct{} // closed when it is let in
	place *list.Element // nil: let in
}

func newDoor(first Side, writers, queue int) *door {
	return &door{side: first, writers: writers, queue: queue}
}

// enter lets the stay in, or gives it a place in the queue; nil: the queue is full.
func (d *door) enter(s *stay, now time.Time) *ticket {
	t := &ticket{stay: s, in: make(chan struct{})}
	if d.waiting.Len() >= d.queue && !d.open() {
		return nil
	}
	t.place = d.waiting.PushBack(t)
	d.admit(now)
	return t
}

// open tells whether one more may go in now.
func (d *door) open() bool {
	return d.hold == nil && d.sure && d.inside.Len() < d.writers
}

// admit lets in, in order, as many as may go in.
func (d *door) admit(now time.Time) {
	for d.open() && d.waiting.Len() > 0 {
		t := d.waiting.Remove(d.waiting.Front()).(*ticket)
		t.place = nil
		s := t.stay
		s.side, s.epoch, s.since, s.count = d.side, d.epoch, now, 1
		s.place = d.inside.PushBack(s)
		d.granted = append(d.granted, t)
	}
}

// giveUp takes a ticket out of the queue; one that was let in meanwhile leaves.
func (d *door) giveUp(t *ticket, now time.Time) {
	if t.place == nil {
		d.leave(t.stay, now)
		return
	}
	d.waiting.Remove(t.place)
	t.place = nil
}

// join makes one more pass of a stay that is inside; false: it has left.
func (d *door) join(s *stay) bool {
	if s.count == 0 {
		return false
	}
	s.count++
	return true
}

// leave ends one pass of the stay.
func (d *door) leave(s *stay, now time.Time) {
	if s.count--; s.count > 0 {
		return
	}
	d.inside.Remove(s.place)
	d.admit(now)
}

// wrote notes that a write of that epoch has taken place.
func (d *door) wrote(epoch uint64, now time.Time) (first bool) {
	if p := &d.last; p.flipped != 0 && p.flipped == epoch && p.first == 0 {
		p.first = max(now.Sub(p.began), 1)
		return true
	}
	return false
}

// hear obeys an order, or ignores it. look: it speaks of something that is not known here, so the route
// rows are to be read now.
func (d *door) hear(o Order, now time.Time) (look bool) {
	look = o.Epoch > d.epoch
	if o.Kind == Ask || o.Attempt <= d.ended {
		return look
	}
	switch o.Kind {
	case Hold:
		// A coordinator that does not know of the last flip has nothing to hold.
		if o.Life <= 0 || o.Epoch != 0 && o.Epoch < d.epoch {
			return look
		}
		d.holdOn(o, now)
	case Release:
		d.end(o.Attempt, now)
		if look {
			d.doubt(d.epoch) // a flip was not heard: better wait for the rows than be refused
		}
	case Flip:
		to := Side(o.Writer)
		if !to.valid() {
			return true
		}
		d.end(o.Attempt, now)
		if o.Epoch > d.epoch {
			d.flip(to, o.Epoch, now)
			look = false
		}
	default:
		return look
	}
	d.admit(now)
	return look
}

func (d *door) holdOn(o Order, now time.Time) {
	if d.hold == nil || d.hold.attempt != o.Attempt {
		d.hold = &hold{attempt: o.Attempt, began: now}
		d.last = past{attempt: o.Attempt, began: now}
		d.ended = max(d.ended, o.Attempt-1) // there is one at a time
	}
	d.adrift = false
	life := min(o.Life, maxLife)
	d.hold.until, d.hold.silent, d.hold.asked = now.Add(life), now.Add(life/2), false
	for e := d.inside.Front(); o.Cancel && e != nil; e = e.Next() {
		if s := e.Value.(*stay); !s.asked && now.Sub(s.since) >= cancelAfter {
			s.asked = true
			s.cancel(ErrCancelled)
		}
	}
}

// end ends the attempt, and the hold if it is its own.
func (d *door) end(attempt uint64, now time.Time) {
	d.ended, d.adrift = max(d.ended, attempt), false
	if d.hold != nil {
		d.last.held = now.Sub(d.hold.began)
		d.hold = nil
	}
	if d.last.attempt != attempt { // nothing was heard of its hold
		d.last = past{attempt: attempt, began: now}
	}
}

func (d *door) flip(to Side, epoch uint64, now time.Time) {
	d.side, d.epoch, d.sure, d.settled, d.adrift = to, epoch, true, true, false
	d.highest = max(d.highest, epoch)
	d.last.flipped, d.last.first = epoch, 0
	if d.last.began.IsZero() {
		d.last.began = now
	}
}

// next is when overdue has something to do.
func (h *hold) next() time.Time {
	if h.asked {
		return h.until
	}
	return h.silent
}

// overdue does what is to be done about a hold that was not renewed. look: the route rows are to be read now, at half
// of its life and at its end; after that they are read again and again while it is adrift. The attempt may end with a
// flip that is not heard: then writes would find that out, by being refused, but reads would go on at the old writer,
// which has nothing of what the new one takes.
func (d *door) overdue(now time.Time) (look bool) {
	if d.hold == nil || now.Before(d.hold.next()) {
		return false
	}
	d.hold.asked = true
	d.lapse(now)
	return true
}

// lapse ends a hold that was not renewed. Its attempt is not over: a renewal holds again.
func (d *door) lapse(now time.Time) bool {
	if d.hold == nil || now.Before(d.hold.until) {
		return false
	}
	d.last.held = now.Sub(d.hold.began)
	d.hold = nil
	d.adrift = true
	d.lapses++
	d.admit(now)
	return true
}

// ashore ends being adrift: the writer takes writes, so nothing came of the attempt. lapses is their number when
// that was looked at.
func (d *door) ashore(lapses uint64) {
	if d.lapses == lapses {
		d.adrift = false
	}
}

// doubt notes that the server of that epoch takes no writes. Nobody is let in until a look that began later
// is satisfied.
func (d *door) doubt(epoch uint64) {
	if epoch < d.epoch {
		return // the route has moved on since
	}
	d.doubts++
	d.sure = false
}

// know takes in what a look at the route rows found; doubts is their number when it began.
func (d *door) know(v verdict, doubts uint64, now time.Time) {
	if v.epoch < d.epoch {
		return // a flip was heard meanwhile
	}
	d.highest = max(d.highest, v.epoch)
	if !v.sure {
		d.sure = false
		return
	}
	if v.epoch > d.epoch {
		if d.epoch != 0 { // else it is the first row of all: nothing was held for it
			// The flip of v.attempt was not heard. Its hold is over, and so are those before it.
			if v.attempt > d.ended {
				d.end(v.attempt, now)
			}
			d.flip(v.side, v.epoch, now)
		}
		d.side, d.epoch = v.side, v.epoch
		doubts = d.doubts // they were about another writer
	}
	if doubts == d.doubts {
		d.sure, d.settled = true, true
	}
	d.admit(now)
}

// state is the door's in the words of an Answer.
func (d *door) state() string {
	switch {
	case d.hold != nil && d.inside.Len() > 0:
		return StateHeld
	case d.hold != nil:
		return StateDrained
	case d.last.flipped != 0 && d.last.flipped == d.epoch:
		return StateFlipped
	}
	return StateOpen
}

// tell fills in what an Answer says of the door.
func (d *door) tell(a *Answer, now time.Time) {
	a.State, a.Epoch = d.state(), d.epoch
	a.Attempt, a.Held, a.FirstWrite = d.last.attempt, d.last.held, d.last.first
	if d.hold != nil {
		a.Held = now.Sub(d.hold.began)
	}
	a.InsideCount, a.Waiting = d.inside.Len(), d.waiting.Len()
	for e := d.inside.Front(); e != nil && len(a.Inside) < 10; e = e.Next() {
		s := e.Value.(*stay)
		a.Inside = append(a.Inside, Stay{For: now.Sub(s.since), What: s.what()})
	}
}
