// Package snapshot copies the rows that are there: chunk by chunk, without locks, while the stream
// runs.
//
// In: tables, and the scheduler that lets chunks and stream pass each other. Out: rows on the
// target, each chunk in one transaction with its done mark and the applied position. The decision
// that matters: a row's bytes go from the SELECT's packet into LOAD DATA's without being parsed;
// only its key is looked at.
//
//	Register ─ low watermark ─ read ─ high watermark ─ wait ─ Dispatch ─ write ─ Done
//	└──────────────── reader ─────────────────────┘   └────────── writer ──────────┘
//
// Readers don't wait for high watermarks: they go on with the next chunk while chunks that are
// read wait for a writer, bounded by memory.
package snapshot
