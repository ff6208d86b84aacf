// Package schedule decides what may be applied when: which transactions wait for which, which
// worker takes them, and how the snapshot's chunks and the stream pass each other.
//
// In: the stream's transactions in commit order, and the snapshot's steps. Out: batches for the
// workers, the applied position, and for each chunk the keys that its write must leave out. The
// decision that matters: it is a plain state machine. It opens no connection, starts no goroutine
// and asks no clock, so the simulation in sim_test.go runs this very code through crashes at every
// step, thousands of times a second.
//
// # Transactions
//
// Each change holds conflict keys: its row key and its unique values, before and after. The last
// holder of a key is the one to wait for; that one waits for those before it.
//
//	submitted ─ no conflict ───────────────→ queued on the least busy worker
//	    │ ─ conflicts on one worker only ──→ queued behind them, there
//	    └ ─ conflicts on several ─→ waiting ─ until the above is true ─→ queued
//	queued ─ Take → in flight ─ Committed → done
//
// # Chunks
//
//	          Register            Dispatch           Done
//	untouched ───────→ registered ───────→ dispatched ───→ done
//	    ↑                  │ GiveUp, or too many touched keys
//	    └─── Emptied ── emptying
//
// What happens to a change whose key lies in a part of the table that is
//
//	untouched   dropped: the read that is still to come sees it
//	registered  applied, and its keys remembered: the chunk's write leaves them out
//	dispatched  waits for the chunk's commit, then applied
//	emptying    dropped, but its transaction waits: a stale row may still hold a unique value
//	done        applied
package schedule
