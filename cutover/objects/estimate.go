package objects

import (
	"time"

	"changeover/cdc/schema"
)

// took is how long something took, in all and how often it was done.
type took struct {
	N     int
	Total time.Duration
}

func (t took) each() time.Duration { return t.Total / time.Duration(max(1, t.N)) }

// sample is how long one thing took, on the average of an Arm.
type sample struct {
	At   time.Time
	Each time.Duration
}

// An estimate is the best of the last few Arms. One alone, or one of long ago, counts for no more than
// a few times what is guessed: a server that had a bad moment would else be refused from then on, and
// never be measured again.
const (
	fewSamples  = 3
	sampleLasts = time.Hour
	guessTimes  = 3
)

// measured adds a sample.
func measured(all []sample, s sample) []sample {
	all = append(all, s)
	return all[max(0, len(all)-fewSamples):]
}

// The things that Arm does beside making objects, as their times are kept.
const (
	counter = "counter" // a table's AUTO_INCREMENT is raised
	rest    = "rest"    // once: looking, and writing down
)

// guesses are for a server on which nothing was measured: MySQL 9.7 on one machine takes half of that.
var guesses = map[string]time.Duration{
	string(schema.KindTrigger): 5 * time.Millisecond,
	string(schema.KindEvent):   5 * time.Millisecond,
	counter:                    6 * time.Millisecond,
	rest:                       25 * time.Millisecond,
}

// guess is for kinds that guesses has not.
const guess = 5 * time.Millisecond

// stopwatch measures what is done, by kind.
type stopwatch map[string]took

func (s stopwatch) add(kind string, since time.Time) {
	t := s[kind]
	t.N, t.Total = t.N+1, t.Total+time.Since(since)
	s[kind] = t
}

// longer adds to what was done last of a kind.
func (s stopwatch) longer(kind string, since time.Time) {
	t := s[kind]
	t.Total += time.Since(since)
	s[kind] = t
}

// each is how long one of a kind takes: as measured, else guessed.
func each(all map[string][]sample, kind string, now time.Time) time.Duration {
	guessed, ok := guesses[kind]
	if !ok {
		guessed = guess
	}
	samples := all[kind]
	if len(samples) == 0 {
		return guessed
	}
	best, recent := samples[0].Each, 0
	for _, s := range samples {
		best = min(best, s.Each)
		if now.Sub(s.At) < sampleLasts {
			recent++
		}
	}
	if recent < 2 {
		return min(best, guessTimes*guessed)
	}
	return best
}

func (w *Work) add(k schema.Kind) {
	switch k {
	case schema.KindTrigger:
		w.Triggers++
	case schema.KindEvent:
		w.Events++
	case schema.KindView:
		w.Views++
	default:
		w.Routines++
	}
}

// count says what is left to do, and how long that will take.
func (p *Prepared) count() {
	p.Todo = Work{AutoIncrement: len(p.raises), Dropped: len(p.drop)}
	one := func(kind string) time.Duration { return each(p.took, kind, time.Now()) }
	p.Estimate = one(rest) + time.Duration(len(p.raises))*one(counter) + time.Duration(len(p.drop))*guess
	for _, w := range p.wants {
		if !w.there {
			p.Todo.add(w.to.Kind)
			p.Estimate += one(string(w.to.Kind))
		}
	}
}
