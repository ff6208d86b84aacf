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
	w.Resume, err = resumes(ctx, q, cfg.Migration)
	return w, err
}

// resumes tells whether the target has state of this migration.
func resumes(ctx context.Context, q *sql.Conn, migration string) (bool, error) {
	var one int
	err := q.QueryRowContext(ctx, "SELECT 1 FROM `_changeover`.`migration` WHERE migration = ?", migration).Scan(&one)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case errNumber(err) == 1049 || errNumber(err) == 1146: // no such database or table: nothing was begun
		return false, nil
	case errNumber(err) == 1142 || errNumber(err) == 1044: // the privileges' rule says so
		return false, nil
	}
	return err == nil, err
}
