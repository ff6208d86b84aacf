// Package gate is what an application embeds to be moved: it lets write transactions in, holds them
// for the moment in which the writer role passes, and sends them to the server that has it.
//
// In: write transactions and reads of the application; orders of the coordinator over a [Bus]; the
// route rows of both servers. Out: transactions on the right server, answers to the coordinator.
//
// The decision that matters: the gate is comfort, the fence is safety. No order is needed to be
// right, and none can make it wrong: a hold lapses, a flip that was lost is read from the route rows,
// and whatever is sent to the wrong server is refused there and sent again. So an order may be lost,
// doubled, late or out of order.
//
// There are two ways in. [Gate.Write] runs a function in a transaction, and runs it again, whole, when
// it did not take place: the function has no effect but the transaction's. [Gate.DB] is for code
// that exists: a *sql.DB that is held where a transaction or a single statement begins; an error
// inside a transaction is the caller's. [Gate.Enter] is the low-level form of the first.
//
// # What counts as a write
//
// What is not surely a read. Through DB these are reads, which never wait: SHOW; START TRANSACTION
// READ ONLY and BeginTx with ReadOnly; SELECT, TABLE, VALUES and WITH … SELECT without FOR UPDATE, FOR
// SHARE, LOCK IN SHARE MODE, INTO, := and without a call of a function that is not one of the server's own harmless ones;
// EXPLAIN and DESCRIBE under the same conditions, without ANALYZE. An executable comment, a second statement behind a
// semicolon, and a backslash inside a string make it a write. A view whose definition calls a function that writes can't be
// told from one that doesn't: read it through DB inside a transaction. What the caller knows to be a read goes through
// [Gate.Reader].
//
// A *sql.Conn taken from DB counts as inside from its first write until it is closed, because what the session
// holds (temporary tables, GET_LOCK, LOCK TABLES, variables) can't move. What is still inside when the drain's
// deadline comes is named and the cutover undone.
//
// # What the application's configuration must have
//
// A COMMIT can't be cancelled by a context, so the driver must give up by itself: with
// go-sql-driver/mysql set readTimeout (and timeout and writeTimeout) in the DSN, longer than the longest statement. The
// same account and default database are used on both servers, and it may SELECT `_changeover`.`route`. The account must
// not pass a fence (no CONNECTION_ADMIN, SUPER or READ_ONLY ADMIN).
//
// # What states a gate has
//
//	        hold                   the last one inside leaves
//	open ─────────→ held ───────────────────────────────────→ drained
//	 ↑                │                                          │
//	 ├── release, or no renewal for the hold's life ─────────────┤
//	 └── flip, or a route row of a higher epoch (the new writer) ┘
//
// Beside this a gate may be unsure of its writer (a server refused, or no route row could be read): then writes
// wait too, the rows are read again and again, and reads go on.
package gate
