// Package state keeps what Changeover must not forget: the database `_changeover`.
//
// In: facts (a position was passed, a chunk is done, who the runner is). Out: the same facts after
// any crash. Everything is keyed by the migration's name, so several migrations may share a server.
//
// The decision that matters: a runner that was replaced can't write. Each write of state checks in
// its own transaction that the lease still holds the runner's token; each write of rows checks the
// token row of its worker. Changing a token waits for whatever an old session still does in the
// server, and makes it fail later: a killed client's packet runs on, COMMIT included.
package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"changeover/internal/fault"
)

// Store reads and writes one migration's state on one server. It is safe for concurrent use.
//
// Reads need no lease. Writes run under the lease that the Store came from (Lease.Store): they are
// refused with fault.LeaseLost once another runner has taken over, they are repeated by themselves
// after deadlocks, lost connections and a full disk until ctx ends, and each is idempotent.
type Store struct {
	db        *sql.DB
	migration string
	token     Token
	log       zerolog.Logger
	wait      func(reason error) // may be nil
}

// Open makes a Store that only reads. Nothing is asked of the server yet.
func Open(db *sql.DB, migration string) *Store {
	return &Store{db: db, migration: migration, log: zerolog.Nop()}
}

// Migration is the name that everything in this Store is keyed by.
func (s *Store) Migration() string { return s.migration }

// errReadOnly is returned by the writes of a Store without a lease.
var errReadOnly = errors.New("state: this store has no lease, it can only read")

// write runs fn in a transaction that first checks the lease, and repeats it for as long as the
// trouble is one that passes. fn must be idempotent: the answer to its COMMIT may have been lost.
func (s *Store) write(ctx context.Context, what string, fn func(tx *sql.Tx) error) error {
	if s.token == "" {
		return fmt.Errorf("%s: %w", what, errReadOnly)
	}
	told := false
	defer func() {
		if told {
			s.wait(nil)
		}
	}()
	for try := 0; ; try++ {
		err := s.writeOnce(ctx, fn)
		if err == nil || ctx.Err() != nil || !Passes(err) {
			return wrap(what, err)
		}
		if s.wait != nil && (try >= 3 || !Conflict(err)) {
			told = true
			s.wait(waitFault(what, err))
		}
		s.log.Warn().Err(err).Str("state", what).Int("try", try).Msg("state is written again")
		if err := pause(ctx, try); err != nil {
			return wrap(what, err)
		}
	}
}

// waitFault says why a write waits.
func waitFault(what string, err error) error {
	if Full(err) {
		return fault.New(fault.ApplyFull, "%s: %w", what, err)
	}
	return fault.New(fault.ApplyTarget, "%s: %w", what, err)
}

func (s *Store) writeOnce(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return transact(ctx, s.db, func(tx *sql.Tx) error {
		if err := checkLease(ctx, tx, s.migration, s.token); err != nil {
			return err
		}
		return fn(tx)
	})
}

// read repeats a read for as long as the connection is what fails.
func (s *Store) read(ctx context.Context, what string, fn func() error) error {
	for try := 0; ; try++ {
		err := fn()
		if err == nil || ctx.Err() != nil || !Lost(err) {
			return wrap(what, err)
		}
		s.log.Warn().Err(err).Str("state", what).Int("try", try).Msg("state is read again")
		if err := pause(ctx, try); err != nil {
			return wrap(what, err)
		}
	}
}

// starter is what a transaction can begin on: a pool or one connection.
type starter interface {
	BeginTx(context.Context, *sql.TxOptions) (*sql.Tx, error)
}

// transact runs fn in a READ COMMITTED transaction: no gap locks between migrations and workers
// that share these tables.
func transact(ctx context.Context, db starter, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	// After a COMMIT there is nothing to roll back; it only gives the connection back.
	defer func() { _ = tx.Rollback() }()
	if err := fn(tx); err != nil {
		return err
	}
	// Not tx.Commit, which no context ends: a server whose binlog has no room answers no COMMIT, and a
	// run that is told to stop would wait for it for ever (seen).
	_, err = tx.ExecContext(ctx, "COMMIT")
	return err
}

func exec(ctx context.Context, tx *sql.Tx, stmt *statement) (int64, error) {
	res, err := tx.ExecContext(ctx, stmt.String())
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// wrap adds what was attempted, but leaves a fault's own line as it is.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := fault.CodeOf(err); ok {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

// pause waits before the next try: 20 ms and doubling up to 2 s, half of it by chance so that
// those who failed together don't come back together.
func pause(ctx context.Context, try int) error {
	d := min(20*time.Millisecond<<min(try, 10), 2*time.Second)
	d = d/2 + rand.N(d/2)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
