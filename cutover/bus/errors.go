package bus

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"changeover/cutover/gate"
	"changeover/internal/fault"
)

// ErrClosed is why a wait ends when the desk is closed.
var ErrClosed = errors.New("the desk is closed")

// Absent are gates that were asked and did not answer in time.
type Absent struct {
	Silent []string // their names
}

func (e *Absent) Error() string { return e.Unwrap().Error() }

// Unwrap is the fault that an operator sees.
func (e *Absent) Unwrap() error {
	return fault.New(fault.GateSilent, "%s said nothing in time", gates(len(e.Silent), e.Silent))
}

// NotDrained is a hold under which not every gate said "drained" in time.
type NotDrained struct {
	Attempt uint64
	Gates   []gate.Answer // those that answered, with what is inside of each
	Silent  []string      // those that did not
}

func (e *NotDrained) Error() string { return e.Unwrap().Error() }

// Unwrap is the fault that an operator sees; that of silent gates if there are any, since they are
// more than slow.
func (e *NotDrained) Unwrap() error {
	var parts []string
	for _, g := range e.Gates {
		parts = append(parts, inside(g))
	}
	if len(e.Silent) == 0 {
		return fault.New(fault.GateInside, "attempt %d: %s", e.Attempt, shorten(parts))
	}
	text := gates(len(e.Silent), e.Silent) + " did not answer to the hold"
	return fault.New(fault.GateSilent, "attempt %d: %s", e.Attempt, shorten(append([]string{text}, parts...)))
}

// NotFlipped are gates that have not confirmed a flip in time. They find the new writer by the
// route rows.
type NotFlipped struct {
	Attempt uint64
	Silent  []string
}

func (e *NotFlipped) Error() string { return e.Unwrap().Error() }

// Unwrap is the fault that an operator sees.
func (e *NotFlipped) Unwrap() error {
	return fault.New(fault.GateSilent, "attempt %d: %s did not confirm the flip in time", e.Attempt, gates(len(e.Silent), e.Silent))
}

// inside says who is still inside a gate, the longest first.
func inside(a gate.Answer) string {
	text := fmt.Sprintf("gate %s is %s with %d inside", a.Gate, a.State, a.InsideCount)
	for _, stay := range a.Inside {
		text += fmt.Sprintf(", %s for %s", stay.What, stay.For.Round(time.Millisecond))
	}
	return text
}

func gates(n int, names []string) string {
	if n == 1 {
		return "gate " + names[0]
	}
	return fmt.Sprintf("%d gates (%s)", n, shorten(names))
}

// shorten keeps an error of a thousand gates readable.
func shorten(parts []string) string {
	const shown = 5
	if len(parts) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(parts[:shown], "; "), len(parts)-shown)
	}
	return strings.Join(parts, "; ")
}
