package state

import (
	"context"
	"database/sql"
)

// Turn is what a stream that is to go the other way begins with, on the server that it will write to.
type Turn struct {
	Position Position // where it starts
	Source   string   // the identity of the server that it reads, as JSON
	Phase    string   // the runner's word for "it may go"
	Tables   []Table  // nil: those that are recorded stay
	Proofs   []Proof  // what the other stream's proof has found equal, as of Position
}

// Turn writes down, in one transaction, where a stream starts that goes the other way, and forgets what
// earlier ones left: ids, statements that were about to run, what was due. It may be repeated.
func (s *Store) Turn(ctx context.Context, t Turn) error {
	return s.write(ctx, "write down where the stream starts", func(tx *sql.Tx) error {
		for _, table := range []string{"applied", "intent", "decision", "proof", "due"} {
			if err := s.forget(ctx, tx, table); err != nil {
				return err
			}
		}
		if t.Tables != nil {
			if err := s.replaceTables(ctx, tx, t.Tables); err != nil {
				return err
			}
		}
		if err := s.insertProofs(ctx, tx, t.Proofs); err != nil {
			return err
		}
		for _, table := range []string{"stream", "proof_position"} {
			q := newStatement("REPLACE INTO `_changeover`.`" + table + "` (migration, position, seq, updated) VALUES (").
				text(s.migration).sql(", ").bytes([]byte(t.Position.Text)).sql(", ").uint(t.Position.Seq).sql(", UTC_TIMESTAMP(6))")
			if _, err := exec(ctx, tx, q); err != nil {
				return err
			}
		}
		_, err := exec(ctx, tx, newStatement("UPDATE `_changeover`.`migration` SET source = ").text(t.Source).
			sql(", phase = ").text(t.Phase).sql(" WHERE migration = ").text(s.migration))
		return err
	})
}

// ReplaceTables forgets the migration's tables, with their chunks, and records these.
func (s *Store) ReplaceTables(ctx context.Context, all []Table) error {
	return s.write(ctx, "record the tables", func(tx *sql.Tx) error { return s.replaceTables(ctx, tx, all) })
}

func (s *Store) replaceTables(ctx context.Context, tx *sql.Tx, all []Table) error {
	for _, table := range []string{"chunks", "definition", "tables"} {
		if err := s.forget(ctx, tx, table); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return nil
	}
	q := newStatement("INSERT INTO `_changeover`.`tables` (migration, table_id, schema_name, table_name, state," +
		" rows_expected, bytes_expected, started, finished) VALUES ")
	for i, t := range all {
		if i > 0 {
			q.sql(", ")
		}
		q.sql("(").text(s.migration).sql(", ").uint(t.ID).sql(", ").text(t.Schema).sql(", ").text(t.Name).sql(", ").text(string(t.State)).
			sql(", ").uint(t.RowsExpected).sql(", ").uint(t.BytesExpected).sql(", UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))")
	}
	_, err := exec(ctx, tx, q)
	return err
}

func (s *Store) insertProofs(ctx context.Context, tx *sql.Tx, proofs []Proof) error {
	for len(proofs) > 0 {
		q := newStatement("INSERT INTO `_changeover`.`proof` (migration, table_id, proof) VALUES ")
		for n := 0; len(proofs) > 0 && (n == 0 || len(q.b)+2*len(proofs[0].Text) < dueBytes); n++ {
			if n > 0 {
				q.sql(", ")
			}
			q.sql("(").text(s.migration).sql(", ").uint(proofs[0].Table).sql(", ").bytes(proofs[0].Text).sql(")")
			proofs = proofs[1:]
		}
		if _, err := exec(ctx, tx, q); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) forget(ctx context.Context, tx *sql.Tx, table string) error {
	_, err := exec(ctx, tx, newStatement("DELETE FROM `_changeover`.`"+table+"` WHERE migration = ").text(s.migration))
	return err
}
