package verify

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"changeover/cdc/row"
	"changeover/cdc/state"
)

// savedProof is a table's entry as it is written down. Keys are in their exact form; nil bounds are open.
type savedProof struct {
	Ranges    []savedRange   `json:"ranges,omitempty"` // due
	Crowded   []savedRange   `json:"crowded,omitempty"`
	Ends      [][]byte       `json:"ends,omitempty"`
	Rows      uint64         `json:"rows"`
	Began     time.Time      `json:"began,omitzero"`
	Ended     time.Time      `json:"ended,omitzero"`
	Checked   time.Time      `json:"checked,omitzero"`
	Different []savedFinding `json:"different,omitempty"`
}

type savedRange struct {
	Low  []byte `json:"low,omitempty"`
	High []byte `json:"high,omitempty"`
	Rows int    `json:"rows,omitempty"` // that differ
}

type savedFinding struct {
	Key []byte `json:"key"`
	Finding
}

// savedEnds is how many chunk ends of a table are written down: enough to place keys in parts of it.
const savedEnds = 1000

func saveRange(r row.Range, rows int) savedRange {
	return savedRange{row.AppendKey(nil, r.Low), row.AppendKey(nil, r.High), rows}
}

func (s savedRange) load() (r row.Range, err error) {
	if r.Low, err = row.DecodeKey(s.Low); err != nil {
		return r, err
	}
	r.High, err = row.DecodeKey(s.High)
	return r, err
}

// Checkpoint is for the feeder, before it alters tables: it waits until what was touched before this
// start is recalled, which can only be read by the tables' definitions of then, and saves. And it ends
// the looks that are under way: their read views keep the target's tables from being altered, and they
// may be waiting for the feeder. A look that begins later has no view before the statement is through,
// since its low watermark stands behind it.
func (v *Verifier) Checkpoint(ctx context.Context) error {
	v.mu.Lock()
	recalled := v.recalled
	v.mu.Unlock()
	select {
	case <-recalled:
	case <-ctx.Done():
		return ctx.Err()
	}
	v.interrupt()
	v.looking.Unlock()
	return v.save(ctx)
}

// save writes the ledger down, with the applied position as it was before: what the stream touched up
// to there is in it.
func (v *Verifier) save(ctx context.Context) error {
	v.saving.Lock()
	defer v.saving.Unlock()
	v.mu.Lock()
	l, k, recall, from := v.ledger, v.look, v.recall, v.from
	v.mu.Unlock()
	if k == nil {
		return nil // nothing is known that is not written down: the stream is read again from there
	}
	s := k.stream
	position := s.Position()
	if recall != nil && from != nil {
		position = *from // the keys that were touched before this start aren't all known yet
	}
	proofs, gone, err := l.save()
	if err != nil {
		return err
	}
	if err := s.Store().SaveProof(ctx, position, proofs, gone); err != nil {
		l.unsaved(proofs)
		return err
	}
	l.forgotten(gone)
	return nil
}

// save gives what has changed since it was called last.
func (l *ledger) save() (proofs []state.Proof, gone []uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.tables {
		if !e.dirty || e.id == 0 {
			continue
		}
		text, err := json.Marshal(e.saved())
		if err != nil {
			return nil, nil, err
		}
		p := state.Proof{Table: e.id, Text: text}
		for key := range e.due {
			p.Due = append(binary.AppendUvarint(p.Due, uint64(len(key))), key...)
		}
		proofs = append(proofs, p)
		e.dirty = false
	}
	gone = slices.Collect(maps.Keys(l.gone))
	return proofs, gone, nil
}

// unsaved takes back that proofs were saved.
func (l *ledger) unsaved(proofs []state.Proof) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.tables {
		if slices.ContainsFunc(proofs, func(p state.Proof) bool { return p.Table == e.id }) {
			e.dirty = true
		}
	}
}

