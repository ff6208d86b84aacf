package plan

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"changeover/internal/accounts"
)

// Passer is an account that still writes when its server is fenced.
type Passer struct {
	Account string
	By      string // the privilege, or the role that has it
}

// askPassers lists the accounts that write while read_only is on, themselves or through roles.
func (s *Server) askPassers(ctx context.Context, q *sql.Conn) error {
	set, err := accounts.Read(ctx, q, s.Version)
	switch {
	case errNumber(err) == 1142 || errNumber(err) == 1044:
		return nil // no SELECT on mysql: the rules on privileges say so
	case err != nil:
		return err
	}
	how := set.Holders(accounts.Passing(s.Version)...)
	for _, name := range slices.Sorted(maps.Keys(how)) {
		if a := set.Account(name); !a.Role && !accounts.System(a.User) && name != s.Account {
			s.Passers = append(s.Passers, Passer{Account: name, By: how[name]})
		}
	}
	return nil
}

// askProcedures lists those of RDS's procedures that the account may call or see.
func (s *Server) askProcedures(ctx context.Context, q *sql.Conn) error {
	rows, err := records(ctx, q, `
		SELECT ROUTINE_NAME AS name FROM information_schema.ROUTINES
		WHERE ROUTINE_SCHEMA = 'mysql' AND ROUTINE_NAME IN ('rds_set_read_only', 'rds_kill', 'rds_kill_query')`)
	for _, r := range rows {
		s.Procedures = append(s.Procedures, r["name"])
	}
	return err
}
