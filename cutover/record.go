package cutover

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"changeover/cutover/gate"
	"changeover/cutover/helm"
)

// Outcome is how an attempt ended.
type Outcome string

// The outcomes.
const (
	Refused   Outcome = "refused"   // by preflight; nothing was touched
	Undone    Outcome = "undone"    // everything is as it was
	Rehearsed Outcome = "rehearsed" // as far as it goes without commit, and undone
	Committed Outcome = "committed" // the role has passed
	Unknown   Outcome = "unknown"   // not settled yet; the next coordinator's first work
)

// Record is one attempt, with its timeline. Its JSON is stable; docs/cutover.md describes it.
type Record struct {
	Migration string         `json:"migration"`
	Attempt   uint64         `json:"attempt"`
	Kind      Kind           `json:"kind"`
	Epoch     uint64         `json:"epoch"` // that of the new writer; of a rehearsal, the one that stands
	Outcome   Outcome        `json:"outcome"`
	Old       helm.Side      `json:"old"`
	New       helm.Side      `json:"new"`
	Began     time.Time      `json:"began"`
	Steps     []StepRecord   `json:"steps"`
	HoldMS    float64        `json:"hold_ms"` // from the hold to the flip or release, by the coordinator's clock
	Gates     []GateRecord   `json:"gates"`
	Proof     ProofRecord    `json:"proof"`
	Position  string         `json:"position,omitempty"` // of the old writer behind its fence: what comes after it is a stray
	Return    string         `json:"return,omitempty"`   // the new writer's position from which the way back begins
	Present   map[string]int `json:"present,omitempty"`  // what was there to be carried: keys due, triggers, events, …
	Reasons   []string       `json:"reasons,omitempty"`  // why it was refused or undone
	Notes     []string       `json:"notes,omitempty"`

	mu    sync.Mutex
	start time.Time
}

// StepRecord is one step's part of the timeline, in milliseconds from the attempt's beginning.
type StepRecord struct {
	Name    string  `json:"name"`
	StartMS float64 `json:"start_ms"`
	TookMS  float64 `json:"took_ms"`
	Note    string  `json:"note,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// GateRecord is the hold as one gate measured it.
type GateRecord struct {
	Name         string  `json:"name"`
	HeldMS       float64 `json:"held_ms"`
	FirstWriteMS float64 `json:"first_write_ms"` // from the hold's beginning to the first write's commit on the new writer; 0: none yet
	Waiting      int     `json:"waiting"`        // writes that waited when it was asked last
}

// ProofRecord is what was compared behind the fence.
type ProofRecord struct {
	Complete bool    `json:"complete"`
	Rows     uint64  `json:"rows"`
	Keys     int     `json:"keys"`
	TookMS   float64 `json:"took_ms"`
}

func newRecord(migration string, k Kind, old helm.Side) *Record {
	now := time.Now()
	return &Record{Migration: migration, Kind: k, Old: old, New: old.Other(), Began: now.UTC(), start: now,
		Steps: []StepRecord{}, Gates: []GateRecord{}, Present: map[string]int{}}
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// step does a step and notes it.
func (r *Record) step(s Step, do func() (note string, err error)) error {
	began := time.Now()
	note, err := do()
	e := StepRecord{Name: s.String(), StartMS: millis(began.Sub(r.start)), TookMS: millis(time.Since(began)), Note: note}
	if err != nil {
		e.Error = err.Error()
		err = fmt.Errorf("%s: %w", s, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Steps = append(r.Steps, e)
	return err
}

func (r *Record) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *Record) reason(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Reasons = append(r.Reasons, fmt.Sprintf(format, args...))
}

// gates notes what the gates said.
func (r *Record) gates(answers []gate.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Gates = r.Gates[:0]
	for _, a := range answers {
		r.Gates = append(r.Gates, GateRecord{Name: a.Gate, HeldMS: millis(a.Held), FirstWriteMS: millis(a.FirstWrite), Waiting: a.Waiting})
	}
}

func (r *Record) document() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return json.Marshal(r)
}
