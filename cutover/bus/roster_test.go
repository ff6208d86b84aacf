package bus

import (
	"testing"
	"time"

	"changeover/cutover/gate"
)

func say(name, life string, link, said uint64, state string) word {
	return word{Answer: gate.Answer{Gate: name, State: state}, Life: life, Link: link, Said: said}
}

func bye(name, life string, link, said uint64) word {
	w := say(name, life, link, said, gate.StateOpen)
	w.Gone = true
	return w
}

func TestTheRosterTellsWordsThatAreLateOrDoubledFromNewOnes(t *testing.T) {
	type step struct {
		word  word
		after time.Duration // since the step before
		want  news
	}
	for name, steps := range map[string][]step{
		"a doubled word": {
			{say("a", "x", 1, 1, gate.StateOpen), 0, joined},
			{say("a", "x", 1, 1, gate.StateOpen), 0, stale},
		},
		"drained comes after the held that followed it": {
			{say("a", "x", 1, 1, gate.StateOpen), 0, joined},
			{say("a", "x", 1, 3, gate.StateHeld), 0, again},
			{say("a", "x", 1, 2, gate.StateDrained), 0, stale},
		},
		"a word after the goodbye": {
			{say("a", "x", 1, 1, gate.StateOpen), 0, joined},
			{bye("a", "x", 1, 3), 0, left},
			{say("a", "x", 1, 2, gate.StateOpen), 0, stale},
		},
		"a gate that dials anew closes its old link": {
			{say("a", "x", 1, 1, gate.StateOpen), 0, joined},
			{say("a", "x", 2, 2, gate.StateOpen), 0, joined},
			{bye("a", "x", 1, 3), 0, stale},
			{say("a", "x", 2, 4, gate.StateOpen), 0, again},
		},
		"a goodbye of somebody unknown": {
			{bye("a", "x", 1, 3), 0, stale},
			{say("a", "x", 1, 2, gate.StateOpen), 0, joined},
		},
		"a process that begins again under its name": {
			{say("a", "x", 1, 100, gate.StateOpen), 0, joined},
			{say("a", "y", 1, 1, gate.StateOpen), 0, joined},
		},
		"silence for too long, then a word": {
			{say("a", "x", 1, 1, gate.StateOpen), 0, joined},
			{say("a", "x", 1, 2, gate.StateOpen), time.Second, again},
			{say("a", "x", 1, 3, gate.StateOpen), expiry, joined},
		},
		"a word without a name": {
			{say("", "x", 1, 1, gate.StateOpen), 0, stale},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, now := roster{}, time.Now()
			for i, s := range steps {
				now = now.Add(s.after)
				if _, got := r.hear(s.word, now); got != s.want {
					t.Errorf("step %d: %d, want %d", i+1, got, s.want)
				}
			}
		})
	}
}

func TestOnlyWhoSpokeLatelyAndHasNotLeftIsPresent(t *testing.T) {
	r, now := roster{}, time.Now()
	r.hear(say("silent", "x", 1, 1, gate.StateOpen), now)
	r.hear(say("gone", "x", 1, 2, gate.StateOpen), now.Add(2*time.Second))
	r.hear(say("b", "y", 1, 1, gate.StateOpen), now.Add(2*time.Second))
	r.hear(say("a", "x", 1, 3, gate.StateOpen), now.Add(2*time.Second))
	r.hear(bye("gone", "x", 1, 4), now.Add(2*time.Second))
	there := r.present(now.Add(expiry))
	if len(there) != 2 || there[0].name != "a" || there[1].name != "b" {
		t.Error(there)
	}
	r.forget(now.Add(time.Minute + time.Second))
	if len(r) != 3 {
		t.Error("of whom nothing was heard for a minute is not forgotten:", len(r))
	}
}

func TestALongAnswerLosesItsStaysNotItsState(t *testing.T) {
	w := say("a", "x", 1, 1, gate.StateHeld)
	w.Inside = []gate.Stay{{For: time.Second, What: string(make([]byte, most))}}
	text, err := w.encode()
	if err != nil || len(text) > most {
		t.Fatal(len(text), err)
	}
	w.Gate = string(make([]byte, most))
	if _, err := w.encode(); err == nil {
		t.Error("an answer that can't be made short is sent all the same")
	}
}
