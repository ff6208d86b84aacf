package ledger

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
)

// The types of records.
const (
	typeHeader  = 'h'
	typeIntent  = 'i'
	typeOutcome = 'o'
	typeStale   = 's'
	typeEnd     = 'e'
)

// encoder appends fields: numbers as varints, so that a field that isn't used is one byte.
type encoder struct{ b []byte }

func (e *encoder) uint(n uint64) { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) int(n int64)   { e.b = binary.AppendVarint(e.b, n) }
func (e *encoder) text(s string) { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) raw(b []byte)  { e.b = append(e.b, b...) }
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.int(0)
		return
	}
	e.int(t.UnixNano())
}

// sparse writes bytes that are mostly zero.
func (e *encoder) sparse(b []byte) {
	for _, c := range b {
		if c != 0 {
			e.b = append(e.b, 1)
			e.raw(b)
			return
		}
	}
	e.b = append(e.b, 0)
}

func (e *encoder) bool(v bool) {
	if v {
		e.b = append(e.b, 1)
		return
	}
	e.b = append(e.b, 0)
}

var errShort = errors.New("the record is shorter than its fields")

// decoder reads what an encoder wrote; the first error stays.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() { d.err = errShort; d.b = nil }

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) raw(n int) []byte {
	if n < 0 || len(d.b) < n {
		d.fail()
		return make([]byte, 64)[:min(max(n, 0), 64)]
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) text() string {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return ""
	}
	return string(d.raw(int(n)))
}

func (d *decoder) time() time.Time {
	n := d.int()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func (d *decoder) sparse(into []byte) {
	if d.bool() {
		copy(into, d.raw(len(into)))
	}
}

func (d *decoder) bool() bool { return d.raw(1)[0] == 1 }

func encodeIntent(seq uint64, i *Intent) []byte {
	e := encoder{append(make([]byte, 0, 160), typeIntent)}
	e.uint(seq)
	e.uint(uint64(i.Kind))
	e.sparse(i.Op[:])
	e.int(i.User)
	e.time(i.Intended)
	e.time(i.Sent)
	e.text(i.Script)
	e.int(int64(i.Level))
	e.sparse(i.Digest[:])
	e.int(int64(i.Result))
	e.int(int64(i.TimeMs))
	e.int(int64(i.Lines))
	e.sparse(i.Object[:])
	e.text(i.Name)
	e.int(i.Number)
	e.int(i.Prior)
	return e.b
}

func decodeIntent(b []byte) (seq uint64, i Intent, err error) {
	d := decoder{b: b}
	seq = d.uint()
	i.Kind = Kind(d.uint())
	d.sparse(i.Op[:])
	i.User = d.int()
	i.Intended = d.time()
	i.Sent = d.time()
	i.Script = d.text()
	i.Level = int(d.int())
	d.sparse(i.Digest[:])
	i.Result = int(d.int())
	i.TimeMs = int(d.int())
	i.Lines = int(d.int())
	d.sparse(i.Object[:])
	i.Name = d.text()
	i.Number = d.int()
	i.Prior = d.int()
	return seq, i, d.err
}

func encodeOutcome(seq uint64, o *Outcome) []byte {
	e := encoder{append(make([]byte, 0, 80), typeOutcome)}
	e.uint(seq)
	e.time(o.Acknowledged)
	e.int(int64(o.Tries))
	e.int(o.Epoch)
	e.int(int64(o.Status))
	e.bool(o.Replayed)
	e.text(o.Code)
	e.int(o.User)
	e.int(o.ID)
	e.int(o.Version)
	e.int(int64(o.Attempts))
	e.int(o.Lines)
	e.sparse(o.Object[:])
	e.text(o.Text)
	return e.b
}

func decodeOutcome(b []byte) (seq uint64, o Outcome, err error) {
	d := decoder{b: b}
	seq = d.uint()
	o.Acknowledged = d.time()
	o.Tries = int(d.int())
	o.Epoch = d.int()
	o.Status = int(d.int())
	o.Replayed = d.bool()
	o.Code = d.text()
	o.User = d.int()
	o.ID = d.int()
	o.Version = d.int()
	o.Attempts = int(d.int())
	o.Lines = d.int()
	d.sparse(o.Object[:])
	o.Text = d.text()
	return seq, o, d.err
}

func encodeStale(s *Stale) []byte {
	e := encoder{[]byte{typeStale}}
	e.uint(uint64(s.Kind))
	e.int(s.User)
	e.time(s.At)
	e.sparse(s.Op[:])
	e.text(s.Text)
	return e.b
}

func decodeStale(b []byte) (s Stale, err error) {
	d := decoder{b: b}
	s.Kind = Kind(d.uint())
	s.User = d.int()
	s.At = d.time()
	var op uuid.UUID
	d.sparse(op[:])
	s.Op = op
	s.Text = d.text()
	return s, d.err
}

func encodeHeader(h Header) ([]byte, error) {
	text, err := json.Marshal(h)
	return append([]byte{typeHeader}, text...), err
}
