package state

import (
	"bytes"
	"context"
	"database/sql"
	"slices"
)

// Proof is how far the comparison of one table is: what of it is still to be compared, and what was
// found. Its texts are the verifier's own.
type Proof struct {
	Table uint64 // TABLE_ID
	Text  []byte
	// Due are the keys that changed since they were compared, in the verifier's form.
	Due []byte
}

// dueBytes is how much of Due one row holds: less than any server's max_allowed_packet, twice over.
const dueBytes = 256 << 10

// SaveProof writes the proofs of some tables, forgets those of gone, and moves the position from
// which the stream must be read again after a crash, in one transaction. What the stream changed up
// to p is in the proofs.
func (s *Store) SaveProof(ctx context.Context, p Position, proofs []Proof, gone []uint64) error {
	return s.write(ctx, "save the proof", func(tx *sql.Tx) error {
		for _, id := range gone {
			if err := s.deleteProof(ctx, tx, id); err != nil {
				return err
			}
		}
		for _, proof := range proofs {
			if err := s.replaceProof(ctx, tx, proof); err != nil {
				return err
			}
		}
		q := newStatement("REPLACE INTO `_changeover`.`proof_position` (migration, position, seq, updated) VALUES (").
			text(s.migration).sql(", ").bytes([]byte(p.Text)).sql(", ").uint(p.Seq).sql(", UTC_TIMESTAMP(6))")
		_, err := exec(ctx, tx, q)
		return err
	})
}

func (s *Store) deleteProof(ctx context.Context, tx *sql.Tx, id uint64) error {
	if err := s.deleteOf(ctx, tx, "proof", id); err != nil {
		return err
	}
	return s.deleteOf(ctx, tx, "due", id)
}

func (s *Store) replaceProof(ctx context.Context, tx *sql.Tx, p Proof) error {
	q := newStatement("REPLACE INTO `_changeover`.`proof` (migration, table_id, proof) VALUES (").text(s.migration).
		sql(", ").uint(p.Table).sql(", ").bytes(p.Text).sql(")")
	if _, err := exec(ctx, tx, q); err != nil {
		return err
	}
	if err := s.deleteOf(ctx, tx, "due", p.Table); err != nil {
		return err
	}
	part := uint64(0)
	for due := range slices.Chunk(p.Due, dueBytes) {
		q := newStatement("INSERT INTO `_changeover`.`due` (migration, table_id, part, keys_due) VALUES (").text(s.migration).
			sql(", ").uint(p.Table).sql(", ").uint(part).sql(", ").bytes(due).sql(")")
		if _, err := exec(ctx, tx, q); err != nil {
			return err
		}
		part++
	}
	return nil
}

// Proofs reads what SaveProof wrote; ok is false if it never did.
func (s *Store) Proofs(ctx context.Context) (p Position, proofs []Proof, ok bool, err error) {
	q := newStatement("SELECT position, seq FROM `_changeover`.`proof_position` WHERE migration = ").text(s.migration)
	err = s.read(ctx, "read the proof's position", func() error {
		return s.db.QueryRowContext(ctx, q.String()).Scan(&p.Text, &p.Seq)
	})
	if isNoRows(err) {
		return p, nil, false, nil
	}
	if err != nil {
		return p, nil, false, err
	}
	q = newStatement("SELECT table_id, proof FROM `_changeover`.`proof` WHERE migration = ").text(s.migration).sql(" ORDER BY table_id")
	proofs, err = list(ctx, s, "read proofs", q, func(rows *sql.Rows) (p Proof, err error) {
		err = rows.Scan(&p.Table, &p.Text)
		return p, err
	})
	if err != nil {
		return p, nil, false, err
	}
	q = newStatement("SELECT table_id, keys_due FROM `_changeover`.`due` WHERE migration = ").text(s.migration).sql(" ORDER BY table_id, part")
	parts, err := list(ctx, s, "read keys due", q, func(rows *sql.Rows) (p Proof, err error) {
		err = rows.Scan(&p.Table, &p.Due)
		return p, err
	})
	for i := range proofs {
		var due [][]byte
		for _, part := range parts {
			if part.Table == proofs[i].Table {
				due = append(due, part.Due)
			}
		}
		proofs[i].Due = bytes.Join(due, nil)
	}
	return p, proofs, err == nil, err
}

// KeepProof keeps a finished proof, or an attempt at one, as it was given out.
func (s *Store) KeepProof(ctx context.Context, complete bool, document []byte) error {
	q := newStatement("INSERT INTO `_changeover`.`proven` (migration, at, complete, document) VALUES (").text(s.migration).
		sql(", UTC_TIMESTAMP(6), ")
	if complete {
		q.sql("1, ")
	} else {
		q.sql("0, ")
	}
	q.bytes(document).sql(")")
	return s.write(ctx, "keep a proof", func(tx *sql.Tx) error {
		_, err := exec(ctx, tx, q)
		return err
	})
}
