package verify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// viewSavepoint is set at the beginning of each read view.
const viewSavepoint = "changeover"

// Bounds on what taking a consistent point costs others.
const (
	lockPause = 2 * time.Second // between two tries to lock the source: those who queued behind one pass
	lockHeld  = 5 * time.Second // a lock is never held longer, whatever happens
	restartIn = 10 * time.Minute
)

// consistent opens read views on all lanes, all of one GTID position:
//
//	target: applying stops
//	source: locked, views opened, the position read, unlocked: milliseconds
//	target: applies up to the position, and stops
//	target: views opened
//	target: applying goes on, in every case
//
// Under the lock nothing is half committed, so what the views show is what the position says.
func (s *Standalone) consistent(ctx context.Context, c *comparer, names []Name) (_ []lane, position string, err error) {
	f, err := s.follower(ctx, c)
	if err != nil {
		return nil, "", err
	}
	lanes, err := s.viewLanes(ctx, c.source.flavor)
	if err != nil {
		return nil, "", err
	}
	within, cancel := context.WithTimeoutCause(ctx, s.o.Wait, fmt.Errorf("not within %v (--wait)", s.o.Wait))
	defer cancel()
	if position, err = s.point(within, f, lanes, names); err == nil {
		return lanes, position, nil
	}
	closeLanes(lanes)
	if _, coded := fault.CodeOf(err); !coded && ctx.Err() == nil {
		err = fault.New(fault.VerifyPoint, "%w", err)
	}
	return nil, "", err
}

// errInTheWay says that the source could not be locked within a second.
var errInTheWay = errors.New("a long statement or transaction is in the way of the lock")

// point tries until the source can be locked. Between two tries the target applies, and what has queued
// behind the lock on the source passes.
func (s *Standalone) point(ctx context.Context, f follower, lanes []lane, names []Name) (string, error) {
	for said := false; ; said = true {
		position, err := s.tryPoint(ctx, f, lanes, names)
		if !errors.Is(err, errInTheWay) {
			return position, err
		}
		if !said {
			s.o.Say(fmt.Sprintf("waits: %v of %s, under which read views are opened; it tries again", errInTheWay, s.o.Source))
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// tryPoint opens the views of the lanes, and has the target go on whatever comes of it.
func (s *Standalone) tryPoint(ctx context.Context, f follower, lanes []lane, names []Name) (position string, err error) {
	session := s.session(s.sourceFlavor, 1)
	session.Single = true
	// One session, which is closed in any case: that ends its lock, if nothing else does.
	gate, err := server.Dial(ctx, s.o.Source, session)
	if err != nil {
		return "", err
	}
	defer func() { _ = gate.Close() }()
	err = f.stop(ctx)
	if refused(err) { // nothing was stopped
		return "", fmt.Errorf("stop applying on %s: %w", s.o.Target, err)
	}
	defer func() { err = errors.Join(err, s.goOn(ctx, f)) }()
	if err != nil {
		return "", fmt.Errorf("stop applying on %s: %w", s.o.Target, cause(ctx, err))
	}
	s.o.Say(fmt.Sprintf("%s stopped applying", s.o.Target))
	if position, err = s.sourceViews(ctx, gate, f, lanes, names); err != nil {
		return "", err
	}
	began := time.Now()
	if err := f.goTo(ctx, position); err != nil {
		return "", fmt.Errorf("have %s apply up to %s: %w", s.o.Target, position, cause(ctx, err))
	}
	s.o.Say(fmt.Sprintf("%s is at the source's position after %v", s.o.Target, time.Since(began).Round(time.Millisecond)))
	return position, openViews(ctx, lanes, func(l lane) *sql.DB { return l.target })
}

// goOn has the target apply again, also when all else was given up. It is patient: the target ends the
// transaction that it is at before it can be started again.
func (s *Standalone) goOn(ctx context.Context, f follower) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restartIn)
	defer cancel()
	slow := time.AfterFunc(2*time.Second, func() {
		s.o.Say(fmt.Sprintf("waits: %s has to end the transaction that it is applying before it can be told to go on", s.o.Target))
	})
	defer slow.Stop()
	for {
		err := f.resume(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return fault.New(fault.VerifyStopped, "start applying on %s again: %w", s.o.Target, err)
		}
	}
}

// cause is why ctx ended, if an error is of that.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// viewLanes opens the connections that will have views.
func (s *Standalone) viewLanes(ctx context.Context, flavor server.Flavor) (lanes []lane, err error) {
	defer func() {
		if err != nil {
			closeLanes(lanes)
		}
	}()
	for range s.o.Parallel {
		src, err := s.viewConnection(ctx, s.o.Source, flavor)
		if err != nil {
			return lanes, err
		}
		lanes = append(lanes, lane{source: src, target: src, views: true})
		dst, err := s.viewConnection(ctx, s.o.Target, flavor)
		if err != nil {
			return lanes, err
		}
		lanes[len(lanes)-1].target = dst
	}
	return lanes, nil
}

// viewConnection opens one connection. A MariaDB whose session writes a binlog keeps what it has read
// locked against ALTER, savepoint or not.
func (s *Standalone) viewConnection(ctx context.Context, e server.Endpoint, flavor server.Flavor) (*sql.DB, error) {
	session := s.session(flavor, 1)
	session.Single = true
	db, err := server.Dial(ctx, e, session)
	if err != nil {
		return nil, err
	}
	for _, set := range []string{"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET SESSION wait_timeout = 86400"} {
		if _, err := db.ExecContext(ctx, set); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", e, err), db.Close())
		}
	}
	if flavor == server.MariaDB {
		if _, err := db.ExecContext(ctx, "SET SESSION sql_log_bin = 0"); err != nil {
			s.once.Do(func() {
				s.o.Say(fmt.Sprintf("%s: an ALTER of a table that was read has to wait for the end of the comparison, since the account lacks BINLOG ADMIN", e))
			})
		}
	}
	return db, nil
}

