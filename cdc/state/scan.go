package state

import (
	"context"
	"database/sql"
	"errors"
)

// scan reads all rows through one function and closes them.
func scan[T any](rows *sql.Rows, one func(*sql.Rows) (T, error)) ([]T, error) {
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		v, err := one(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// list runs a query of s and reads all of its rows.
func list[T any](ctx context.Context, s *Store, what string, q *statement, one func(*sql.Rows) (T, error)) (all []T, err error) {
	err = s.read(ctx, what, func() error {
		rows, err := s.db.QueryContext(ctx, q.String())
		if err != nil {
			return err
		}
		all, err = scan(rows, one)
		return err
	})
	return all, err
}

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
