package gate

import (
	"context"
	"time"
)

// Bus connects a gate to the coordinator; package cutover/bus has one over NATS.
type Bus interface {
	// Dial joins the migration's gates. The address is the route row's.
	Dial(ctx context.Context, address, migration string) (Link, error)
}

// Link is a gate's connection to the coordinator. Every message may be lost, doubled, late.
type Link interface {
	// Hear delivers orders; it is closed when the link is lost.
	Hear() <-chan Order
	// Say sends an answer, if it can, and does not block.
	Say(Answer) error
	// Close ends the link. It may be called more than once.
	Close() error
}

// Kind is what an order is about.
type Kind string

// The orders.
const (
	Hold    Kind = "hold"    // let no write in; to be renewed within its life
	Release Kind = "release" // the hold is over; the writer is who it was
	Flip    Kind = "flip"    // the hold is over; the writer is the order's
	Ask     Kind = "ask"     // answer now
)

// Order is what the coordinator tells gates.
type Order struct {
	Migration string        `json:"migration"`
	Attempt   uint64        `json:"attempt"`
	Epoch     uint64        `json:"epoch"`
	Kind      Kind          `json:"kind"`
	Life      time.Duration `json:"life,omitempty"`   // of a hold: it lapses after it, by the receiver's monotonic clock; at most 10 s
	Cancel    bool          `json:"cancel,omitempty"` // of a hold: what has been inside for 100 ms is cancelled
	Writer    string        `json:"writer,omitempty"` // of a flip: the side
	To        string        `json:"to,omitempty"`     // only the gate of that name is meant; empty: all
}

// The states that an Answer tells.
const (
	StateOpen    = "open"
	StateHeld    = "held"    // some are still inside
	StateDrained = "drained" // nobody is inside
	StateFlipped = "flipped" // open, at the epoch that a flip made
)

// Answer is what a gate tells the coordinator: when it joins, every second, at each change, and
// when it is asked.
type Answer struct {
	Migration   string        `json:"migration"`
	Gate        string        `json:"gate"`
	Host        string        `json:"host"`
	PID         int           `json:"pid"`
	Attempt     uint64        `json:"attempt"` // of the hold, or of the one that ended last
	Epoch       uint64        `json:"epoch"`
	State       string        `json:"state"`
	Inside      []Stay        `json:"inside,omitempty"` // the longest, at most 10
	InsideCount int           `json:"insideCount"`
	Waiting     int           `json:"waiting"`
	Held        time.Duration `json:"held,omitempty"`       // since the hold began here; after its end: how long it was
	FirstWrite  time.Duration `json:"firstWrite,omitempty"` // after a flip: from the hold's beginning to the first COMMIT on the new writer; 0: none yet
	Source      string        `json:"source"`               // host:port of its two pools, as it knows them
	Target      string        `json:"target"`
	Writer      string        `json:"writer"` // the side with which its configuration begins
	// Sessions are those on its writer, by the server's numbers, some of them ended; only in the answer to an ask.
	Sessions []uint64 `json:"sessions,omitempty"`
	CanHold  bool     `json:"canHold"` // it knows its writer, and its pool on the other server is warm
}

// Stay is one write that is inside.
type Stay struct {
	For  time.Duration `json:"for"`
	What string        `json:"what"` // where in the program, or which kind of statement; never values
}
