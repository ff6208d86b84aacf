// Package ledger is what a client keeps of what it did: the one witness in an audit that is not the
// server.
//
// In: each operation when it is first sent, and again when it is answered. Out: a file that tells
// after any crash of the client which operations the server may have, and which it must have. The
// decision that matters: an operation is in the file before its first byte goes to the server, so
// nothing in the database can be unknown to the ledger. An answer may be missing from it after a
// crash: that makes a write *recovered* instead of proven, never a false alarm.
//
// A file is a run of records: length (4 bytes, little endian), CRC-32C (4 bytes), payload. The first
// byte of a payload is its type: header, intent, outcome, stale read, end. A file that ends within a
// record has a torn tail, which Read reports; a record that is damaged elsewhere is an error.
package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/google/uuid"
)

// Digest is the first 20 bytes of a SHA-256: what the platform's table of programs has.
type Digest [20]byte

// DigestOf is the digest of data.
func DigestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return Digest(sum[:20])
}

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText writes it in hex.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Header describes the run that a ledger is of.
type Header struct {
	Run     string    `json:"run"` // a name of its own
	Started time.Time `json:"started"`
	URLs    []string  `json:"urls"`
	Seed    uint64    `json:"seed"`
}

// Intent is an operation at the time that it was first sent. Which fields a kind uses beside the
// first four is said at each; the rest are zero.
type Intent struct {
	Kind     Kind
	Op       uuid.UUID // zero for what only reads
	User     int64     // who asks; 0 for what makes the user
	Intended time.Time // when the click was due
	Sent     time.Time // the first try

	Script string    // run, hoc-start: the script's name; section, feedback too
	Level  int       // run, feedback: the level's position in the script
	Digest Digest    // of the program, source, value, comment, session: see Content
	Result int       // run
	TimeMs int       // run
	Lines  int       // run
	Object uuid.UUID // the project
	Name   string    // login, name, title, table or key, certificate's name, rating, join code
	Number int64     // the row that is meant: hoc, section, record, event, feedback; a feedback's student
	Prior  int64     // the version that a save replaces
}

// Outcome is what became of it.
type Outcome struct {
	Acknowledged time.Time // zero: no final answer
	Tries        int
	Epoch        int64 // of the writer, as the answer said
	Status       int   // of the final answer; 0: none
	Replayed     bool
	Code         string // of a refusal

	User     int64     // guest, account, sign-in: who it is
	ID       int64     // of the row: activity, hoc, section, event, feedback, record
	Version  int64     // project, save, record, key-value, event
	Attempts int       // run: of the level so far
	Lines    int64     // run: the user's total
	Object   uuid.UUID // hoc-finish: the certificate
	Text     string    // section: its join code
}

// OK tells whether the server has said that it is done.
func (o Outcome) OK() bool { return o.Status >= 200 && o.Status < 300 }

// Operation is an intent with its outcome.
type Operation struct {
	Intent
	Outcome Outcome
	Settled bool // there is a record of the outcome
}

// Acknowledged tells whether the client was told that it is done.
func (o *Operation) Acknowledged() bool { return o.Settled && o.Outcome.OK() }

// Refused tells whether the client was told that it is not done.
func (o *Operation) Refused() bool {
	return o.Settled && o.Outcome.Status >= 400 && o.Outcome.Status < 500
}

// Stale is a read that missed a write which the same client had been told is done.
type Stale struct {
	Kind Kind      `json:"kind"` // of the read
	User int64     `json:"user"`
	At   time.Time `json:"at"`
	Op   uuid.UUID `json:"op"` // the write that was missed
	Text string    `json:"text"`
}

// Torn is a tail that a crash left: it was not read.
type Torn struct {
	Offset int64 `json:"offset"`
	Bytes  int64 `json:"bytes"`
}

// Log is all that a ledger says.
type Log struct {
	Header
	File       string
	Operations []*Operation
	Stale      []Stale
	Torn       *Torn
	Ended      bool // the run came to its end
}
