package bus

import (
	"cmp"
	"slices"
	"time"

	"changeover/cutover/gate"
)

// expiry is after how long without a word a gate is no longer there. It says something every second.
const expiry = 3 * time.Second

// Presence is a gate that is there, and its latest word.
type Presence struct {
	gate.Answer
	At time.Time // when it came, by this process's clock
}

// member is what tells gates apart. Two processes may have been given the same name; if they
// counted as one, the one that has drained would hide the one that has not.
type member struct{ life, name string }

// record is the latest that is known of a member.
type record struct {
	Presence
	link, said uint64
	gone       bool // it said goodbye; kept for a while, so that an older word does not bring it back
}

func (r record) there(now time.Time) bool { return !r.gone && now.Sub(r.At) < expiry }

// roster is who is there. It is a state machine without a connection or a clock.
type roster map[member]record

// news is what a word means.
type news int

const (
	stale  news = iota // older than what is known: late, or doubled
	again              // from a member that was there
	joined             // from one that was not
	left               // a goodbye
)

// hear takes a word in.
func (r roster) hear(w word, now time.Time) (member, news) {
	who := member{w.Life, w.Gate}
	known, ok := r[who]
	switch {
	case w.Gate == "":
		return who, stale
	case ok && w.Said <= known.said:
		return who, stale
	case w.Gone && (!ok || w.Link < known.link):
		return who, stale // a gate that dialled anew closes its old link: it has not left
	}
	there := ok && known.there(now)
	if w.Sessions == nil { // said when asked only
		w.Sessions = r[who].Sessions
	}
	r[who] = record{Presence: Presence{Answer: w.Answer, At: now}, link: w.Link, said: w.Said, gone: w.Gone}
	switch {
	case w.Gone:
		return who, left
	case there && w.Link == known.link:
		return who, again
	default:
		return who, joined // also over a new link: it may have missed what was said meanwhile
	}
}

// present are the members that are there now.
func (r roster) present(now time.Time) []member {
	var there []member
	for who, known := range r {
		if known.there(now) {
			there = append(there, who)
		}
	}
	slices.SortFunc(there, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.life, b.life))
	})
	return there
}

// forget drops those of whom nothing was heard for long: processes come and go for as long as a
// migration runs.
func (r roster) forget(now time.Time) {
	for who, known := range r {
		if now.Sub(known.At) > time.Minute {
			delete(r, who)
		}
	}
}
