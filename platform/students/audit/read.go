package audit

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// atOnce is how many ids go into one IN list.
const atOnce = 500

// each calls fn for each row of a query.
func each(ctx context.Context, q queryer, fn func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// own calls fn for each row of the run's users: query ends in "column IN", to which the list is added.
func (a *auditor) own(ctx context.Context, fn func(scan func(...any) error) error, query, rest string) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(a.users)), atOnce) {
		args := make([]any, len(ids))
		for i, id := range ids {
			args[i] = id
		}
		if err := each(ctx, a.q, fn, query+marks(len(ids))+rest, args...); err != nil {
			return err
		}
	}
	return nil
}

func marks(n int) string { return " (" + strings.TrimSuffix(strings.Repeat("?, ", n), ", ") + ")" }

// during calls fn for each row of the run's time: query ends in the column that has the time. Nothing
// is read if only the run's own users count.
func (a *auditor) during(ctx context.Context, fn func(scan func(...any) error) error, query string) error {
	if a.o.OnlyOwn {
		return nil
	}
	return each(ctx, a.q, fn, query+" BETWEEN ? AND ?", stamp(a.from), stamp(a.to))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// op is an operation's id as a column has it; zero for NULL.
type op struct{ uuid.UUID }

// Scan reads 16 bytes, or NULL.
func (o *op) Scan(v any) error {
	switch b := v.(type) {
	case nil:
		return nil
	case []byte:
		if len(b) == len(o.UUID) {
			copy(o.UUID[:], b)
			return nil
		}
	}
	return fmt.Errorf("%v is no operation's id", v)
}

// scriptRow is a course.
type scriptRow struct {
	id     int64
	levels map[int]int64 // ids, by position
}

func (a *auditor) readScripts(ctx context.Context) error {
	a.scripts = map[string]scriptRow{}
	return each(ctx, a.q, func(scan func(...any) error) error {
		var name string
		var script, level int64
		var position int
		if err := scan(&name, &script, &level, &position); err != nil {
			return err
		}
		if _, ok := a.scripts[name]; !ok {
			a.scripts[name] = scriptRow{script, map[int]int64{}}
		}
		a.scripts[name].levels[position] = level
		return nil
	}, "SELECT s.name, s.id, l.id, l.position FROM scripts s JOIN levels l ON l.script_id = s.id")
}

// hasColumn tells whether a table has a column: live migrations change some.
func (a *auditor) hasColumn(ctx context.Context, table, column string) (has bool, err error) {
	err = each(ctx, a.q, func(scan func(...any) error) error {
		has = true
		return scan(new(sql.RawBytes))
	}, "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND COLUMN_NAME = ?", table, column)
	return has, err
}
