package bus

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"changeover/cutover/gate"
)

// Drained waits until nobody is inside of any gate that was there when the hold began, or has
// joined since. When ctx's deadline comes first it is *NotDrained, which names who is inside and who is silent.
func (h *Holding) Drained(ctx context.Context) error {
	err := h.wait(ctx, h.drained)
	if err == nil || !isDeadline(err) {
		return err
	}
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	not := &NotDrained{Attempt: h.request.Attempt}
	for who, g := range h.gates {
		switch {
		case h.drained(g):
		case g.heard:
			not.Gates = append(not.Gates, g.answer)
		default:
			not.Silent = append(not.Silent, who.name)
		}
	}
	sortAnswers(not.Gates)
	slices.Sort(not.Silent)
	return not
}

// Flipped waits until every gate that is in the hold has said that it is at the flip's epoch, and
// gives their answers. When ctx's deadline comes
// first the others are named by *NotFlipped; the answers are
// given all the same. It is called after Flip.
func (h *Holding) Flipped(ctx context.Context) ([]gate.Answer, error) {
	err := h.wait(ctx, h.flipped)
	if isDeadline(err) {
		err = &NotFlipped{Attempt: h.request.Attempt, Silent: h.names(func(g *held) bool { return !h.flipped(g) })}
	}
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	var answers []gate.Answer
	for _, g := range h.gates {
		if !g.gone && h.flipped(g) {
			answers = append(answers, g.answer)
		}
	}
	sortAnswers(answers)
	return answers, err
}

// Answers are the latest of each gate that was in the hold, by name; also of those that have left.
func (h *Holding) Answers() []gate.Answer {
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	var answers []gate.Answer
	for _, g := range h.gates {
		answers = append(answers, g.answer)
	}
	sortAnswers(answers)
	return answers
}

// drained, released and flipped tell whether a gate is where it has to be. Under desk.mu.
func (h *Holding) drained(g *held) bool {
	return g.gone || g.heard && g.answer.State == gate.StateDrained
}

func (h *Holding) released(g *held) bool {
	return g.gone || (g.heard || g.answer.Epoch > h.request.Epoch) && !holds(g.answer)
}

func (h *Holding) flipped(g *held) bool {
	return g.gone || g.answer.Epoch >= h.final.Epoch && !holds(g.answer)
}

func holds(a gate.Answer) bool { return a.State == gate.StateHeld || a.State == gate.StateDrained }

// wait waits until all gates are there, by the answers that come in. It ends with ctx, with the
// desk, and when this coordinator is found to be overtaken.
func (h *Holding) wait(ctx context.Context, there func(*held) bool) error {
	var behind member
	for {
		done, changed, err := h.look(there, &behind)
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-h.desk.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look remembers in behind one that is not there yet, as Desk.answered does.
func (h *Holding) look(there func(*held) bool, behind *member) (bool, <-chan struct{}, error) {
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	if err := h.overtaken(); err != nil {
		return false, nil, err
	}
	if g := h.gates[*behind]; g != nil && !there(g) {
		return false, h.desk.changed, nil
	}
	for who, g := range h.gates {
		if !there(g) {
			*behind = who
			return false, h.desk.changed, nil
		}
	}
	return true, nil, nil
}

// names are the gates that are so.
func (h *Holding) names(so func(*held) bool) []string {
	h.desk.mu.Lock()
	defer h.desk.mu.Unlock()
	var names []string
	for who, g := range h.gates {
		if so(g) {
			names = append(names, who.name)
		}
	}
	slices.Sort(names)
	return names
}

func isDeadline(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

func sortAnswers(answers []gate.Answer) {
	slices.SortFunc(answers, func(a, b gate.Answer) int {
		return cmp.Compare(a.Gate, b.Gate)
	})
}
