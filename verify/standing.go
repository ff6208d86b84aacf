package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"changeover/internal/fault"
)

// State is the state of the proof at one moment. Its JSON is stable; docs/verify.md describes it.
type State struct {
	Migration string `json:"migration"`
	// Complete: every row of every table was compared, nothing is due, and nothing differs. Under load it
	// is true now and then only: a row is due from its change until it has been compared again.
	Complete bool `json:"complete"`
	// Wholly: every row of every table was compared at least once.
	Wholly      bool         `json:"wholly_compared"`
	Differences int          `json:"differences"` // rows
	KeysDue     int          `json:"keys_due"`
	Rows        uint64       `json:"rows_compared"`
	Tables      []TableState `json:"tables"`
	// Share is how much of one connection's time the source works for the comparison, 0.5 is half.
	Share    float64 `json:"share"`
	HeldBack string  `json:"held_back,omitempty"` // why it is less than configured
	Chunks   int64   `json:"chunks"`              // compared by this run
	Keys     int64   `json:"keys_compared"`       // by this run
	Repaired int64   `json:"rows_repaired"`       // by this run
	// ToRepair is how many pieces, of at most 500 rows, are still to be repaired, or to be compared
	// again after that.
	ToRepair int `json:"repairs_left"`
	// Again: tables that were wholly compared are compared once more, or rows that seemed to differ are.
	Again bool `json:"again"`
}

// TableState is the state of one table.
type TableState struct {
	Schema string `json:"schema"`
	Table  string `json:"table"`
	State  string `json:"state"` // waiting, comparing, compared, different, impossible
	Rows   uint64 `json:"rows"`  // compared in the present or last pass
	// Compared is when the last pass over all of it ended, Checked when anything of it was compared last.
	Compared    time.Time `json:"compared,omitzero"`
	Checked     time.Time `json:"checked,omitzero"`
	KeysDue     int       `json:"keys_due"`
	Differences int       `json:"differences"`
	Problem     string    `json:"problem,omitempty"` // why it can't be compared
}

// State tells how far the proof is. It is cheap.
func (v *Verifier) State() State {
	l, k := v.present()
	r := State{Tables: []TableState{}}
	r.Share, r.HeldBack = v.pace.state()
	v.mu.Lock()
	r.Chunks, r.Keys, r.Repaired, r.ToRepair = v.counts.chunks, v.counts.keys, v.counts.repaired, len(v.queue)
	recalled, repaired := v.recall == nil, v.lastRepair
	v.mu.Unlock()
	if repaired > 0 && l.dueSince(repaired) {
		r.ToRepair++
	}
	if k != nil {
		r.Migration = k.stream.Migration()
		l.define(k.stream.Tables) // one may have been finished just now
	}
	l.report(&r)
	r.Wholly = k != nil && len(r.Tables) > 0 && k.stream.Unfinished() == 0
	for _, t := range r.Tables {
		r.Wholly = r.Wholly && !t.Compared.IsZero() && t.State != waiting && t.State != impossible
	}
	r.Complete = r.Wholly && recalled && r.KeysDue == 0 && r.Differences == 0
	return r
}

// The states of a table.
const (
	waiting    = "waiting"
	comparing  = "comparing"
	compared   = "compared"
	different  = "different"
	impossible = "impossible"
)

func (l *ledger) report(r *State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.sorted() {
		t := TableState{Schema: e.name.Schema, Table: e.name.Table, Rows: e.rows, Compared: e.ended.UTC(), Checked: e.checked.UTC(),
			KeysDue: len(e.due), Differences: e.differences(), Problem: e.problem, State: compared}
		switch {
		case e.problem != "":
			t.State = impossible
		case t.Differences > 0:
			t.State = different
		case !e.wholly() && !e.watching:
			t.State = waiting
		case !e.wholly():
			t.State = comparing
		}
		if !e.wholly() {
			t.Compared = time.Time{}
		}
		r.Again = r.Again || len(e.second) > 0 || e.lookingAgain() || e.suspected > 0 && e.dueSince(e.suspected)
		r.Tables = append(r.Tables, t)
		r.Differences += t.Differences
		r.KeysDue += t.KeysDue
		r.Rows += t.Rows
	}
}

