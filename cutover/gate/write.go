package gate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Write runs fn in a write transaction on the writer, and commits it. It runs it again, whole, until ctx ends, when the
// transaction surely did not take place:
//
//   - the server takes no writes (then Write waits for the route first), or has rolled it back (deadlock, lock wait timeout),
//   - the connection was lost, or could not be had, before COMMIT was sent,
//   - a hold has cancelled it.
//
// So fn must have no effect but the transaction's, and must not end it. An error of fn's own ends the transaction and is
// returned as it is. If COMMIT was sent and its answer lost, the error is ErrUnknown; WriteOp settles that.
//
// A Write under the ctx that fn got joins the transaction: it runs in it, and neither commits nor ends it.
func (g *Gate) Write(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	return g.write(ctx, nil, fn)
}

// trial is one try of a write transaction. It is in the ctx that fn gets.
type trial struct {
	tx     *sql.Tx
	doomed error // a nested write failed in a way that must not be committed, whatever the outer function makes of it
}

type trialKey struct{ *Gate }

func (g *Gate) write(ctx context.Context, op *Operation, fn func(ctx context.Context, tx *sql.Tx) error) error {
	if t, ok := ctx.Value(trialKey{g}).(*trial); ok {
		err := fn(ctx, t.tx)
		if err != nil && t.doomed == nil {
			if _, numbered := g.cfg.Number(err); numbered {
				t.doomed = err
			}
		}
		return err
	}
	w := writer{g: g, op: op, fn: fn, what: named(ctx), began: time.Now()}
	return w.run(ctx)
}

// writer is one Write with all its tries.
type writer struct {
	g       *Gate
	op      *Operation
	fn      func(ctx context.Context, tx *sql.Tx) error
	what    func() string
	began   time.Time
	odd     int   // failures to begin, in a row, of which nobody knows what they are
	unknown error // a COMMIT was sent and its answer lost; nil: none
}

// outcome is what became of one try.
type outcome struct {
	meaning
	err     error
	sent    bool // COMMIT was sent and not answered
	waited  bool // the gate knows of it, and lets in only when there is sense in it
	retried bool // there may be another try
}

func (w *writer) run(ctx context.Context) error {
	for try := 0; ; try++ {
		o := w.once(ctx)
		if o.err == nil {
			return nil
		}
		if o.sent {
			w.unknown = o.err
			if w.op == nil {
				return fmt.Errorf("%w: %w", ErrUnknown, o.err)
			}
		}
		if !o.retried {
			return w.end(o.err)
		}
		if try == 3 {
			w.g.cfg.Log.Warn("a write is tried again and again", "error", o.err, "waited", time.Since(w.began))
		}
		if !o.waited || try > 2 {
			if err := pause(ctx, try); err != nil {
				return w.end(fmt.Errorf("%w (after %d tries, the last of which failed: %w)", err, try+1, o.err))
			}
		}
	}
}

// end is the error with which the write is given up.
func (w *writer) end(err error) error {
	if w.unknown != nil {
		return fmt.Errorf("%w: %w (first: %w)", ErrUnknown, err, w.unknown)
	}
	return err
}

// once tries once.
func (w *writer) once(ctx context.Context) (o outcome) {
	g := w.g
	pass, joined, err := g.enter(ctx, &stay{what: w.what})
	if err != nil {
		return outcome{err: err}
	}
	wrote := false
	defer func() { g.leave(pass.stay, wrote) }()
	t := &trial{}
	inner := context.WithValue(pass.Context, trialKey{g}, t)
	t.tx, err = pass.DB.BeginTx(inner, nil)
	if err != nil {
		return w.judge(ctx, pass, joined, err, w.notBegun(err))
	}
	w.odd = 0
	ended := false
	defer func() {
		if !ended { // a panic
			_ = t.tx.Rollback()
		}
	}()
	done := false
	if w.unknown != nil {
		done, err = w.op.Done(inner, t.tx)
	}
	if err == nil && !done {
		err = w.fn(inner, t.tx)
	}
	if err == nil {
		err = t.doomed
	}
	if err != nil {
		// If there is nothing to roll back because the connection is gone, that is why fn failed.
		back := t.tx.Rollback()
		ended = true
		gone := back != nil && !errors.Is(back, sql.ErrTxDone)
		return w.judge(ctx, pass, joined, err, gone || isBad(err))
	}
	err = t.tx.Commit()
	ended = true
	if err == nil {
		wrote = true
		return outcome{}
	}
	return w.judgeCommit(ctx, inner, pass, joined, err)
}

// isBad tells whether the driver says that it sent nothing.
func isBad(err error) bool { return errors.Is(err, driver.ErrBadConn) }

// notBegun tells whether there is sense in another try though the transaction could not even be begun, for a reason without
// a number. What is not known to be the network's may be the configuration's: that is not tried for ever.
func (w *writer) notBegun(err error) bool {
	if _, numbered := w.g.cfg.Number(err); numbered {
		return false // judge knows
	}
	if isLost(err) {
		return true
	}
	w.odd++
	return w.odd < 10
}

// judge says what an error before COMMIT means.
func (w *writer) judge(ctx context.Context, pass Pass, joined bool, err error, gone bool) outcome {
	g := w.g
	o := outcome{err: err}
	switch {
	case ctx.Err() != nil:
		return o
	case errors.Is(context.Cause(pass.Context), ErrCancelled):
		o.retried, o.waited = !joined, true // the hold is still on
		if joined {
			o.err = fmt.Errorf("%w: %w", ErrCancelled, err)
		}
		return o
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return o // of a context of fn's own, which has ended the connection too
	case w.unknown != nil && w.doneAfterAll(ctx, pass, err):
		return outcome{}
	}
	o.meaning = g.meaningOf(ctx, err, pass.side)
	if o.meaning == callers && gone {
		o.meaning = lost
	}
	switch o.meaning {
	case again:
		o.retried = true
	case lost:
		o.retried = true
		g.look()
	case turnedAway:
		g.doubt(pass.Epoch, err)
		// Who entered before can't wait here for the gate: the drain would wait for him.
		o.retried, o.waited = !joined, true
	}
	return o
}

// errEnded is the caller's mistake; whether the transaction took place is his to know.
var errEnded = errors.New("the function has ended the transaction itself")

// judgeCommit says what an error of COMMIT means.
func (w *writer) judgeCommit(ctx, inner context.Context, pass Pass, joined bool, err error) outcome {
	ended := errors.Is(err, sql.ErrTxDone)
	switch {
	case inner.Err() != nil && (ended || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
		return w.judge(ctx, pass, joined, err, false) // database/sql looks at the context before it sends anything
	case ended:
		return outcome{err: errEnded}
	case isBad(err):
		return w.judge(ctx, pass, joined, err, true)
	}
	if n, ok := w.g.cfg.Number(err); ok {
		switch n {
		case erOptionPrevents, erReadOnlyMode, erReadOnlyTransact, erDeadlock, erLockWaitTimeout, erRolledBackByGroup:
			return w.judge(ctx, pass, joined, err, false) // the server has rolled it back
		}
	}
	w.g.look()
	return outcome{err: err, sent: true, retried: true}
}

// pause waits before the next try: 4 ms and doubling up to 250 ms, half of it by chance.
func pause(ctx context.Context, try int) error {
	d := min(4*time.Millisecond<<min(try, 6), 250*time.Millisecond)
	select {
	case <-ctx.Done():
		return ended(ctx)
	case <-time.After(d/2 + rand.N(d/2)):
		return nil
	}
}
