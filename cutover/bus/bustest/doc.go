// Package bustest is for tests of whoever uses the bus: one on this machine (Start), and a bus
// whose messages are lost, doubled, late and out of order, and which can be cut (Lossy).
//
// In: a test, or a gate.Bus and the faults that it is to have. Out: a bus of the same kind. The
// decision that matters: faults are made between the gate and its link, by a seed, so the real bus
// and the real gate are what is tested.
package bustest
