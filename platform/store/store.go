// Package store is every statement that the platform sends to its database.
//
// In: what a person did, checked. Out: rows, or a Refusal. The decision that matters: each write
// transaction passes through one function, Store.write: it enters the gate, is tried again whole
// when it did not take place, and is known by its operation id when nobody can say whether it did.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/rs/zerolog"
)

// Store answers for one database. Safe for concurrent use.
type Store struct {
	gate  Gate
	log   zerolog.Logger
	meter *Meter
	shape atomic.Pointer[tableShape]
	cache atomic.Pointer[curriculum]

	touching chan struct{} // has a place for each touch that may be under way
}

// New makes a Store behind a gate. It reads nothing yet.
func New(gate Gate, log zerolog.Logger) *Store {
	return &Store{gate: gate, log: log, meter: newMeter(), touching: make(chan struct{}, touches)}
}

// Meter counts and times the Store's writes.
func (s *Store) Meter() *Meter { return s.meter }

// Route says which server is the writer.
func (s *Store) Route() Route { return s.gate.Route() }

// reachTime bounds how long a request waits for its server to catch up with what its client has seen.
const reachTime = time.Second

// Reach is called before anything is read for a client that was acknowledged a write of that epoch.
// Servers hear of a flip one after the other, or not at all: one that still reads the old writer
// would miss that write, or the client's very session. It waits no longer than reachTime: what the
// client says may be of a migration that was forgotten, or made up.
func (s *Store) Reach(ctx context.Context, epoch uint64) {
	if s.gate.Route().Epoch >= epoch {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	if err := s.gate.Reach(ctx, epoch); err != nil {
		s.log.Warn().Uint64("seen", epoch).Uint64("epoch", s.gate.Route().Epoch).Msg("a client has seen a later epoch than can be found here")
	}
}

// Ping fails if the database can't be reached, or its tables aren't there.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	err := s.gate.Reader().QueryRowContext(ctx, "SELECT 1 FROM scripts LIMIT 1").Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return errors.New("the database has no curriculum yet: platform seed")
	}
	return err
}

// ReadOnly asks the writer whether it takes no writes just now.
func (s *Store) ReadOnly(ctx context.Context) (version string, readOnly bool, err error) {
	err = s.gate.Reader().QueryRowContext(ctx, "SELECT VERSION(), @@GLOBAL.read_only").Scan(&version, &readOnly)
	return version, readOnly, err
}

// tx is one try of a write transaction.
type tx struct {
	*sql.Tx
	ctx   context.Context
	shape *tableShape
	count *int
}

// exec runs a statement that writes.
func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	*t.count++
	return t.ExecContext(t.ctx, query, args...)
}

