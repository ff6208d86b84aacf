// Package students is a school that uses the platform: an open-loop load over HTTP.
//
// In: addresses of the platform, and a curve of Runs a second. Out: a report with histograms, and a
// ledger of every operation, from which platform/students/audit tells whether one was lost.
//
// The decision that matters: the load is open. When everybody clicks is drawn from a seed before the
// first request, whatever the platform will answer, and latency counts from that moment. A closed loop,
// which sends the next request after the last answer, goes quiet in just the pause that it should show.
//
// The words: a seat is a place in a class where one student after the other sits; a tick is a click
// that is due; an operation is a request, repeated under one id until it is answered. A student clicks
// on time, and the browser's outbox sends in order: what waits there behind an unanswered operation is
// the platform's delay, and counts as its latency. A tick that this program itself is late for by more
// than 20 ms is counted apart, because then it is the program that was measured.
package students
