package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// The change of the activities' id from INT to BIGINT UNSIGNED, by a second table. While
// activities_wide is there, servers write each activity into both tables, in one transaction, under one
// id; the rows of before are copied; then the two change places.
//
// The copy can't collide with a writer. It reads committed rows only, so where it sees an activity in
// the one table and not in the other, the transaction that wrote it has ended and wrote one. And an id
// is given out by one table at a time: the one that is called activities.

// activityColumns are the columns that are written; passed is made by the server.
const activityColumns = "id, op_id, op_digest, user_id, script_id, level_id, level_source_id, result, score, `time`, `lines`, created_at"

// late is how many of the last ids are looked at again: more than can be in transactions that had not
// ended when the copy passed, at 300 clicks a second those of ten seconds. Wherever this is not enough,
// the copy before step 13 brings the rest. While the tables are locked it costs a few milliseconds.
const late = 3000

// copyRange copies the rows with low < id ≤ high that are missing. The two tables have aliases, under
// which they can be locked. Both are looked at in that range only, which the condition on w says for a
// server that still takes the new table for empty and would read all of it.
func copyRange(ctx context.Context, on execer, insert, from, to string, low, high uint64) (int64, error) {
	columns := "n." + strings.ReplaceAll(activityColumns, ", ", ", n.")
	r, err := on.ExecContext(ctx, insert+" INTO "+to+" ("+activityColumns+") SELECT "+columns+" FROM "+from+" n LEFT JOIN "+to+
		" w ON w.id = n.id AND w.id > ? AND w.id <= ? WHERE n.id > ? AND n.id <= ? AND w.id IS NULL", low, high, low, high)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// execer is a connection or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// copyActivities brings every row of one table into the other.
func (s *session) copyActivities(ctx context.Context, from, to string) error {
	_, err := s.copyAfter(ctx, from, to, 0)
	return err
}

// copyAfter brings the rows after an id, and returns the id of the last.
func (s *session) copyAfter(ctx context.Context, from, to string, id uint64) (uint64, error) {
	return s.batches(ctx, from, id, func(ctx context.Context, tx *sql.Tx, low, high uint64) (int64, error) {
		rows, err := copyRange(ctx, tx, "INSERT", from, to, low, high)
		if !refusedWith(err, duplicateKey) {
			return rows, err
		}
		// An operation that one table has under another id: it was sent again while a server that had
		// not noticed wrote one table only. What it did was done twice; the second row stays out.
		rows, err = copyRange(ctx, tx, "INSERT IGNORE", from, to, low, high)
		s.log.Warn().Str("table", to).Uint64("from_id", low+1).Uint64("to_id", high).Msg("operations that are there under another id were left out")
		return rows, err
	})
}

func fillWide(ctx context.Context, s *session) error {
	if err := s.noticed(ctx); err != nil {
		return err
	}
	return s.fillForSwap(ctx, "activities_wide")
}

func fillNarrow(ctx context.Context, s *session) error {
	top, err := s.topActivity(ctx)
	if err != nil {
		return err
	}
	if top > math.MaxInt32 {
		return fmt.Errorf("activities has come to id %d, and an INT ends at %d: it can't go back", top, math.MaxInt32)
	}
	return s.fillForSwap(ctx, "activities_narrow")
}

// fillForSwap copies everything twice: what was uncommitted when the first pass went by is there for the
// second. Then it copies what has come meanwhile, until that is no more than a batch (or writers are as
// fast as it is), so that little is left to do under the lock.
func (s *session) fillForSwap(ctx context.Context, other string) error {
	const most = 8
	var from, last uint64
	for pass := 1; pass <= most; pass++ {
		top, err := s.copyAfter(ctx, "activities", other, from)
		if err != nil {
			return err
		}
		if pass > 1 {
			from = top - min(top, late)
			if top-last <= uint64(s.Batch) {
				break
			}
		}
		last = top
	}
	s.swapFrom = from
	return nil
}

func (s *session) topActivity(ctx context.Context) (top uint64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM activities").Scan(&top)
	if err != nil {
		return 0, fmt.Errorf("look for the newest activity: %w", err)
	}
	return top, nil
}

// swapTo runs the RENAME at a moment in which other has every row of activities. The tables are locked
// by this connection, which copies the last rows; RENAME may not run under LOCK TABLES on MariaDB, so
// a second connection queues up with it before the lock is let go. It is first then: who waits to
// rename goes before all who wait to read or write.
func swapTo(other string) func(context.Context, *session, string) error {
	return func(ctx context.Context, s *session, rename string) error {
		second, err := s.db.Conn(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = second.Close() }()
		began := time.Now()
		lock := "LOCK TABLES activities WRITE, activities AS n WRITE, " + other + " WRITE, " + other + " AS w WRITE"
		if _, err := s.conn.ExecContext(ctx, lock); err != nil {
			return fmt.Errorf("lock activities: %w", err)
		}
		unlock := func() error { _, err := s.conn.ExecContext(ctx, "UNLOCK TABLES"); return err }
		rows, err := copyRange(ctx, s.conn, "INSERT", "activities", other, s.swapFrom, math.MaxInt64)
		if err != nil {
			return errors.Join(fmt.Errorf("copy the last activities: %w", err), unlock())
		}
		renamed, err := s.queueUp(ctx, second, rename)
		if err := errors.Join(err, unlock()); err != nil {
			return err
		}
		if err := <-renamed; err != nil {
			return err
		}
		s.log.Info().Int64("rows", rows).Stringer("waited", took(began)).Msg("tables have changed places; writers waited for that long at most")
		return nil
	}
}

// queueUp sends the statement on the second connection, and returns when the server has it wait for
// the tables that this connection has locked. The channel has its result, once.
func (s *session) queueUp(ctx context.Context, second *sql.Conn, statement string) (<-chan error, error) {
	var id uint64
	if err := second.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return nil, err
	}
	done := make(chan error, 1) // so that its goroutine ends also where nobody asks
	go func() {
		_, err := second.ExecContext(ctx, statement)
		done <- err
	}()
	limit := time.NewTimer(s.LockWait)
	defer limit.Stop()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-done: // refused
			done <- err
			return done, nil
		case <-limit.C:
			return done, nil // without being sure: no row is lost by it, see late
		case <-look.C:
			waits, err := waitsForTable(ctx, s.conn, id)
			if err != nil || waits {
				return done, err
			}
		}
	}
}

// waitsForTable tells whether the connection of that id waits for a table. SHOW PROCESSLIST: it needs
// no privilege for connections of one's own account, and no table.
func waitsForTable(ctx context.Context, conn *sql.Conn, id uint64) (bool, error) {
	rows, err := conn.QueryContext(ctx, "SHOW PROCESSLIST")
	if err != nil {
		return false, err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return false, err
	}
	values := make([]sql.NullString, len(names))
	into := make([]any, len(names))
	column := map[string]*sql.NullString{}
	for i, n := range names {
		into[i], column[strings.ToLower(n)] = &values[i], &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return false, err
		}
		if column["id"].String == fmt.Sprint(id) {
			return strings.HasPrefix(column["state"].String, "Waiting for table"), nil
		}
	}
	return false, rows.Err()
}
