package store

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// StartHour notes that somebody has begun an Hour of Code. country is two letters or nothing.
func (s *Store) StartHour(ctx context.Context, op Op, user User, script, country string, ip netip.Addr, referer string) (id uint64, a Answer, err error) {
	found, err := s.Script(ctx, script)
	if err != nil {
		return 0, a, err
	}
	if country != "" && !isCountry(country) {
		return 0, a, badValue("country", "is not two capital letters")
	}
	if len(referer) > 200 || !ascii(referer, "-._~:/?#[]@!$&'()*+,;=%") {
		referer = "" // what a browser says of where it came from is not worth a refusal
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		made, err := t.insert("INSERT INTO hoc_activity (op_id, op_digest, user_id, script_id, ip, country, referer, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			op.id(), op.digest(), user.ID, found.ID, ip.Unmap().AsSlice(), country, referer, stamp(now()))
		if isDuplicateOp(err) {
			a.Replayed = true
			var digest []byte
			if err := t.row("SELECT id, op_digest FROM hoc_activity WHERE op_id = ?", op.id()).Scan(&id, &digest); err != nil {
				return err
			}
			return op.replayed(digest)
		}
		id = uint64(made)
		return err
	})
	return id, a, err
}

func isCountry(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

// FinishHour ends it and gives the certificate. A second finish gets the first one's certificate.
func (s *Store) FinishHour(ctx context.Context, op Op, user User, id uint64, name string) (certificate uuid.UUID, a Answer, err error) {
	if name, err = text("name", name, 0, 80); err != nil {
		return certificate, a, err
	}
	a.Epoch, err = s.write(ctx, func(t *tx) error {
		a.Replayed = false
		var by uint32
		var had, finish []byte
		err := t.row("SELECT user_id, certificate, finish_op FROM hoc_activity WHERE id = ? FOR UPDATE", id).Scan(&by, &had, &finish)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return &Refusal{Code: NotFound, Field: "hoc", Message: "no hour was begun under this number"}
		case err != nil:
			return err
		case by != user.ID:
			return refuse(NotYours, "this hour is somebody else's")
		case had != nil:
			a.Replayed = true
			certificate, err = uuid.FromBytes(had)
			return err
		}
		// Not to be guessed from the operation's id: the certificate's address is public.
		certificate = uuid.New()
		_, err = t.exec("UPDATE hoc_activity SET finished_at = ?, certificate = ?, name = ?, finish_op = ? WHERE id = ?",
			stamp(now()), certificate[:], name, op.id(), id)
		return err
	})
	return certificate, a, err
}

// Certificate says who finished what.
type Certificate struct {
	Name       string
	Script     string
	Title      string
	FinishedAt time.Time
}

// Certificate finds one by its code.
func (s *Store) Certificate(ctx context.Context, code uuid.UUID) (Certificate, error) {
	var c Certificate
	err := s.read(ctx, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, `SELECT h.name, x.name, x.title, h.finished_at FROM hoc_activity h JOIN scripts x ON x.id = h.script_id
WHERE h.certificate = ?`, code[:]).Scan(&c.Name, &c.Script, &c.Title, &c.FinishedAt)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return c, refuse(NotFound, "there is no such certificate")
	}
	return c, err
}
