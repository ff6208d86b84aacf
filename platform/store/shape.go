package store

import (
	"context"
	"time"
)

// tableShape is at which step of a live migration of its own schema the platform finds the
// database. All steps are served, so that servers needn't be restarted together with them.
type tableShape struct {
	sectionName  bool // sections.name is there: utf8mb3
	sectionTitle bool // sections.title is there: utf8mb4
	wide         bool // activities_wide is there: each activity is written into both
	seen         time.Time
}

// shapeAge is how long a server goes on with what it saw of the tables: a migration waits for
// longer between a step that adds something and the one that relies on its use.
const shapeAge = 2 * time.Second

func (s *Store) currentShape(ctx context.Context) (*tableShape, error) {
	if now := s.shape.Load(); now != nil && time.Since(now.seen) < shapeAge {
		return now, nil
	}
	if err := s.reshape(ctx); err != nil {
		return nil, err
	}
	return s.shape.Load(), nil
}

// shapeTries is how often a statement that names what isn't there is tried again after another look.
// More than once, and not only when the look showed a change: another request may have looked a
// moment before this one's statement failed, and a contraction has several steps.
const shapeTries = 5

// reshape looks at the tables again.
func (s *Store) reshape(ctx context.Context) error {
	found := tableShape{seen: time.Now()}
	rows, err := s.gate.Reader().QueryContext(ctx, `SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = DATABASE() AND (TABLE_NAME = 'sections' AND COLUMN_NAME IN ('name', 'title')
OR TABLE_NAME = 'activities_wide' AND COLUMN_NAME = 'id')`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return err
		}
		switch {
		case table == "activities_wide":
			found.wide = true
		case column == "name":
			found.sectionName = true
		case column == "title":
			found.sectionTitle = true
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	s.shape.Store(&found)
	return nil
}

// sectionNameColumn is the expression that reads a section's name.
func (t *tableShape) sectionNameColumn() string {
	switch {
	case t.sectionName && t.sectionTitle:
		return "COALESCE(s.title, s.name)"
	case t.sectionTitle:
		return "s.title"
	}
	return "s.name"
}
