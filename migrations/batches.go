package migrations

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// batches walks a table by its id, in ranges of s.Batch rows, each in a short transaction of its own:
// do changes the rows with from < id ≤ to and says how many. It looks at every row after the id from,
// those that are done already too: there is no mark to keep, so a walk that was killed is simply begun
// again, and passes quickly over what it finds done. It ends at the row that is the last one when it
// begins, and returns its id: writers may be faster than it is.
func (s *session) batches(ctx context.Context, table string, from uint64, do func(ctx context.Context, tx *sql.Tx, from, to uint64) (int64, error)) (uint64, error) {
	var end uint64
	if err := s.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM "+table).Scan(&end); err != nil {
		return 0, fmt.Errorf("find the last row of %s: %w", table, err)
	}
	var changed int64
	began, told := time.Now(), time.Now()
	log := s.log.With().Str("table", table).Uint64("last_id", end).Logger()
	for from < end {
		to, err := s.rangeEnd(ctx, table, from, end)
		if err != nil {
			return 0, fmt.Errorf("find the batch of %s after id %d: %w", table, from, err)
		}
		rows, err := s.batch(ctx, func(tx *sql.Tx) (int64, error) { return do(ctx, tx, from, to) })
		if err != nil {
			return 0, fmt.Errorf("batch of %s, ids %d to %d: %w", table, from+1, to, err)
		}
		from, changed = to, changed+rows
		if time.Since(told) > 2*time.Second {
			told = time.Now()
			log.Info().Uint64("to_id", from).Int64("rows", changed).Msg("filling in")
		}
	}
	log.Info().Int64("rows", changed).Stringer("took", took(began)).Msg("filled in")
	return end, nil
}

// rangeEnd is the id of the last row of the batch that begins after from, end at most.
func (s *session) rangeEnd(ctx context.Context, table string, from, end uint64) (to uint64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), ?) FROM (SELECT id FROM "+table+
		" WHERE id > ? AND id <= ? ORDER BY id LIMIT ?) batch", end, from, end, s.Batch).Scan(&to)
	return to, err
}

// batch runs one transaction, and again when it met a lock. READ COMMITTED: what it reads it doesn't
// lock, so that writers don't wait for it; and no gap that they insert into.
func (s *session) batch(ctx context.Context, do func(tx *sql.Tx) (int64, error)) (int64, error) {
	for try := 1; ; try++ {
		rows, err := s.transact(ctx, do)
		if !refusedWith(err, deadlock, lockTimeout) || try >= s.Tries {
			return rows, err
		}
	}
}

func (s *session) transact(ctx context.Context, do func(tx *sql.Tx) (int64, error)) (int64, error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	rows, err := do(tx)
	if err != nil {
		return 0, err
	}
	return rows, tx.Commit()
}