// openViews opens the read views of one side.
func openViews(ctx context.Context, lanes []lane, of func(lane) *sql.DB) error {
	var group errgroup.Group
	for _, l := range lanes {
		group.Go(func() error {
			for _, statement := range []string{"START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", "SAVEPOINT " + viewSavepoint} {
				if _, err := of(l).ExecContext(ctx, statement); err != nil {
					return fmt.Errorf("open a read view: %w", cause(ctx, err))
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// sourceViews opens the source's views under a lock, and returns the position that they are at.
func (s *Standalone) sourceViews(ctx context.Context, gate *sql.DB, f follower, lanes []lane, names []Name) (position string, err error) {
	// Should we be cut off from the server while it is locked, it ends the session by itself.
	if _, err := gate.ExecContext(ctx, fmt.Sprintf("SET SESSION lock_wait_timeout = 1, wait_timeout = %.0f", lockHeld.Seconds())); err != nil {
		return "", err
	}
	if err := s.lock(ctx, gate, names); err != nil {
		return "", fmt.Errorf("lock %s for the moment in which read views are opened: %w", s.o.Source, err)
	}
	began := time.Now()
	held, cancel := context.WithTimeoutCause(ctx, lockHeld, fmt.Errorf("not within %v, for which the source may be locked", lockHeld))
	defer cancel()
	if err := openViews(held, lanes, func(l lane) *sql.DB { return l.source }); err != nil {
		return "", err
	}
	if position, err = f.position(held, gate); err != nil {
		return "", cause(held, err)
	}
	if _, err := gate.ExecContext(held, "UNLOCK TABLES"); err != nil {
		return "", fmt.Errorf("unlock the source: %w", cause(held, err))
	}
	s.o.Say(fmt.Sprintf("%s was locked for %v", s.o.Source, time.Since(began).Round(100*time.Microsecond)))
	return position, nil
}

// errLockWait is the server's error for a lock that was not to be had in time.
const errLockWait = 1205

// refused tells whether an error is the server's for what an account may not do: with a database, at all
// (so says RDS), with a table, without a privilege.
func refused(err error) bool {
	var said *mysql.MySQLError
	return errors.As(err, &said) && slices.Contains([]uint16{1044, 1045, 1142, 1227}, said.Number)
}

// lock locks the source: as a whole, or where the account may not, the tables that are compared. New
// writers wait behind it, so it is given up after a second: errInTheWay.
func (s *Standalone) lock(ctx context.Context, gate *sql.DB, names []Name) error {
	_, err := gate.ExecContext(ctx, "FLUSH TABLES WITH READ LOCK")
	if refused(err) {
		_, err = gate.ExecContext(ctx, lockTables(names))
	}
	var said *mysql.MySQLError
	if errors.As(err, &said) && said.Number == errLockWait {
		return errInTheWay
	}
	return cause(ctx, err)
}

// lockTables locks tables against writes. It waits until no transaction has written to one of them.
func lockTables(names []Name) string {
	locks := make([]string, len(names))
	for i, n := range names {
		locks[i] = server.Name(n.Schema, n.Table) + " READ"
	}
	return "LOCK TABLES " + strings.Join(locks, ", ")
}
