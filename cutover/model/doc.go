// Package model has the checker look at the protocol's model, docs/model/cutover.pml.
//
// In: the model, and for each run how much may go wrong in it, or which of its rules is broken. Out: a
// test that passes only if the protocol holds in every room, and if each broken rule is refuted by the
// property that it was made for. The decision that matters: a property that no broken rule can violate
// proves nothing, so there is none.
package model
