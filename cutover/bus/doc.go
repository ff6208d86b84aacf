// Package bus carries the coordinator's orders to the gates, and what gates say of themselves back,
// over core NATS.
//
// In: an address, which is the one in the route row, and a migration's name. Out: for an
// application a gate.Bus (New); for the coordinator a Desk (Open), which knows the gates that are
// there, holds them, and releases or flips them. The server that both connect to is package hub's,
// which applications do not import, or a cluster of the operator's.
//
// The decision that matters: nothing here is needed to be right. Each message may be lost, doubled,
// late or out of order, and none is kept. A hold lapses unless it is renewed, so a coordinator that
// dies holds nobody for longer than a life; whatever is said is said again until it is confirmed;
// and what is said late is recognised: orders by their attempt, words of a gate by their number.
// Safety is the fence's business, comfort is the gate's.
//
//	coordinator                         changeover.<migration>.order    gates
//	Desk.Hold ──── hold (each 100 ms, lives 300 ms) ───────────────────→ Link.Hear
//	Holding.Drained ←──────────────── changeover.<migration>.answer ──── Link.Say: held … drained
//	Holding.Flip ───────── flip (again and again, until confirmed) ────→ Link.Hear
//	Holding.Flipped ←──────────────────────────────────────── Link.Say: flipped
package bus
