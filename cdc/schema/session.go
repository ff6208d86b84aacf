package schema

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/go-sql-driver/mysql"
)

// mark begins every DDL statement that Changeover issues: both streams know it by that and leave
// it alone.
const mark = "/* changeover schema */ "

// Error numbers of the server, in the one place where they are told apart.
const (
	errNoSuchTable   = 1146
	errOnlineLogFull = 1799
)

// relaxedMode accepts every definition that some server once accepted: zero dates as defaults,
// the engine as named or not at all.
const relaxedMode = "NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES"

// readSession is how definitions are read. Results are not converted: MySQL prints the text of
// expressions in utf8mb4 but says that it is utf8mb3, so a conversion makes ???? of an emoji; and
// a routine's text is wanted in its own charset. An empty sql_mode means backticks, and
// backslashes that escape.
func readSession() []setting {
	return []setting{
		{required, "SET SESSION sql_mode = ''"},
		{required, "SET SESSION sql_quote_show_create = 1"},
		{required, "SET SESSION character_set_results = NULL"},
		{optional, "SET SESSION information_schema_stats_expiry = 0"},                   // MariaDB has none
		{optional, "SET SESSION show_gipk_in_create_table_and_information_schema = ON"}, // MySQL ≥ 8.0.30
		{optional, "SET SESSION show_create_table_skip_secondary_engine = ON"},          // MySQL ≥ 8.0.18
	}
}

// writeSession is how tables are made. Foreign keys may point to tables that aren't there yet,
// or into a cycle. Some variables need a privilege that Aurora's master user may lack; the table
// is compared with its definition after it is made, so nothing depends on them silently.
func writeSession() []setting {
	return []setting{
		{required, "SET SESSION sql_mode = '" + relaxedMode + "'"},
		{required, "SET SESSION foreign_key_checks = 0"},
		{required, "SET SESSION sql_quote_show_create = 1"},
		{required, "SET SESSION character_set_results = NULL"},
		{optional, "SET SESSION explicit_defaults_for_timestamp = 1"},
		{optional, "SET SESSION sql_require_primary_key = 0"},
		{optional, "SET SESSION sql_generate_invisible_primary_key = 0"},
		{optional, "SET SESSION show_gipk_in_create_table_and_information_schema = ON"},
		{optional, "SET SESSION restrict_fk_on_non_standard_key = 0"},
		{optional, "SET SESSION innodb_strict_mode = 0"},
	}
}

// need says whether a session can do without a setting.
type need bool

const (
	required need = true
	optional need = false
)

type setting struct {
	need need
	sql  string
}

// session is a connection of its own with the settings; end closes it for good, so that no other
// user of the pool inherits them.
func session(ctx context.Context, db *sql.DB, settings []setting) (conn *sql.Conn, end func(), err error) {
	conn, err = db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	end = func() {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // the pool drops it
		_ = conn.Close()
	}
	for _, s := range settings {
		_, err := conn.ExecContext(ctx, s.sql)
		if err != nil && (s.need == required || serverCode(err) == 0) {
			end()
			return nil, nil, fmt.Errorf("%s: %w", s.sql, err)
		}
	}
	return conn, end, nil
}

// serverCode is the number of the server's error; 0 if err is something else.
func serverCode(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// ddl runs a statement with the mark in front.
func ddl(ctx context.Context, conn *sql.Conn, statement string) error {
	_, err := conn.ExecContext(ctx, mark+statement)
	return err
}

// queryer reads: *sql.DB, *sql.Conn and *sql.Tx are.
type queryer interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// collect reads all rows of a query; each row is scanned by scan.
func collect[T any](ctx context.Context, q queryer, scan func(*sql.Rows, *T) error, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var one T
		if err := scan(rows, &one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// record reads the one row of a SHOW CREATE by its columns' names, since their number and order
// differ between servers.
func record(ctx context.Context, q queryer, query string) (map[string]sql.NullString, error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	if !rows.Next() {
		return nil, errors.Join(fmt.Errorf("%s: no row", query), rows.Err())
	}
	values := make([]sql.NullString, len(names))
	into := make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	found := make(map[string]sql.NullString, len(names))
	for i, n := range names {
		found[n] = values[i]
	}
	return found, rows.Err()
}
