package seed

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/go-sql-driver/mysql"

	"changeover/platform/curriculum"
)

// Curriculum brings the courses into the database, or up to date there: a script is known by its name,
// a level by its place in the script. Rows keep their ids, and what is as it should be is not written,
// so that it may run at every start. Scripts and levels that are no longer taught stay: people have
// worked on them.
func Curriculum(ctx context.Context, db *sql.DB) error {
	for try := 1; ; try++ {
		err := withTx(ctx, db, func(tx *sql.Tx) error { return update(ctx, tx, curriculum.Scripts()) })
		// Two servers that start at once on an empty database stand in each other's way.
		var refused *mysql.MySQLError
		is := func(numbers ...uint16) bool {
			return errors.As(err, &refused) && slices.Contains(numbers, refused.Number)
		}
		switch {
		case err == nil:
			return nil
		case is(1146):
			return errNoTables
		case !is(1213, 1205, 1062) || try == 10:
			return fmt.Errorf("bring the courses up to date: %w", err)
		}
	}
}

func withTx(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// scriptRow is a script as the database has it.
type scriptRow struct {
	id                 uint16
	title, kind, group string
	position           int
}

func update(ctx context.Context, tx *sql.Tx, scripts []curriculum.Script) error {
	have, err := scriptRows(ctx, tx)
	if err != nil {
		return err
	}
	if err := makeRoom(ctx, tx, have, scripts); err != nil {
		return err
	}
	for _, s := range scripts {
		want := scriptRow{title: s.Title, kind: s.Kind, group: s.Group, position: s.Position}
		had, there := have[s.Name]
		id := had.id
		want.id = id
		switch {
		case !there:
			r, err := tx.ExecContext(ctx, "INSERT INTO scripts (name, title, kind, `group`, position) VALUES (?, ?, ?, ?, ?)",
				s.Name, s.Title, s.Kind, s.Group, s.Position)
			if err != nil {
				return fmt.Errorf("script %s: %w", s.Name, err)
			}
			n, err := r.LastInsertId()
			if err != nil {
				return err
			}
			id = uint16(n)
		case had != want:
			if _, err := tx.ExecContext(ctx, "UPDATE scripts SET title = ?, kind = ?, `group` = ?, position = ? WHERE id = ?",
				s.Title, s.Kind, s.Group, s.Position, id); err != nil {
				return fmt.Errorf("script %s: %w", s.Name, err)
			}
		}
		if err := updateLevels(ctx, tx, id, s); err != nil {
			return fmt.Errorf("script %s: %w", s.Name, err)
		}
	}
	return nil
}

func scriptRows(ctx context.Context, tx *sql.Tx) (map[string]scriptRow, error) {
	rows, err := tx.QueryContext(ctx, "SELECT name, id, title, kind, `group`, position FROM scripts FOR UPDATE")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	have := map[string]scriptRow{}
	for rows.Next() {
		var name string
		var r scriptRow
		if err := rows.Scan(&name, &r.id, &r.title, &r.kind, &r.group, &r.position); err != nil {
			return nil, err
		}
		have[name] = r
	}
	return have, rows.Err()
}

// aside is where a script goes whose place another one gets: two that change places can't do so at once.
const aside = 30_000

func makeRoom(ctx context.Context, tx *sql.Tx, have map[string]scriptRow, scripts []curriculum.Script) error {
	for _, s := range scripts {
		for name, r := range have {
			if name == s.Name || r.group != s.Group || r.position != s.Position {
				continue
			}
			r.position = aside + int(r.id)
			if _, err := tx.ExecContext(ctx, "UPDATE scripts SET position = ? WHERE id = ?", r.position, r.id); err != nil {
				return fmt.Errorf("script %s: %w", name, err)
			}
			have[name] = r
		}
	}
	return nil
}

// levelRow is a level as the database has it.
type levelRow struct {
	id                  uint16
	title, instructions string
	definition          []byte
	concepts            []string
}

func updateLevels(ctx context.Context, tx *sql.Tx, script uint16, s curriculum.Script) error {
	have, err := levelRows(ctx, tx, script)
	if err != nil {
		return err
	}
	for i, l := range s.Levels {
		had, there := have[i+1]
		if !there {
			r, err := tx.ExecContext(ctx, "INSERT INTO levels (script_id, position, title, instructions, definition) VALUES (?, ?, ?, ?, ?)",
				script, i+1, l.Title, l.Instructions, string(l.Definition))
			if err != nil {
				return fmt.Errorf("level %d: %w", i+1, err)
			}
			n, err := r.LastInsertId()
			if err != nil {
				return err
			}
			had.id = uint16(n)
		} else if had.title != l.Title || had.instructions != l.Instructions || !sameJSON(had.definition, l.Definition) {
			if _, err := tx.ExecContext(ctx, "UPDATE levels SET title = ?, instructions = ?, definition = ? WHERE id = ?",
				l.Title, l.Instructions, string(l.Definition), had.id); err != nil {
				return fmt.Errorf("level %d: %w", i+1, err)
			}
		}
		if err := updateConcepts(ctx, tx, had, l.Concepts); err != nil {
			return fmt.Errorf("concepts of level %d: %w", i+1, err)
		}
	}
	return nil
}

func levelRows(ctx context.Context, tx *sql.Tx, script uint16) (map[int]levelRow, error) {
	rows, err := tx.QueryContext(ctx, "SELECT l.position, l.id, l.title, l.instructions, l.definition, c.concept FROM levels l "+
		"LEFT JOIN concepts_levels c ON c.level_id = l.id WHERE l.script_id = ?", script)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	have := map[int]levelRow{}
	for rows.Next() {
		var position int
		var concept sql.NullString
		var r levelRow
		if err := rows.Scan(&position, &r.id, &r.title, &r.instructions, &r.definition, &concept); err != nil {
			return nil, err
		}
		r.concepts = have[position].concepts
		if concept.Valid {
			r.concepts = append(r.concepts, concept.String)
		}
		have[position] = r
	}
	return have, rows.Err()
}

// updateConcepts replaces a level's concepts when they are others. The table has no key: a row that is
// there twice can only be taken away with its twin.
func updateConcepts(ctx context.Context, tx *sql.Tx, had levelRow, want []string) error {
	want = slices.Sorted(slices.Values(want))
	if slices.Equal(slices.Sorted(slices.Values(had.concepts)), want) {
		return nil
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM concepts_levels WHERE level_id = ?", had.id); err != nil {
		return err
	}
	for _, c := range want {
		if _, err := tx.ExecContext(ctx, "INSERT INTO concepts_levels (concept, level_id) VALUES (?, ?)", c, had.id); err != nil {
			return err
		}
	}
	return nil
}

// sameJSON compares what two texts mean: a server keeps JSON in its own order.
func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
