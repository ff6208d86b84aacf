package state

import (
	"context"
	"database/sql"
	"time"
)

// Intent is a DDL of the stream that is about to run, or was when the runner died. DDL is not
// transactional: whether it was done is told by comparing the fingerprint with the tables as they
// are (design §4).
type Intent struct {
	ID          string // the source transaction's
	Statement   string // as in the source's binlog
	Session     []byte // the session variables it needs, as JSON
	Fingerprint []byte // every table in scope as it was before, as JSON
	Written     time.Time
}

// WriteIntent commits an intent. Writing one that is there changes nothing: its fingerprint is
// the one from before the statement.
func (s *Store) WriteIntent(ctx context.Context, in Intent) error {
	q := newStatement("INSERT INTO `_changeover`.`intent` (migration, id, statement, session, fingerprint, written) VALUES (").
		text(s.migration).sql(", ").bytes([]byte(in.ID)).sql(", ").bytes([]byte(in.Statement)).
		sql(", ").bytes(notNil(in.Session)).sql(", ").bytes(notNil(in.Fingerprint)).
		sql(", UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE id = id")
	return s.write(ctx, "write the intent of "+in.ID, func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, q)
		return err
	})
}

// FinishIntent turns an intent into an applied transaction: its statement has run.
func (s *Store) FinishIntent(ctx context.Context, id string, seq uint64, worker int) error {
	return s.write(ctx, "finish the intent of "+id, func(tx *sql.Tx) error {
		n, err := s.deleteIntent(ctx, tx, id)
		if err != nil {
			return err
		}
		if n == 0 {
			// The answer to the first try was lost, or there never was an intent.
			if found, err := CountApplied(ctx, tx, s.migration, []string{id}); err != nil || found == 1 {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, string(AppendApplied([]byte(AppliedInsert), s.migration, id, seq, worker)))
		return err
	})
}

// ClearIntent forgets an intent whose statement did not run and will not.
func (s *Store) ClearIntent(ctx context.Context, id string) error {
	return s.write(ctx, "clear the intent of "+id, func(tx *sql.Tx) error {
		_, err := s.deleteIntent(ctx, tx, id)
		return err
	})
}

func (s *Store) deleteIntent(ctx context.Context, tx *sql.Tx, id string) (int64, error) {
	return exec(ctx, tx, newStatement("DELETE FROM `_changeover`.`intent` WHERE migration = ").text(s.migration).
		sql(" AND id = ").bytes([]byte(id)))
}

// Intents reads what was about to run, the oldest first.
func (s *Store) Intents(ctx context.Context) ([]Intent, error) {
	q := newStatement("SELECT id, statement, session, fingerprint, written FROM `_changeover`.`intent` WHERE migration = ").
		text(s.migration).sql(" ORDER BY written, id")
	return list(ctx, s, "read intents", q, func(rows *sql.Rows) (in Intent, err error) {
		var written string
		err = rows.Scan(&in.ID, &in.Statement, &in.Session, &in.Fingerprint, &written)
		in.Written = parseTime(&written)
		return in, err
	})
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
