package gate

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history is a migration as it really went: attempts, each released or flipped, and what coordinators said meanwhile.
type history struct {
	writers []Side // by epoch
	said    []Order
	attempt uint64
	lastBy  []uint64 // the attempt that made each epoch
}

func newHistory() *history {
	return &history{writers: []Side{"", Source}, lastBy: []uint64{0, 0}}
}

func (h *history) epoch() uint64 { return uint64(len(h.writers) - 1) }

// truth is what both rows say now; the old writer's row may be as it was.
func (h *history) truth() verdict {
	e := h.epoch()
	return verdict{side: h.writers[e], epoch: e, attempt: h.lastBy[e], sure: true}
}

// goOn is the next thing that a coordinator does. What it says may be heard at any time after it, or never.
func (h *history) goOn(t *rapid.T) {
	switch rapid.SampledFrom([]string{"hold", "renew", "release", "flip", "ask"}).Draw(t, "coordinator") {
	case "hold":
		h.attempt++
		h.say(Order{Kind: Hold})
	case "renew":
		if h.attempt > 0 && (len(h.said) == 0 || !h.over()) {
			h.say(Order{Kind: Hold, Cancel: rapid.Bool().Draw(t, "cancel")})
		}
	case "release":
		if h.attempt > 0 && !h.over() {
			h.say(Order{Kind: Release})
		}
	case "flip":
		if h.attempt > 0 && !h.over() {
			h.writers = append(h.writers, h.writers[h.epoch()].other())
			h.lastBy = append(h.lastBy, h.attempt)
			h.say(Order{Kind: Flip, Writer: string(h.writers[h.epoch()])})
		}
	case "ask":
		h.say(Order{Kind: Ask})
	}
}

// over tells whether the attempt has been decided.
func (h *history) over() bool {
	for _, o := range h.said {
		if o.Attempt == h.attempt && (o.Kind == Release || o.Kind == Flip) {
			return true
		}
	}
	return false
}

func (h *history) say(o Order) {
	o.Attempt, o.Epoch, o.Life = h.attempt, h.epoch(), 300*time.Millisecond
	h.said = append(h.said, o)
}

// TestOrdersMayBeLostDoubledLateAndOutOfOrder plays histories against a door: what is said is heard any number of times,
// in any order; looks at the rows are as old as the time at which they began.
func TestOrdersMayBeLostDoubledLateAndOutOfOrder(t *testing.T) {
	for range 10 { // times a hundred
		rapid.Check(t, playHistory)
	}
}

func TestAFlipGoesForwardOnly(t *testing.T) {
	now := time.Now()
	d := newDoor(Source, 1, 1)
	d.know(verdict{side: Target, epoch: 2, sure: true}, 0, now)
	if d.hear(Order{Kind: Flip, Attempt: 9, Epoch: 1, Writer: "source"}, now); d.side != Target || d.epoch != 2 {
		t.Errorf("it went back to the %s at epoch %d", d.side, d.epoch)
	}
	if look := d.hear(Order{Kind: Flip, Attempt: 10, Epoch: 3, Writer: "nobody"}, now); d.epoch != 2 || !look {
		t.Errorf("it flipped to nobody: %+v", d)
	}
}

func TestAnAttemptIsOverWhenALaterOneIsHeard(t *testing.T) {
	now := time.Now()
	d := newDoor(Source, 1, 1)
	o := Order{Kind: Hold, Attempt: 4, Life: time.Second}
	d.hear(o, now)
	d.lapse(now.Add(time.Second))
	o.Attempt = 3
	d.hear(o, now.Add(time.Second))
	if d.hold != nil {
		t.Error("a late order of an earlier attempt holds")
	}
	o.Attempt = 4
	d.hear(o, now.Add(time.Second))
	if d.hold == nil {
		t.Error("a hold that has lapsed is not renewed")
	}
}

type pending struct {
	v      verdict
	doubts uint64
}

