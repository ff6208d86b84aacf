package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/rs/zerolog"
)

// Migrator runs steps. Its methods may be called at the same time, here and in other processes: on one
// database they run one after the other.
type Migrator struct {
	// Notice is how long after a step that expands the schema the copy of old rows begins: by then the
	// running servers have noticed it. They look every two seconds. New sets 5 s.
	Notice time.Duration
	// Batch is how many rows a transaction of a copy has. New sets 1000.
	Batch int
	// LockWait is how long a statement waits for a table that others use. While it does, they queue up
	// behind it; so it gives up soon and tries again a little later. New sets 2 s.
	LockWait time.Duration
	// Tries is how often a statement is tried. New sets 30.
	Tries int

	db  *sql.DB
	log zerolog.Logger
}

// New makes a Migrator of db, a pool whose connections have the platform's database as their default.
// It needs three connections at once. Progress goes to log.
func New(db *sql.DB, log zerolog.Logger) *Migrator {
	return &Migrator{Notice: 5 * time.Second, Batch: 1000, LockWait: 2 * time.Second, Tries: 30, db: db, log: log}
}

// Up takes the database to step to, or to the newest if to is 0.
func (m *Migrator) Up(ctx context.Context, to uint) error {
	newest := Steps()[len(Steps())-1].Number
	if to == 0 {
		to = newest
	}
	if to > newest {
		return fmt.Errorf("there is no step %d: the newest is %s", to, named(newest))
	}
	return m.locked(ctx, func(s *session, at uint) error {
		if at > newest {
			return fmt.Errorf("the database is at step %d, of a newer program: this one knows %d steps", at, newest)
		}
		if at > to {
			return fmt.Errorf("the database is at step %s already, beyond step %s: use down", named(at), named(to))
		}
		if at == to {
			m.log.Info().Str("at", named(at)).Msg("nothing to migrate")
		}
		s.fresh, s.end = at == 0, to
		for ; at < to; at++ {
			if err := s.walk(ctx, at+1, up); err != nil {
				return err
			}
		}
		return s.tidy(ctx, at)
	})
}

// Down undoes so many steps, or all if there are no more.
func (m *Migrator) Down(ctx context.Context, steps int) error {
	if steps < 1 {
		return fmt.Errorf("undo %d steps: it must be one at least", steps)
	}
	return m.locked(ctx, func(s *session, at uint) error {
		if newest := uint(len(Steps())); at > newest {
			return fmt.Errorf("the database is at step %d, of a newer program, and only that one can undo it: this one knows %d steps", at, newest)
		}
		s.end = at - min(at, uint(steps))
		for ; at > s.end; at-- {
			if err := s.walk(ctx, at, down); err != nil {
				return err
			}
		}
		return nil
	})
}

// Force notes that the database is at a step (0: none) and not dirty. It changes nothing else: it is for
// someone who has put right what a stopped migrator left.
func (m *Migrator) Force(ctx context.Context, version uint) error {
	if newest := uint(len(Steps())); version > newest {
		return fmt.Errorf("there is no step %d: the newest is %s", version, named(newest))
	}
	s, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.setVersion(version); err != nil {
		return err
	}
	m.log.Info().Str("at", named(version)).Msg("noted")
	return nil
}

// locked runs do with the database to itself, as far as migrators go, at a known version.
func (m *Migrator) locked(ctx context.Context, do func(s *session, at uint) error) error {
	s, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	at, dirty, err := Version(ctx, m.db)
	if err != nil {
		return err
	}
	if dirty {
		return &DirtyError{at}
	}
	return do(s, at)
}

// walk runs one step, with the work that belongs to it.
func (s *session) walk(ctx context.Context, step uint, way direction) error {
	w := workOf(step, way, s.end)
	log := s.log.With().Str("step", named(step)).Stringer("way", way).Logger()
	began := time.Now()
	if w.before != nil {
		if err := w.before(ctx, s); err != nil {
			return fmt.Errorf("before step %s, %s: %w", named(step), way, err)
		}
	}
	if err := ctx.Err(); err != nil { // a step is not begun when it is time to stop
		return fmt.Errorf("before step %s, %s: %w", named(step), way, err)
	}
	if err := s.run(ctx, step, way, w); err != nil {
		return fmt.Errorf("step %s, %s: %w", named(step), way, err)
	}
	log.Info().Stringer("took", took(began)).Msg("migrated")
	return nil
}

// run lets golang-migrate run the step. Where nothing of it was done, it isn't left as half done.
func (s *session) run(ctx context.Context, step uint, way direction, w work) error {
	source, err := iofs.New(files, "sql")
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	g, err := migrate.NewWithInstance("iofs", source, "mysql", s)
	if err != nil {
		return err
	}
	s.ctx, s.work, s.untouched = ctx, w, false
	n, before := 1, step-1
	if way == down {
		n, before = -1, step
	}
	err = g.Steps(n)
	if err != nil && s.untouched {
		return errors.Join(err, s.setVersion(before))
	}
	return err
}

func took(since time.Time) time.Duration { return time.Since(since).Round(time.Millisecond / 10) }