// insert runs a statement and returns the id that the server gave.
func (t *tx) insert(query string, args ...any) (int64, error) {
	res, err := t.exec(query, args...)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// change runs a statement and returns how many rows it found.
func (t *tx) change(query string, args ...any) (int64, error) {
	res, err := t.exec(query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) row(query string, args ...any) *sql.Row { return t.QueryRowContext(t.ctx, query, args...) }

// write is the one way into the database for whatever changes it. It runs fn in a READ COMMITTED
// transaction, and runs it again, whole, for as long as ctx lets it, when
//
//   - the server says that it did not take place (deadlock; read-only: the gate then finds the writer),
//   - the connection was lost before COMMIT was sent, or could not be had,
//   - it was lost with COMMIT under way: fn then meets its own operation's row, or does it now, on the
//     writer of then. The old session may still be at its COMMIT: on the same server the second
//     INSERT of the operation id waits for it; another server becomes the writer only after all that
//     the old one acknowledges has arrived there.
//
// So fn must insert its operation id, or change nothing by being run twice; it must not write
// anywhere else. It returns the epoch of the writer that took it.
func (s *Store) write(ctx context.Context, fn func(t *tx) error) (epoch uint64, err error) {
	start := time.Now()
	ctx = context.WithValue(ctx, operationKey{}, operation())
	for try := 0; ; try++ {
		o := s.once(ctx, fn)
		if o.err == nil {
			s.meter.wrote(o.epoch, time.Since(start), o.statements)
			return o.epoch, nil
		}
		var r *Refusal
		if errors.As(o.err, &r) {
			return o.epoch, o.err
		}
		switch {
		case ended(ctx), errors.Is(o.err, ErrUnavailable):
			s.meter.gaveUp()
			s.log.Warn().Err(o.err).Int("tries", try+1).Dur("took", time.Since(start)).Msg("a write was given up")
			return o.epoch, unavailable(o.err)
		case o.class == callers:
			return o.epoch, o.err
		case o.class == shape:
			if s.reshape(ctx) == nil && try >= shapeTries {
				return o.epoch, o.err
			}
		}
		s.meter.retried()
		if try == 3 {
			s.log.Warn().Err(o.err).Dur("waited", time.Since(start)).Msg("a write is being tried again")
		}
		// Who was turned away once waits at the gate, which lets him in as soon as there is sense in it.
		if try == 0 && (o.class == elsewhere || o.class == cancelled) {
			continue
		}
		if err := pause(ctx, try); err != nil {
			s.meter.gaveUp()
			return o.epoch, unavailable(err)
		}
	}
}

// operationKey is under what a write's context has the name of its operation, a func() string.
type operationKey struct{}

// operation names the caller of write, as the log of a cutover that waits for it shall have it: "store.(*Store).Run
// (run.go:87)". The name is looked up only when it is asked for.
func operation() func() string {
	pcs := make([]uintptr, 1)
	pcs = pcs[:runtime.Callers(3, pcs)]
	return func() string {
		f, _ := runtime.CallersFrames(pcs).Next()
		return path.Base(f.Function) + " (" + path.Base(f.File) + ":" + strconv.Itoa(f.Line) + ")"
	}
}

func unavailable(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// outcome is what became of one try.
type outcome struct {
	err        error
	class      class // of err
	epoch      uint64
	statements int // that write
}

func (s *Store) once(ctx context.Context, fn func(t *tx) error) outcome {
	pass, err := s.gate.Enter(ctx)
	if err != nil {
		return outcome{err: err, class: classify(err)}
	}
	o := s.inside(pass, fn)
	if o.class == elsewhere && !reallyReadOnly(ctx, pass.DB, o.err) {
		o.class = callers
	}
	return o
}

// inside runs the transaction. When it leaves the gate the transaction has ended in the server too.
func (s *Store) inside(pass Pass, fn func(t *tx) error) (o outcome) {
	ctx := pass.Context
	o.epoch = pass.Epoch
	defer func() {
		if o.class = classify(o.err); o.err != nil && ended(ctx) {
			o.class = cancelled // if it is the caller's own context that ended, write sees to it
		}
		pass.Leave(o.err)
	}()
	shape, err := s.currentShape(ctx)
	if err != nil {
		o.err = err
		return o
	}
	begun, err := pass.DB.BeginTx(ctx, nil)
	if err != nil {
		o.err = err
		return o
	}
	// After a COMMIT there is nothing to roll back. After anything else the transaction stays open in
	// the server until this.
	defer func() { _ = begun.Rollback() }()
	if o.err = fn(&tx{Tx: begun, ctx: ctx, shape: shape, count: &o.statements}); o.err != nil {
		return o
	}
	// Not begun.Commit, which no context ends: a server whose disk is full answers no COMMIT.
	_, o.err = begun.ExecContext(ctx, "COMMIT")
	return o
}

// reallyReadOnly asks the server that refused: error 1290 also tells of options that no waiting mends.
func reallyReadOnly(ctx context.Context, db *sql.DB, err error) bool {
	var my *mysql.MySQLError
	if !errors.As(err, &my) || my.Number != erOptionPrevents {
		return true
	}
	var on bool
	if err := db.QueryRowContext(ctx, "SELECT @@GLOBAL.read_only").Scan(&on); err != nil {
		return true // not known: the next try tells
	}
	// Off by now: it was on, and has been lifted in between; or it is another option's error, which
	// the next try gets again. The message names the option.
	return on || containsReadOnly(my.Message)
}

// read runs a query's function on the reader, again if the connection was lost or the tables changed.
func (s *Store) read(ctx context.Context, fn func(db *sql.DB) error) error {
	for try := 0; ; try++ {
		err := fn(s.gate.Reader())
		var r *Refusal
		if err == nil || errors.As(err, &r) || errors.Is(err, sql.ErrNoRows) {
			return err
		}
		switch c := classify(err); {
		case ended(ctx):
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		case c == callers:
			return err
		case c == shape:
			if s.reshape(ctx) == nil && try >= shapeTries {
				return err
			}
		}
		if err := pause(ctx, try); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

// pause waits before the next try: 10 ms and doubling up to 500 ms, half of it by chance.
func pause(ctx context.Context, try int) error {
	d := min(10*time.Millisecond<<min(try, 6), 500*time.Millisecond)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d/2 + rand.N(d/2)):
		return nil
	}
}
