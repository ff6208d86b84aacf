package server

import (
	"context"
	"database/sql"
)

// Rows reads all rows of a query whose columns differ from version to version, with their names as the server
// has them.
func Rows(ctx context.Context, q Queryer, query string, args ...any) (names []string, all [][]sql.NullString, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	if names, err = rows.Columns(); err != nil {
		return nil, nil, err
	}
	into := make([]any, len(names))
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, nil, err
		}
		all = append(all, values)
	}
	return names, all, rows.Err()
}
