// Package fault is the catalogue of what an operator can meet: each fault has a code, a cause and
// a way on. docs/errors.md is made from it.
package fault

//go:generate go run ./errorsdoc ../../docs/errors.md

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Code names one fault for good: CO-1207. The first digit is the room it comes from.
type Code int

func (c Code) String() string { return fmt.Sprintf("CO-%04d", int(c)) }

// MarshalText writes the code as String does.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (c *Code) UnmarshalText(text []byte) error {
	number, ok := strings.CutPrefix(string(text), "CO-")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return fmt.Errorf("%q is not a code", text)
	}
	*c = Code(n)
	return nil
}

// Entry is a fault's place in the catalogue.
type Entry struct {
	Code   Code
	Title  string // what is wrong, in a few words
	Cause  string // why it is wrong, for the reference
	Remedy string // what to do
}

// Return is what to do where the stream goes back, from a writer that has all rows.
func (e Entry) Return() string { return cmp.Or(onReturn[e.Code], e.Remedy) }

// Error is a fault that happened: a catalogue entry with the particulars.
type Error struct {
	Code   Code
	Detail string // this time's particulars: which host, table, statement
	Err    error  // what lies under it, if anything
}

// New makes an error of the catalogue's entry code; detail is this time's particulars.
func New(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Detail: err.Error(), Err: errors.Unwrap(err)}
}

// Error is one line: the code, the particulars, and the way on.
func (e *Error) Error() string {
	s := e.Code.String() + " " + e.Detail
	if entry, ok := Lookup(e.Code); ok && entry.Remedy != "" {
		s += ". " + entry.Remedy
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf finds the fault inside err; ok is false if there is none.
func CodeOf(err error) (code Code, ok bool) {
	var e *Error
	if errors.As(err, &e) {
		return e.Code, true
	}
	return 0, false
}

// Is tells whether err is, or wraps anywhere, the fault code.
func Is(err error, code Code) bool {
	return errors.Is(err, &Error{Code: code})
}

// Is makes errors.Is compare faults by their code, so that one of several joined errors is found.
func (e *Error) Is(other error) bool {
	o, ok := other.(*Error)
	return ok && o.Code == e.Code
}

// Returning is err as it is told of a stream that goes back: with the remedies for that. A remedy of the first
// copy would have the writer emptied.
func Returning(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, e := range Catalogue {
		if back := e.Return(); back != e.Remedy && Is(err, e.Code) {
			text = strings.ReplaceAll(text, e.Remedy, back)
		}
	}
	return &returning{text, err}
}

// returning is an error in other words.
type returning struct {
	text string
	err  error
}

func (r *returning) Error() string { return r.text }
func (r *returning) Unwrap() error { return r.err }

// Lookup finds a code's entry.
func Lookup(code Code) (Entry, bool) {
	for _, e := range Catalogue {
		if e.Code == code {
			return e, true
		}
	}
	return Entry{}, false
}
