package cutover

import (
	"context"
	"fmt"
	"time"

	"changeover/cdc"
	"changeover/cutover/helm"
	"changeover/internal/fault"
)

// Status is who has the writer role and what is possible now. Its JSON is stable; docs/cutover.md
// describes it.
type Status struct {
	Writer   helm.Side `json:"writer,omitempty"` // empty: not known, this process is not in office
	Epoch    uint64    `json:"epoch"`
	UnderWay string    `json:"under_way,omitempty"` // the attempt that is made now
	// Rollback is "ready", or why it is not; empty while the source is the writer.
	Rollback string       `json:"rollback,omitempty"`
	Bus      string       `json:"bus,omitempty"` // its address, without the token
	Gates    []GateStatus `json:"gates"`
	Strays   int          `json:"strays"` // transactions on the old writer that are not ours
	First    []cdc.Stray  `json:"first_strays,omitempty"`
	Watch    string       `json:"watch,omitempty"` // why nobody watches the old writer
	Last     *Record      `json:"last,omitempty"`  // the last attempt of this process
}

// GateStatus is one gate as it said last.
type GateStatus struct {
	Name    string  `json:"name"`
	State   string  `json:"state"`
	Epoch   uint64  `json:"epoch"`
	Inside  int     `json:"inside"`
	Waiting int     `json:"waiting"`
	AgeMS   float64 `json:"age_ms"` // of what it said
}

// Status tells who the writer is. It is cheap, and may be called at any time.
func (c *Coordinator) Status() Status {
	c.mu.Lock()
	t := c.term
	s := Status{Gates: []GateStatus{}, Strays: c.strays.count, First: c.strays.first, Watch: c.strays.blind, Last: c.last}
	c.mu.Unlock()
	if c.opts.Bus != nil {
		s.Bus = c.opts.Bus.Public
	}
	if t == nil {
		return s
	}
	t.mu.Lock()
	s.Writer, s.Epoch, s.UnderWay = t.writer, t.epoch, t.attempt
	desk := t.desk
	t.mu.Unlock()
	if s.Writer == helm.Target {
		s.Rollback = c.rollback(t)
	}
	if desk != nil {
		for _, g := range desk.Gates() {
			s.Gates = append(s.Gates, GateStatus{Name: g.Gate, State: g.State, Epoch: g.Epoch, Inside: g.InsideCount, Waiting: g.Waiting, AgeMS: millis(time.Since(g.At))})
		}
	}
	return s
}

// rollback tells whether the role could be passed back now.
func (c *Coordinator) rollback(t *term) string {
	s := t.running()
	if s == nil {
		return "not ready: the way back does not run"
	}
	st := s.runner.Status()
	switch {
	case st.Error != "":
		return "not ready: " + st.Error
	case st.Phase != "streaming":
		return "not ready: the way back is " + st.Phase
	case len(st.Waiting) > 0:
		return "not ready: " + st.Waiting[0]
	}
	if v := c.opts.Verifier; v != nil {
		switch vs := v.State(); {
		case vs.Differences > 0:
			return fmt.Sprintf("not ready: %d rows differ", vs.Differences)
		case !vs.Wholly:
			return "not ready: not every row has been compared since the role passed"
		}
	}
	return "ready"
}

// Runner is the stream that runs now; false: none does.
func (c *Coordinator) Runner() (*cdc.Runner, bool) {
	c.mu.Lock()
	t := c.term
	c.mu.Unlock()
	if t == nil {
		return nil, false
	}
	s := t.running()
	if s == nil {
		return nil, false
	}
	return s.runner, true
}

// Finish ends the way back: the stream to the old writer stops, and nobody watches it any more. The old
// writer stays fenced and the route rows stay. forget deletes the route rows too; fault.StillNamed while
// a gate's configuration begins with the old writer.
func (c *Coordinator) Finish(ctx context.Context, forget bool) error {
	q := &ask{ctx: ctx, done: make(chan struct{}), what: func(ctx context.Context, t *term) error { return t.finish(ctx, forget) }}
	if err := c.hand(ctx, q); err != nil {
		return err
	}
	<-q.done
	return q.err
}

func (t *term) finish(ctx context.Context, forget bool) error {
	if t.writer != helm.Target {
		return fault.New(fault.NothingToDo, "the source is the writer of %s: there is nothing to finish", t.c.migration())
	}
	if forget && t.desk != nil {
		if err := t.desk.Fresh(ctx, time.Second); err != nil {
			return fault.New(fault.StillNamed, "not every gate answers: %w", err)
		}
		for _, g := range t.desk.Gates() {
			if g.Writer != string(t.writer) {
				return fault.New(fault.StillNamed, "gate %s would begin with the %s", g.Gate, g.Writer)
			}
		}
	}
	attempt, err := t.helms[t.writer].NextAttempt(ctx)
	if err != nil {
		return err
	}
	// The old writer's first: a gate that looks in between must find somebody named.
	for _, side := range []helm.Side{t.writer.Other(), t.writer} {
		if err := t.helms[side].Finish(ctx, attempt, t.epoch, forget); err != nil {
			return err
		}
	}
	t.finished = true
	return nil
}
