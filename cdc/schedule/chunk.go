package schedule

import (
	"errors"
	"fmt"
	"sort"

	"changeover/cdc/row"
)

// State is how far a part of a table is in the snapshot.
type State uint8

// The states; doc.go draws the transitions.
const (
	Untouched State = iota
	Registered
	Dispatched
	Emptying
	Done
)

func (s State) String() string {
	return [...]string{"untouched", "registered", "dispatched", "emptying", "done"}[s]
}

// ErrGivenUp says that a chunk lost its place: its range must be emptied and registered again.
var ErrGivenUp = errors.New("chunk given up")

// Chunk is one range of a table on its way through the snapshot.
type Chunk struct {
	Table *row.Table
	Range row.Range

	state        State
	touched      map[string]struct{} // row keys in their exact form
	later        map[string]struct{} // those touched while it is dispatched, of a table in pieces
	touchedBytes int64
	gaveUpAfter  uint64 // Emptying: transactions up to this one may have been let into the range
	// gate stands for the chunk's write, or its emptying, in the waits of transactions.
	gate *node
}

// segment is one part of a table in key order; it ends at high, nil means +∞.
type segment struct {
	high  row.Row
	state State
	chunk *Chunk
}

// progress is one table's way through the snapshot.
type progress struct {
	def      *row.Table
	segments []segment // in order, together −∞ to +∞
}

// of finds the segment in which a change's row lies, whose key is key.
func (p *progress) of(c *row.Change, key row.Row) *segment {
	if c.Place != nil {
		key = c.Place
	}
	return p.at(key)
}

// at finds the segment in which a key lies, which has its weights if the table is Weighed. A table whose order is not known here has only one.
func (p *progress) at(key row.Row) *segment {
	if len(p.segments) == 1 {
		return &p.segments[0]
	}
	i := sort.Search(len(p.segments), func(i int) bool {
		high := p.segments[i].high
		return high == nil || p.def.Compare(key, high) <= 0
	})
	return &p.segments[i]
}

// carve cuts r out of the untouched segment in which it lies and returns its index.
func (p *progress) carve(r row.Range) (int, error) {
	low := row.Row(nil)
	for i, s := range p.segments {
		if !p.within(r, low, s.high) {
			low = s.high
			continue
		}
		if s.state != Untouched {
			return 0, fmt.Errorf("range of %s.%s is %s: from %q to %q", p.def.Schema, p.def.Name, s.state, r.Low, r.High)
		}
		var parts []segment
		if p.order(low, r.Low, true) < 0 {
			parts = append(parts, segment{high: r.Low, state: s.state})
		}
		at := i + len(parts)
		parts = append(parts, segment{high: r.High, state: s.state})
		if p.order(r.High, s.high, false) < 0 {
			parts = append(parts, segment{high: s.high, state: s.state})
		}
		p.segments = append(p.segments[:i:i], append(parts, p.segments[i+1:]...)...)
		return at, nil
	}
	return 0, fmt.Errorf("range of %s.%s crosses others", p.def.Schema, p.def.Name)
}

func (p *progress) within(r row.Range, low, high row.Row) bool {
	return p.order(low, r.Low, true) <= 0 && p.order(r.High, high, false) <= 0
}

// order compares two bounds; nil is −∞ among low bounds and +∞ among high ones.
func (p *progress) order(a, b row.Row, low bool) int {
	infinite := 1
	if low {
		infinite = -1
	}
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return infinite
	case b == nil:
		return -infinite
	}
	return p.def.Compare(a, b)
}

// set gives a chunk's segment its state and joins neighbours that are alike.
func (p *progress) set(c *Chunk, state State) {
	for i := range p.segments {
		if p.segments[i].chunk != c {
			continue
		}
		p.segments[i].state = state
		if state == Untouched || state == Done {
			p.segments[i].chunk = nil
			p.join(i)
		}
		return
	}
}

func (p *progress) join(i int) {
	alike := func(a, b segment) bool {
		return a.state == b.state && a.chunk == nil && b.chunk == nil
	}
	if i+1 < len(p.segments) && alike(p.segments[i], p.segments[i+1]) {
		p.segments = append(p.segments[:i], p.segments[i+1:]...)
	}
	if i > 0 && alike(p.segments[i-1], p.segments[i]) {
		p.segments = append(p.segments[:i-1], p.segments[i:]...)
	}
}

func (p *progress) complete() bool {
	return len(p.segments) == 1 && p.segments[0].state == Done
}
