package state

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// journalKept is about how many of a migration's entries are kept, the newest.
const journalKept = 10000

// Entry is a line of the journal: what was done, for status and history.
type Entry struct {
	At   time.Time // by the target's clock
	Kind string    // a stable word: "view", "table", "phase", …
	Text string
}

// Record adds a line to the journal. After a lost connection a line may be there twice.
func (s *Store) Record(ctx context.Context, kind, text string) error {
	return s.write(ctx, "write the journal", func(tx *sql.Tx) error {
		q := newStatement("INSERT INTO `_changeover`.`journal` (migration, at, kind, text) VALUES (").text(s.migration).
			sql(", UTC_TIMESTAMP(6), ").text(kind).sql(", ").text(text).sql(")")
		res, err := tx.ExecContext(ctx, q.String())
		if err != nil {
			return err
		}
		id, err := res.LastInsertId()
		if err != nil || id%100 != 0 {
			return err
		}
		_, err = exec(ctx, tx, newStatement("DELETE FROM `_changeover`.`journal` WHERE migration = ").text(s.migration).
			sql(" AND n <= ").int(id-journalKept))
		return err
	})
}

// Journal reads the newest n lines, the oldest of them first.
func (s *Store) Journal(ctx context.Context, n int) ([]Entry, error) {
	q := newStatement("SELECT at, kind, text FROM `_changeover`.`journal` WHERE migration = ").text(s.migration).
		sql(" ORDER BY n DESC LIMIT ").int(int64(n))
	entries, err := list(ctx, s, "read the journal", q, func(rows *sql.Rows) (e Entry, err error) {
		var at string
		err = rows.Scan(&at, &e.Kind, &e.Text)
		e.At = parseTime(&at)
		return e, err
	})
	slices.Reverse(entries)
	return entries, err
}