func playHistory(t *rapid.T) {
	const writers, queue = 3, 5
	var (
		h       = newHistory()
		d       = newDoor(Source, writers, queue)
		now     = time.Now()
		came    int
		next    []*ticket // who waits, in the order in which they came
		names   = map[*ticket]int{}
		inside  []*stay
		looks   []pending
		over    = map[uint64]bool{} // attempts that were heard to be over
		epoch   uint64
		cancels int
	)
	d.know(h.truth(), d.doubts, now)
	// admitted checks and takes away whom the door has let in.
	admitted := func(what string) {
		for _, in := range d.granted {
			if d.hold != nil || !d.sure {
				t.Fatalf("%s: somebody was let in while writes are held", what)
			}
			if len(next) == 0 || next[0] != in {
				t.Fatalf("%s: number %d was let in out of turn", what, names[in])
			}
			next = next[1:]
			s := in.stay
			if s.epoch < epoch || s.epoch > h.epoch() || h.writers[s.epoch] != s.side {
				t.Fatalf("%s: let in to the %s at epoch %d; the writers were %v, the last who was let in had %d", what, s.side, s.epoch, h.writers, epoch)
			}
			epoch = s.epoch
			inside = append(inside, s)
		}
		d.granted = nil
		switch {
		case d.epoch > h.epoch() || d.side != h.writers[d.epoch]:
			t.Fatalf("%s: it goes by the %s at epoch %d; the writers were %v", what, d.side, d.epoch, h.writers)
		case len(inside) > writers || d.inside.Len() != len(inside):
			t.Fatalf("%s: %d are inside, %d by the door's count", what, len(inside), d.inside.Len())
		case d.waiting.Len() > queue || d.waiting.Len() != len(next):
			t.Fatalf("%s: %d wait, %d by the door's count", what, len(next), d.waiting.Len())
		case d.hold == nil && d.sure && len(inside) < writers && len(next) > 0:
			t.Fatalf("%s: it is open, and somebody waits", what)
		case d.hold != nil && over[d.hold.attempt]:
			t.Fatalf("%s: attempt %d holds, which is over", what, d.hold.attempt)
		case d.hold != nil && d.hold.until.After(now.Add(maxLife)):
			t.Fatalf("%s: it holds for ever", what)
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"coordinator": func(t *rapid.T) { h.goOn(t) },
		"hear": func(t *rapid.T) {
			if len(h.said) == 0 {
				t.Skip()
			}
			o := rapid.SampledFrom(h.said).Draw(t, "order")
			look := d.hear(o, now)
			if o.Kind == Release || o.Kind == Flip {
				for a := uint64(0); a <= o.Attempt; a++ {
					over[a] = true
				}
			}
			if look && o.Epoch <= d.epoch && o.Kind != Flip {
				t.Fatalf("it wants to look for what it knows: %+v", o)
			}
			admitted(fmt.Sprintf("%s of attempt %d", o.Kind, o.Attempt))
		},
		"time": func(t *rapid.T) {
			now = now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "ms")) * time.Millisecond)
			d.lapse(now)
			if d.hold != nil && !now.Before(d.hold.until) {
				t.Fatal("a hold outlives its life")
			}
			admitted("time")
		},
		"enter": func(*rapid.T) {
			came++
			s := &stay{what: func() string { return "" }, cancel: func(error) { cancels++ }}
			ticket := d.enter(s, now)
			if ticket == nil {
				if len(next) < queue {
					t.Fatal("sent away though the queue isn't full")
				}
				return
			}
			names[ticket] = came
			next = append(next, ticket)
			admitted("enter")
		},
		"leave": func(t *rapid.T) {
			if len(inside) == 0 {
				t.Skip()
			}
			i := rapid.IntRange(0, len(inside)-1).Draw(t, "who")
			s := inside[i]
			inside = append(inside[:i:i], inside[i+1:]...)
			d.leave(s, now)
			admitted("leave")
		},
		"join": func(t *rapid.T) {
			if len(inside) == 0 {
				t.Skip()
			}
			s := rapid.SampledFrom(inside).Draw(t, "who")
			if !d.join(s) {
				t.Fatal("somebody who is inside can't be joined")
			}
			d.leave(s, now)
			admitted("join")
		},
		"give up": func(t *rapid.T) {
			if len(next) == 0 {
				t.Skip()
			}
			i := rapid.IntRange(0, len(next)-1).Draw(t, "who")
			ticket := next[i]
			next = append(next[:i:i], next[i+1:]...)
			d.giveUp(ticket, now)
			admitted("give up")
		},
		"doubt": func(t *rapid.T) {
			e := rapid.Uint64Range(1, h.epoch()).Draw(t, "epoch")
			d.doubt(e)
			if e >= d.epoch && d.sure {
				t.Fatal("it was refused, and is sure")
			}
		},
		"look": func(t *rapid.T) {
			v := h.truth()
			v.sure = rapid.IntRange(0, 4).Draw(t, "sure") > 0 // else the new writer's row can't be read
			if !v.sure {
				v.side = d.side
			}
			looks = append(looks, pending{v, d.doubts})
		},
		"see": func(t *rapid.T) {
			if len(looks) == 0 {
				t.Skip()
			}
			l := rapid.SampledFrom(looks).Draw(t, "look")
			refused := l.doubts != d.doubts && l.v.epoch == d.epoch && !d.sure
			was := d.sure
			d.know(l.v, l.doubts, now)
			if l.v.epoch < d.epoch && d.sure != was {
				t.Fatal("a look that began before a flip counts after it")
			}
			if !l.v.sure && l.v.epoch >= d.epoch && d.sure {
				t.Fatal("nobody is named, and it is sure")
			}
			if refused && d.sure {
				t.Fatal("a look that began before a refusal has settled it")
			}
			admitted("see")
		},
	})
	// Nothing more is heard. Holds lapse, the rows tell, and all get in.
	now = now.Add(maxLife)
	d.lapse(now)
	admitted("the end")
	d.know(h.truth(), d.doubts, now)
	admitted("the end")
	for len(inside) > 0 {
		s := inside[0]
		inside = inside[1:]
		d.leave(s, now)
		admitted("the end")
	}
	if len(next) > 0 || d.epoch != h.epoch() || d.state() == StateHeld {
		t.Fatalf("%d still wait; it goes by epoch %d, the migration is at %d", len(next), d.epoch, h.epoch())
	}
}

