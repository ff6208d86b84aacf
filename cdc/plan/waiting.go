package plan

import (
	"context"
	"database/sql"
	"errors"

	"changeover/internal/config"
)

// Waiting is what the target holds that bears on the migration.
type Waiting struct {
	Tables map[string]int64 // tables and views in each of the databases
	Resume bool             // `_changeover` knows this migration: what is there is our own
	Writer []string         // other migrations whose writer this server is
}

func readWaiting(ctx context.Context, q *sql.Conn, cfg *config.Config) (*Waiting, error) {
	w := &Waiting{Tables: map[string]int64{}}
	in, args := placeholders(cfg.Databases)
	tables, err := records(ctx, q, `
		SELECT TABLE_SCHEMA AS db, COUNT(*) AS n FROM information_schema.TABLES
		WHERE TABLE_SCHEMA IN `+in+` GROUP BY TABLE_SCHEMA`, args...)
	if err != nil {
		return nil, err
	}
	for _, r := range tables {
		w.Tables[r["db"]] = r.int("n")
	}
	if w.Resume, err = resumes(ctx, q, cfg.Migration); err != nil {
		return nil, err
	}
	w.Writer, err = writerOf(ctx, q, cfg.Migration)
	return w, err
}

// writerOf lists the other migrations of which the target is the writer by its own route row.
func writerOf(ctx context.Context, q *sql.Conn, migration string) (others []string, err error) {
	rows, err := records(ctx, q, "SELECT migration FROM `_changeover`.`route` WHERE side = writer AND migration <> ? ORDER BY migration", migration)
	if unseen(err) {
		return nil, nil
	}
	for _, r := range rows {
		others = append(others, r["migration"])
	}
	return others, err
}

// unseen tells whether `_changeover` has nothing to show: it, or the table, is not there, or may not be read, of
// which the rule on privileges tells.
func unseen(err error) bool {
	switch errNumber(err) {
	case 1049, 1146, 1142, 1044:
		return true
	}
	return false
}

// resumes tells whether the target has state of this migration.
func resumes(ctx context.Context, q *sql.Conn, migration string) (bool, error) {
	var one int
	err := q.QueryRowContext(ctx, "SELECT 1 FROM `_changeover`.`migration` WHERE migration = ?", migration).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) || unseen(err) {
		return false, nil
	}
	return err == nil, err
}
