package state

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// Position is how far the stream has been applied: everything up to and including Seq is committed
// on the target. Text is in the source reader's own form.
type Position struct {
	Text    string
	Seq     uint64
	Updated time.Time // by the target's clock; only when read
}

// Applied is one transaction of the stream that is committed on the target, as recorded by its own
// target transaction.
type Applied struct {
	ID  string
	Seq uint64
}

// AppendApplied appends one row of the INSERT into `applied`: a transaction's id goes in with its
// changes. Begin the statement with AppliedInsert and put commas between the rows.
func AppendApplied(dst []byte, migration, id string, seq uint64, worker int) []byte {
	s := statement{append(dst, '(')}
	s.text(migration).sql(",").bytes([]byte(id)).sql(",").uint(seq).sql(",").int(int64(worker)).sql(")")
	return s.b
}

// AppliedInsert begins the statement for AppendApplied. A plain INSERT: a transaction that is
// applied twice is an error (1062), never a second time in silence.
const AppliedInsert = "INSERT INTO `_changeover`.`applied` (migration, id, seq, worker) VALUES "

// AppendSavePosition appends one UPDATE that moves the applied position forward, never back: an
// older position that comes late changes nothing. StartStream must have created the row.
func AppendSavePosition(dst []byte, migration string, p Position) []byte {
	s := statement{dst}
	s.sql("UPDATE `_changeover`.`stream` SET position = ").bytes([]byte(p.Text)).sql(", seq = ").uint(p.Seq).
		sql(", updated = UTC_TIMESTAMP(6) WHERE migration = ").text(migration).
		sql(" AND seq < ").uint(p.Seq)
	return s.b
}

// AppendAppliedCheck appends one statement that fails unless id is in `applied` as the transaction
// sees it (AppliedMissing tells). A long transaction runs it before its COMMIT: if the server had
// rolled the transaction back on its own, what came after would be committed without what came
// before. It returns one row.
func AppendAppliedCheck(dst []byte, migration, id string) []byte {
	s := statement{dst}
	s.sql("SELECT " + assertBase + " + (SUM(1) IS NULL) FROM `_changeover`.`applied` WHERE migration = ").
		text(migration).sql(" AND id = ").bytes([]byte(id))
	return s.b
}

// AppliedMissing tells whether err is a failed AppendAppliedCheck.
func AppliedMissing(err error) bool {
	return Number(err) == erOutOfRange && strings.Contains(strings.ToLower(err.Error()), "(sum(")
}

// StartStream writes where the stream starts, p.Seq included, and forgets all that was applied, and
// compared, before. It is for a migration that starts, or starts over.
func (s *Store) StartStream(ctx context.Context, p Position) error {
	return s.write(ctx, "write the stream's start", func(tx *sql.Tx) error {
		for _, table := range []string{"applied", "proof", "due", "proof_position"} {
			forget := newStatement("DELETE FROM `_changeover`.`" + table + "` WHERE migration = ").text(s.migration)
			if _, err := exec(ctx, tx, forget); err != nil {
				return err
			}
		}
		q := newStatement("REPLACE INTO `_changeover`.`stream` (migration, position, seq, updated) VALUES (").
			text(s.migration).sql(", ").bytes([]byte(p.Text)).sql(", ").uint(p.Seq).sql(", UTC_TIMESTAMP(6))")
		_, err := exec(ctx, tx, q)
		return err
	})
}

// applyBatch is how many rows of `applied` are deleted in one transaction: few enough not to be in
// the appliers' way.
const applyBatch = 10000

// SavePosition moves the applied position forward and then deletes the ids that it makes
// redundant, in small transactions: a crash between them leaves ids that are merely not needed.
func (s *Store) SavePosition(ctx context.Context, p Position) error {
	err := s.write(ctx, "save the applied position", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, string(AppendSavePosition(nil, s.migration, p)))
		return err
	})
	if err != nil {
		return err
	}
	for {
		n, err := s.deleteApplied(ctx, p.Seq)
		if err != nil || n < applyBatch {
			return err
		}
	}
}

func (s *Store) deleteApplied(ctx context.Context, seq uint64) (n int64, err error) {
	err = s.write(ctx, "delete applied ids", func(tx *sql.Tx) error {
		q := newStatement("DELETE FROM `_changeover`.`applied` WHERE migration = ").text(s.migration).
			sql(" AND seq <= ").uint(seq).sql(" LIMIT ").int(applyBatch)
		n, err = exec(ctx, tx, q)
		return err
	})
	return n, err
}

// Position reads the applied position; ok is false if the stream was never started.
func (s *Store) Position(ctx context.Context) (p Position, ok bool, err error) {
	q := newStatement("SELECT position, seq, updated FROM `_changeover`.`stream` WHERE migration = ").text(s.migration)
	var updated string
	err = s.read(ctx, "read the applied position", func() error {
		return s.db.QueryRowContext(ctx, q.String()).Scan(&p.Text, &p.Seq, &updated)
	})
	if isNoRows(err) {
		return p, false, nil
	}
	p.Updated = parseTime(&updated)
	return p, err == nil, err
}

// Applied reads the transactions beyond the applied position that are committed nevertheless, in
// the order of their seq. It tells the truth only under a lease: AcquireLease has made sure that
// no old session commits another one.
func (s *Store) Applied(ctx context.Context) ([]Applied, error) {
	q := newStatement("SELECT a.id, a.seq FROM `_changeover`.`applied` a JOIN `_changeover`.`stream` s USING (migration)" +
		" WHERE a.migration = ").text(s.migration).sql(" AND a.seq > s.seq ORDER BY a.seq")
	return list(ctx, s, "read applied ids", q, func(rows *sql.Rows) (a Applied, err error) {
		err = rows.Scan(&a.ID, &a.Seq)
		return a, err
	})
}

// queryer is a connection or a pool.
type queryer interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// CountApplied tells how many of ids are in `applied`. After a COMMIT whose answer was lost, ask
// only when the worker's token has been changed: until then the COMMIT may still come.
func CountApplied(ctx context.Context, db queryer, migration string, ids []string) (n int, err error) {
	q := newStatement("SELECT COUNT(*) FROM `_changeover`.`applied` WHERE migration = ").text(migration).sql(" AND id IN (NULL")
	for _, id := range ids {
		q.sql(",").bytes([]byte(id))
	}
	err = db.QueryRowContext(ctx, q.sql(")").String()).Scan(&n)
	return n, wrap("look for applied ids", err)
}
