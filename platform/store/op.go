package store

import (
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"github.com/google/uuid"
)

// Op is one operation of a person: the id that the browser gave it at the click, and a digest of
// what was asked, so that the id can't be used for something else.
type Op struct {
	ID     uuid.UUID
	Digest [16]byte
}

// NewOp is the operation of that id which asks for what.
func NewOp(id uuid.UUID, what ...[]byte) Op {
	h := sha256.New()
	for _, w := range what {
		sum := sha256.Sum256(w)
		h.Write(sum[:])
	}
	op := Op{ID: id}
	copy(op.Digest[:], h.Sum(nil))
	return op
}

func (o Op) id() []byte { return o.ID[:] }

func (o Op) digest() []byte { return o.Digest[:] }

// replayed checks that a row which already has the operation's id was made by the same request.
func (o Op) replayed(digest []byte) error {
	if subtle.ConstantTimeCompare(o.Digest[:], digest) != 1 {
		return o.reused()
	}
	return nil
}

func (o Op) reused() error {
	return &Refusal{Code: OperationReused, Field: "op", Message: "this operation id was used before, for something else"}
}

// Answer says how a write was answered.
type Answer struct {
	Epoch    uint64
	Replayed bool // the operation had been carried out before
}

// now is the time that rows carry: the application's, in UTC, in whole milliseconds, so that a row
// is read back as it was written.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

func uuidText(raw []byte) string {
	id, err := uuid.FromBytes(raw)
	if err != nil {
		return ""
	}
	return id.String()
}