func TestAnAnswerTellsTheLongestInside(t *testing.T) {
	now := time.Now()
	d := newDoor(Source, 20, 5)
	d.know(verdict{side: Source, epoch: 1, sure: true}, 0, now)
	for i := range 12 {
		d.enter(&stay{what: func() string { return fmt.Sprint(i) }, cancel: func(error) {}}, now.Add(time.Duration(i)*time.Second))
	}
	d.hear(Order{Kind: Hold, Attempt: 1, Epoch: 1, Life: time.Second}, now.Add(time.Minute))
	var a Answer
	d.tell(&a, now.Add(time.Minute+time.Second))
	if a.State != StateHeld || a.InsideCount != 12 || len(a.Inside) != 10 || a.Inside[0] != (Stay{61 * time.Second, "0"}) || a.Held != time.Second {
		t.Errorf("it says %+v", a)
	}
}

func TestALongLifeIsCut(t *testing.T) {
	now := time.Now()
	d := newDoor(Source, 1, 1)
	d.hear(Order{Kind: Hold, Attempt: 1, Life: time.Hour}, now)
	if d.hold == nil || !d.lapse(now.Add(maxLife)) {
		t.Error("one message holds for an hour")
	}
}

func TestACancellingHoldSparesWhoCameJustNow(t *testing.T) {
	now := time.Now()
	d := newDoor(Source, 2, 2)
	d.know(verdict{side: Source, epoch: 1, sure: true}, 0, now)
	cancelled := map[string]int{}
	for name, since := range map[string]time.Duration{"long": time.Second, "short": time.Millisecond} {
		d.enter(&stay{cancel: func(cause error) {
			if cause != ErrCancelled {
				t.Errorf("cancelled with %v", cause)
			}
			cancelled[name]++
		}}, now.Add(-since))
	}
	o := Order{Kind: Hold, Attempt: 1, Epoch: 1, Life: time.Second, Cancel: true}
	d.hear(o, now)
	d.hear(o, now.Add(time.Millisecond))
	if cancelled["long"] != 1 || cancelled["short"] != 0 {
		t.Errorf("cancelled were %v", cancelled)
	}
	d.hear(o, now.Add(200*time.Millisecond))
	if cancelled["long"] != 1 || cancelled["short"] != 1 {
		t.Errorf("after a while cancelled were %v", cancelled)
	}
}

var errDown = context.DeadlineExceeded

