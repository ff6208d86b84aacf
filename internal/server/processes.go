package server

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// Process is one line of a server's process list.
type Process struct {
	ID      uint64
	User    string
	Host    string // address:port from which it came
	Command string // Sleep, Query, …
}

// Processes lists the server's sessions, or the account's own if it lacks PROCESS.
//
// It is SHOW PROCESSLIST and not information_schema.PROCESSLIST, which turns everybody's statement
// into utf8mb3: where one can't be turned (a geometry's bytes, or an emoji over a binary connection,
// in another worker's packet) a session in strict mode gets error 3854 instead of its answer (seen).
func Processes(ctx context.Context, q Queryer) ([]Process, error) {
	rows, err := q.QueryContext(ctx, "SHOW PROCESSLIST")
	if err != nil {
		return nil, fmt.Errorf("list the server's sessions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var all []Process
	for rows.Next() {
		var p Process
		var host, command sql.NullString
		into := make([]any, len(names)) // MariaDB has one column more
		for i, name := range names {
			switch strings.ToLower(name) {
			case "id":
				into[i] = &p.ID
			case "user":
				into[i] = &p.User
			case "host":
				into[i] = &host
			case "command":
				into[i] = &command
			default:
				into[i] = new(sql.RawBytes)
			}
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		p.Host, p.Command = host.String, command.String
		all = append(all, p)
	}
	return all, rows.Err()
}