func (e *entry) saved() savedProof {
	s := savedProof{Rows: e.rows, Began: e.began, Ended: e.ended, Checked: e.checked}
	if !e.watching {
		s.Ranges = []savedRange{{}}
		return s
	}
	for _, r := range e.ranges {
		s.Ranges = append(s.Ranges, saveRange(r, 0))
	}
	for c := range e.claims { // nothing is known of them after a crash
		if !c.second && !c.only {
			s.Ranges = append(s.Ranges, saveRange(c.Range, 0))
		}
	}
	for _, c := range e.crowded {
		s.Crowded = append(s.Crowded, saveRange(c.Range, c.Rows))
	}
	every := 1 + len(e.ends)/savedEnds
	for i := every - 1; i < len(e.ends); i += every {
		s.Ends = append(s.Ends, row.AppendKey(nil, e.ends[i]))
	}
	for key, f := range e.different {
		s.Different = append(s.Different, savedFinding{[]byte(key), *f})
	}
	return s
}

// load takes what an earlier run saved of the tables that are there now. What the stream touched since
// this start stays due, and a table that it altered since is due from its beginning.
func (l *ledger) load(proofs []state.Proof, tables func() map[uint64]*row.Table) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	here := tables()
	touched := l.tables
	l.tables = map[Name]*entry{}
	for id, def := range here {
		n := Name{def.Schema, def.Name}
		e := newEntry(n, id)
		l.renew(e)
		e.def = def
		l.tables[n] = e
	}
	for _, p := range proofs {
		def := here[p.Table]
		if def == nil {
			l.gone[p.Table] = true
			continue
		}
		n := Name{def.Schema, def.Name}
		if l.early[n] {
			continue
		}
		if err := l.tables[n].load(p); err != nil {
			return fmt.Errorf("read the proof of %s: %w", n, err)
		}
		for key := range l.tables[n].due {
			l.held += int64(len(key)) + bytesOfKey
		}
	}
	for n, t := range touched {
		e := l.tables[n]
		if e == nil || !e.watching {
			l.drop(t)
			continue
		}
		if t.wholeTable() {
			l.allDue(e)
		}
		for key, at := range t.due {
			if _, known := e.due[key]; known {
				l.held -= int64(len(key)) + bytesOfKey
			}
			e.due[key] = at
		}
	}
	l.loading, l.early = false, nil
	return nil
}

// wholeTable tells whether all of an entry is due that was made before anything was loaded.
func (e *entry) wholeTable() bool { return len(e.ranges) > 0 }

func (e *entry) load(p state.Proof) error {
	var s savedProof
	if err := json.Unmarshal(p.Text, &s); err != nil {
		return err
	}
	e.ranges, e.watching = nil, true
	for _, saved := range s.Ranges {
		r, err := saved.load()
		if err != nil {
			return err
		}
		e.ranges = append(e.ranges, r)
	}
	for _, saved := range s.Crowded {
		r, err := saved.load()
		if err != nil {
			return err
		}
		e.ranges = append(e.ranges, r) // they are looked at again
	}
	for _, key := range s.Ends {
		end, err := row.DecodeKey(key)
		if err != nil {
			return err
		}
		e.ends = append(e.ends, end)
	}
	e.rows, e.began, e.ended, e.checked = s.Rows, s.Began, s.Ended, s.Checked
	if e.ended.IsZero() {
		e.passed = e.rows
	}
	for due := p.Due; len(due) > 0; {
		n, used := binary.Uvarint(due)
		if used <= 0 || n > uint64(len(due)-used) {
			return fmt.Errorf("keys that are due end in the middle of one")
		}
		e.due[string(due[used:used+int(n)])] = 0
		due = due[used+int(n):]
	}
	for _, f := range s.Different {
		e.different[string(f.Key)] = &f.Finding
		if e.def.RowKey >= 0 {
			e.due[string(f.Key)] = 0
		}
	}
	if e.def.RowKey < 0 && len(s.Different) > 0 {
		e.ranges = []row.Range{{}}
	}
	return nil
}
