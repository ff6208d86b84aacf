package migrations

import (
	"context"
	"database/sql"
	"fmt"
)

// The rename of sections.name, which can't hold every character, to sections.title, which can. Servers
// that see both columns write both; what name can't hold is a question mark there.

const (
	titleFromName = "UPDATE sections SET title = name WHERE title IS NULL"
	// The empty name is what a row has from before the column came back (step 10, down), and from a
	// server that hasn't noticed it.
	nameFromTitle = "UPDATE sections SET name = title WHERE name = '' AND title IS NOT NULL"
	// Compared as bytes: every collation has characters that it takes for equal.
	titleWontFit = "SELECT id FROM sections WHERE CAST(title AS BINARY) <> " +
		"CAST(CONVERT(CONVERT(title USING utf8mb3) USING utf8mb4) AS BINARY) ORDER BY id LIMIT 6"
)

func fillTitles(ctx context.Context, s *session) error {
	if err := s.noticed(ctx); err != nil {
		return err
	}
	_, err := s.batches(ctx, "sections", 0, sectionsOf(titleFromName))
	return err
}

// dropName takes the name away in a moment in which no row has only that. A server that wrote no title
// until now finds no column of that name next time, looks again, and writes the title.
func dropName(ctx context.Context, s *session, statement string) error {
	return s.sectionsLocked(ctx, titleFromName, statement)
}

// fillNames goes back to the name; a title that it can't hold is not for a migrator to change.
func fillNames(ctx context.Context, s *session) error {
	if err := s.titlesFit(ctx); err != nil {
		return err
	}
	if err := s.noticed(ctx); err != nil {
		return err
	}
	_, err := s.batches(ctx, "sections", 0, sectionsOf(nameFromTitle))
	return err
}

func dropTitle(ctx context.Context, s *session, statement string) error {
	return s.sectionsLocked(ctx, nameFromTitle, statement)
}

// titlesFit fails with the sections whose title would be lost.
func (s *session) titlesFit(ctx context.Context) error {
	rows, err := s.db.QueryContext(ctx, titleWontFit)
	if err != nil {
		return fmt.Errorf("look for titles that utf8mb3 can't hold: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var ids []uint64
	for rows.Next() {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil || len(ids) == 0 {
		return err
	}
	more := ""
	if len(ids) == 6 {
		ids, more = ids[:5], " and more"
	}
	return fmt.Errorf("the titles of sections %v%s have characters that utf8mb3 can't hold, emoji perhaps: "+
		"they would be lost with the column; give these sections other titles first", ids, more)
}

// sectionsOf makes an UPDATE of sections one of a batch.
func sectionsOf(update string) func(context.Context, *sql.Tx, uint64, uint64) (int64, error) {
	return func(ctx context.Context, tx *sql.Tx, from, to uint64) (int64, error) {
		r, err := tx.ExecContext(ctx, update+" AND id > ? AND id <= ?", from, to)
		if err != nil {
			return 0, err
		}
		return r.RowsAffected()
	}
}

// sectionsLocked runs the statements while nobody else reads or writes sections.
func (s *session) sectionsLocked(ctx context.Context, fill, alter string) error {
	if _, err := s.conn.ExecContext(ctx, "LOCK TABLES sections WRITE"); err != nil {
		return fmt.Errorf("lock sections: %w", err)
	}
	defer func() { _, _ = s.conn.ExecContext(ctx, "UNLOCK TABLES") }()
	if _, err := s.conn.ExecContext(ctx, fill); err != nil {
		return fmt.Errorf("fill in the last sections: %w", err)
	}
	_, err := s.conn.ExecContext(ctx, alter)
	return err
}
