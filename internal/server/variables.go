package server

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
)

// Queryer is a pool, a connection or a transaction.
type Queryer interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// Variables are a server's global variables, by their names in lower case.
type Variables map[string]string

// ReadVariables asks for all of them in one round trip. It needs no privilege.
func ReadVariables(ctx context.Context, q Queryer) (Variables, error) {
	rows, err := q.QueryContext(ctx, "SHOW GLOBAL VARIABLES")
	if err != nil {
		return nil, fmt.Errorf("read the global variables: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := Variables{}
	for rows.Next() {
		var name string
		var value sql.NullString
		if err := rows.Scan(&name, &value); err != nil {
			return nil, fmt.Errorf("read the global variables: %w", err)
		}
		all[strings.ToLower(name)] = value.String
	}
	return all, rows.Err()
}

// Has tells whether the server has the variable at all.
func (v Variables) Has(name string) bool { _, ok := v[name]; return ok }

// On tells whether a switch is on; a variable that the server lacks is off.
func (v Variables) On(name string) bool {
	return strings.EqualFold(v[name], "ON") || v[name] == "1" || strings.EqualFold(v[name], "YES")
}

// Int is a number; ok is false if the server has no such variable or it isn't one.
func (v Variables) Int(name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(v[name], 10, 64)
	return n, err == nil
}