func TestWhoMayBeWrittenTo(t *testing.T) {
	none, down := row{}, row{err: errDown}
	says := func(writer Side, epoch uint64) row {
		return row{found: true, writer: writer, epoch: epoch, attempt: 7, bus: "b"}
	}
	type known struct {
		side           Side
		epoch, highest uint64
		settled        bool
	}
	fresh, old, moved := known{Source, 0, 0, false}, known{Source, 1, 1, true}, known{Target, 2, 2, true}
	for _, c := range []struct {
		what           string
		source, target row
		known          known
		side           Side
		sure           bool
	}{
		{"no migration yet", none, none, fresh, Source, true},
		{"no migration yet, one can't be asked", none, down, fresh, Source, false},
		{"the other can't be asked", down, none, fresh, Source, false},
		{"neither can be asked", down, down, fresh, Source, false},
		{"it begins", says(Source, 1), says(Source, 1), fresh, Source, true},
		{"it begins, the target has no row", says(Source, 1), none, fresh, Source, true},
		{"the source names itself, the target can't be asked", says(Source, 1), down, fresh, Source, true},
		{"the target says it is the source, which can't be asked", down, says(Source, 1), fresh, Source, false},
		{"flipped", says(Source, 1), says(Target, 2), fresh, Target, true},
		{"flipped, both rows written", says(Target, 2), says(Target, 2), fresh, Target, true},
		{"flipped, the old one is gone", down, says(Target, 2), fresh, Target, true},
		{"flipped, the new one can't be asked", says(Target, 2), down, fresh, Source, false},
		{"flipped, the new one's row is missing", says(Target, 2), none, fresh, Source, false},
		{"flipped, the new one's row is old", says(Target, 2), says(Source, 1), fresh, Source, false},
		{"back", says(Source, 3), says(Target, 2), fresh, Source, true},
		{"both name themselves", says(Source, 2), says(Target, 2), fresh, Source, false},
		{"it knew, and sees the flip", says(Source, 1), says(Target, 2), old, Target, true},
		{"it knew, and nobody can be asked", down, down, old, Source, true},
		{"it knew, and its own can't be asked", down, says(Source, 1), old, Source, true},
		{"it knew, and its own can't be asked while the other has moved on", down, says(Target, 2), old, Target, true},
		{"it knew, and its own names another", says(Target, 2), down, old, Source, false},
		{"it knew of a higher epoch, and the rows are old", says(Source, 1), says(Source, 1), moved, Target, false},
		{"it knew of a higher epoch, and its own can't be asked", says(Source, 1), down, moved, Target, true},
		{"forgotten", none, none, moved, Target, true},
		{"half forgotten", says(Target, 2), none, moved, Target, true},
		{"half forgotten, by the other half", none, says(Target, 2), moved, Target, true},
		{"half forgotten, and the other row is old", says(Source, 1), none, moved, Target, false},
		{"it has heard of a flip, but not who it was", down, down, known{Source, 1, 2, true}, Source, false},
		{"it has heard of a flip, and its own row is old", says(Source, 1), down, known{Source, 1, 2, true}, Source, false},
	} {
		v := decide(c.source, c.target, c.known.side, c.known.epoch, c.known.highest, c.known.settled)
		if v.sure != c.sure || c.sure && v.side != c.side {
			t.Errorf("%s: %+v, want %s, sure: %v", c.what, v, c.side, c.sure)
		}
	}
}

// While renewals come a hold costs the servers nothing; when one is missing the rows are asked, once, and once more when
// its life is over.
func TestAHoldThatFallsSilentHasTheRowsRead(t *testing.T) {
	now := time.Now()
	d := newDoor(Source, 10, 10)
	d.know(verdict{side: Source, epoch: 1, sure: true}, 0, now)
	o := Order{Kind: Hold, Attempt: 1, Epoch: 1, Life: 300 * time.Millisecond}
	for range 10 {
		d.hear(o, now)
		now = now.Add(100 * time.Millisecond)
		if d.overdue(now) {
			t.Fatal("it was renewed in time")
		}
	}
	d.hear(o, now)
	heard := now
	for _, step := range []struct {
		after      time.Duration
		look, held bool
	}{{149, false, true}, {150, true, true}, {151, false, true}, {299, false, true}, {300, true, false}, {301, false, false}} {
		now = heard.Add(step.after * time.Millisecond)
		if look := d.overdue(now); look != step.look || (d.hold != nil) != step.held {
			t.Errorf("%d ms after the last renewal: look %v, held %v", step.after, look, d.hold != nil)
		}
		if d.hold != nil && !d.hold.next().After(now) {
			t.Errorf("%d ms after the last renewal: the timer would not stand still", step.after)
		}
	}
	d.hear(o, now) // it is heard of again
	if d.hold == nil || d.overdue(now.Add(149*time.Millisecond)) || !d.overdue(now.Add(150*time.Millisecond)) {
		t.Error("a hold that is renewed after it lapsed is no longer looked after")
	}
}
