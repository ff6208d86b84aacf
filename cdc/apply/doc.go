// Package apply writes transactions into the target, each exactly once.
//
// In: batches of whole source transactions, as the scheduler hands them out; one transaction too
// large for memory, piece by piece; the snapshot's chunks. Out: one target transaction for each.
//
// The decision that matters: every target transaction begins by locking the token row of its
// worker and, for the stream, by inserting the ids of what it carries; COMMIT goes in the same
// packet. So nobody has to know whether a COMMIT whose answer was lost took effect: the token is
// changed, which waits for the old session and makes it fail if it comes later, and then the ids
// are looked up. There is no mode in which something may be applied twice.
//
//	             ┌─────────── deadlock, lock wait: ROLLBACK ───────────┐
//	             ▼                                                     │
//	connect → change token → ids there? ─ no ─→ BEGIN token ids changes COMMIT → committed
//	   ▲                       │ yes                                   │
//	   │                       └──────────────────────────────────→ committed
//	   └── connection lost, disk full, target restarts, becomes a reader
//
// Changes of rows are the only ones here. A statement of the stream (DDL, a parent's DELETE that
// the target must cascade by itself) is a barrier of its runner's: everything before it commits,
// then it runs through Writer.Do.
package apply