// Different shows rows that differ as they are now, at most limit of each table. Rows that are equal by
// now are left out; so are those of ranges of which too many differ to be remembered, beyond the limit.
func (v *Verifier) Different(ctx context.Context, limit int) (map[Name][]Difference, error) {
	l, k := v.present()
	all := map[Name][]Difference{}
	if k == nil {
		return all, nil
	}
	for _, d := range l.differing(limit) {
		p, err := k.pair(ctx, d.name, d.version)
		if err != nil {
			return nil, err
		}
		var found []Difference
		switch {
		case !p.keyed():
			found, err = p.keyless(ctx, nil, "", limit)
		case len(d.keys) > 0:
			found, err = p.describe(ctx, d.keys)
		}
		if err == nil && d.crowd != nil && p.keyed() && len(found) < limit {
			var more []Difference
			more, err = p.differences(ctx, *d.crowd, limit-len(found))
			found = append(found, more...)
		}
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			all[d.name] = found
		}
	}
	return all, nil
}

// differing lists what is known to differ, at most limit rows of each table.
func (l *ledger) differing(limit int) (all []repair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.sorted() {
		d := repair{name: e.name, version: e.version}
		for key := range e.different {
			d.keys = append(d.keys, key)
		}
		slices.Sort(d.keys)
		d.keys = d.keys[:min(limit, len(d.keys))]
		if len(e.crowded) > 0 {
			d.crowd = &e.crowded[0].Range
		}
		if len(d.keys) > 0 || d.crowd != nil {
			all = append(all, d)
		}
	}
	return all
}

// Verified waits until everything that the source has committed by now is applied, every row of every
// table was compared, and every row compared again that was due then, unless it is written all the time.
// fault.VerifyDifferent: rows differ.
func (v *Verifier) Verified(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var wholly *uint64 // the clock when all was compared for the first time
	caughtUp := false
	for {
		l, k := v.present()
		if k != nil && !caughtUp {
			if err := k.caughtUp(ctx); err != nil {
				return err
			}
			caughtUp = true
		}
		if k != nil && v.recalling() == nil {
			if err := l.failure(); err != nil && v.left() == 0 && !v.cfg.Repair {
				return err
			}
			if r := v.State(); !r.Wholly {
				wholly = nil
			} else if wholly == nil {
				now := l.now()
				wholly = &now
			}
			if wholly != nil && !l.dueSince(*wholly) && v.State().Differences == 0 {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// failure is why both sides will not be proven equal: once a table is compared and differs, or can't be.
func (l *ledger) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.sorted() {
		if e.problem != "" {
			return fault.New(fault.VerifyImpossible, "%s: %s", e.name, e.problem)
		}
	}
	for _, e := range l.sorted() {
		if !e.wholly() || len(e.crowded) == 0 && len(e.different) == 0 {
			continue
		}
		return fault.New(fault.VerifyDifferent, "%d rows of %s differ", e.differences(), e.name)
	}
	return nil
}

// dueSince tells whether a key is due that was touched at a time, or before.
func (l *ledger) dueSince(clock uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.tables {
		if e.dueSince(clock) {
			return true
		}
	}
	return false
}

func (e *entry) dueSince(clock uint64) bool {
	for _, touched := range e.due {
		if touched <= clock {
			return true
		}
	}
	return false
}

// state is the share at present, and why it is what it is.
func (p *pace) state() (share float64, why string) {
	why = p.reason()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return 0, why
	}
	return p.now(), why
}

// String is one line for a log.
func (r State) String() string {
	return fmt.Sprintf("%d rows compared, %d keys due, %d rows differ", r.Rows, r.KeysDue, r.Differences)
}
