package state

import (
	"context"
	"database/sql"
	"time"
)

// Action is what is to become of a DDL statement that could not be carried.
type Action string

// The actions.
const (
	Undecided Action = ""     // the stream stands before it
	RunOther  Action = "run"  // another statement runs in its place
	Skip      Action = "skip" // it is left out
)

// Decision is about one DDL statement of the stream that stopped it.
type Decision struct {
	ID        string // the source transaction's
	Statement string // as in the source's binlog
	Schema    string // the default database there
	Reason    string // why it could not be carried
	Action    Action
	Other     string // what runs in its place
	Written   time.Time
}

// Refuse records a statement that could not be carried, so that somebody can decide. A decision that
// is there already stays, with the new reason.
func (s *Store) Refuse(ctx context.Context, d Decision) error {
	q := newStatement("INSERT INTO `_changeover`.`decision` (migration, id, statement, default_schema, reason, action, other, written) VALUES (").
		text(s.migration).sql(", ").bytes([]byte(d.ID)).sql(", ").bytes([]byte(d.Statement)).sql(", ").text(d.Schema).
		sql(", ").bytes([]byte(d.Reason)).sql(", '', '', UTC_TIMESTAMP(6)) ON DUPLICATE KEY UPDATE reason = ").bytes([]byte(d.Reason))
	return s.write(ctx, "write down the statement of "+d.ID, func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, q)
		return err
	})
}

// Decide records what is to become of a refused statement; ok is false if there is none of that id.
func (s *Store) Decide(ctx context.Context, id string, action Action, other string) (ok bool, err error) {
	err = s.write(ctx, "decide about "+id, func(tx *sql.Tx) error {
		// Read first: an UPDATE that changes nothing says that it found nothing.
		q := newStatement("SELECT COUNT(*) FROM `_changeover`.`decision` WHERE migration = ").text(s.migration).sql(" AND id = ").bytes([]byte(id))
		if err := tx.QueryRowContext(ctx, q.String()).Scan(&ok); err != nil || !ok {
			return err
		}
		_, err := exec(ctx, tx, newStatement("UPDATE `_changeover`.`decision` SET action = ").text(string(action)).sql(", other = ").bytes([]byte(other)).
			sql(" WHERE migration = ").text(s.migration).sql(" AND id = ").bytes([]byte(id)))
		return err
	})
	return ok, err
}

// ForgetDecision drops a decision that was carried out.
func (s *Store) ForgetDecision(ctx context.Context, id string) error {
	return s.write(ctx, "forget the decision about "+id, func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, newStatement("DELETE FROM `_changeover`.`decision` WHERE migration = ").text(s.migration).
			sql(" AND id = ").bytes([]byte(id)))
		return err
	})
}

// Decisions reads the statements that were refused, and what was decided, the oldest first.
func (s *Store) Decisions(ctx context.Context) ([]Decision, error) {
	q := newStatement("SELECT id, statement, default_schema, reason, action, other, written FROM `_changeover`.`decision` WHERE migration = ").
		text(s.migration).sql(" ORDER BY written, id")
	return list(ctx, s, "read decisions", q, func(rows *sql.Rows) (d Decision, err error) {
		var written string
		err = rows.Scan(&d.ID, &d.Statement, &d.Schema, &d.Reason, &d.Action, &d.Other, &written)
		d.Written = parseTime(&written)
		return d, err
	})
}
