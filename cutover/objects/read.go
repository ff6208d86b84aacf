package objects

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"

	"changeover/cdc/schema"
	"changeover/internal/server"
)

// table is a table's name.
type table struct{ database, name string }

// fingerprintQueries are a reading of a server's objects that is quick enough for the hold: texts, not SHOW CREATE,
// which is a question for each. Whether events run is not in it: a fence may stop them. But one that runs
// once and has run is another.
//
// The tables' names are, since a table that is new may have an AUTO_INCREMENT value that nobody has
// looked at.
var fingerprintQueries = []string{
	`SELECT 'table', TABLE_SCHEMA, TABLE_NAME, '' FROM information_schema.TABLES WHERE TABLE_SCHEMA IN (%s) AND TABLE_TYPE = 'BASE TABLE' ORDER BY 2, 3`,
	`SELECT 'view', TABLE_SCHEMA, TABLE_NAME, CONCAT_WS(' ', DEFINER, SECURITY_TYPE, CHECK_OPTION, VIEW_DEFINITION) FROM information_schema.VIEWS WHERE TABLE_SCHEMA IN (%s) ORDER BY 2, 3`,
	`SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME, CONCAT_WS(' ', DEFINER, SECURITY_TYPE, SQL_MODE, LAST_ALTERED, ROUTINE_DEFINITION) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA IN (%s) ORDER BY 1, 2, 3`,
	`SELECT 'trigger', TRIGGER_SCHEMA, TRIGGER_NAME, CONCAT_WS(' ', DEFINER, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, SQL_MODE, CREATED, ACTION_STATEMENT) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA IN (%s) ORDER BY 2, 3`,
	`SELECT 'event', EVENT_SCHEMA, EVENT_NAME, CONCAT_WS(' ', EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, STARTS, ENDS, ON_COMPLETION, IF(EVENT_TYPE = 'ONE TIME', LAST_EXECUTED, NULL), EVENT_DEFINITION) FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN (%s) ORDER BY 2, 3`,
}

// fingerprint changes when an object of the databases does, or the list of their tables.
func fingerprint(ctx context.Context, q schema.Queryer, databases []string) (string, error) {
	sum := sha256.New()
	for _, query := range fingerprintQueries {
		rows, err := q.QueryContext(ctx, fmt.Sprintf(query, list(databases)), anys(databases)...)
		if err != nil {
			return "", fmt.Errorf("read the objects' fingerprint: %w", err)
		}
		for rows.Next() {
			var kind, database, name string
			var text sql.NullString
			if err := rows.Scan(&kind, &database, &name, &text); err != nil {
				_ = rows.Close()
				return "", err
			}
			fmt.Fprintf(sum, "%q %q %q %q\n", kind, database, name, text.String)
		}
		if err := rows.Close(); err != nil {
			return "", err
		}
		if err := rows.Err(); err != nil {
			return "", fmt.Errorf("read the objects' fingerprint: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// list is as many question marks.
func list[T any](values []T) string {
	return strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")
}

func anys(values []string) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}

// counted lists the tables that have an AUTO_INCREMENT column.
func counted(ctx context.Context, q schema.Queryer, o Options) ([]table, error) {
	rows, err := q.QueryContext(ctx, `SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.COLUMNS
		WHERE TABLE_SCHEMA IN (`+list(o.Databases)+`) AND EXTRA LIKE '%auto_increment%' ORDER BY 1, 2`, anys(o.Databases)...)
	if err != nil {
		return nil, fmt.Errorf("list the tables with AUTO_INCREMENT: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []table
	for rows.Next() {
		var t table
		if err := rows.Scan(&t.database, &t.name); err != nil {
			return nil, err
		}
		if o.inScope(t.database, t.name) {
			all = append(all, t)
		}
	}
	return all, rows.Err()
}

// next reads the tables' next AUTO_INCREMENT values, on a session with
// information_schema_stats_expiry=0 where there is such a variable. Each table is asked for by its
// name: MariaDB, asked for many in another way, opens all that the database has.
func next(ctx context.Context, q schema.Queryer, tables []table) (map[table]uint64, error) {
	const atOnce = 100
	values := map[table]uint64{}
	for len(tables) > 0 {
		some := tables[:min(atOnce, len(tables))]
		tables = tables[len(some):]
		var asked []string
		var args []any
		for _, t := range some {
			asked = append(asked, "SELECT TABLE_SCHEMA, TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?")
			args = append(args, t.database, t.name)
		}
		if err := readNext(ctx, q, values, strings.Join(asked, " UNION ALL "), args); err != nil {
			return nil, fmt.Errorf("read AUTO_INCREMENT: %w", err)
		}
	}
	return values, nil
}

func readNext(ctx context.Context, q schema.Queryer, values map[table]uint64, query string, args []any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var t table
		var n sql.Null[uint64]
		if err := rows.Scan(&t.database, &t.name, &n); err != nil {
			return err
		}
		if n.Valid {
			values[t] = n.V
		}
	}
	return rows.Err()
}

// raise is a table whose next value the old writer has higher.
type raise struct {
	table
	to uint64
}

// raises lists them: one that is lower there stays.
func raises(tables []table, old, new map[table]uint64) []raise {
	var all []raise
	for _, t := range tables {
		if _, there := new[t]; old[t] > max(1, new[t]) && there {
			all = append(all, raise{t, old[t]})
		}
	}
	return all
}

func (r raise) statement() string {
	return mark + "ALTER TABLE " + server.Name(r.database, r.name) + fmt.Sprintf(" AUTO_INCREMENT = %d, ALGORITHM = INPLACE", r.to)
}

// fresh is a connection that reads AUTO_INCREMENT as it is, not as it was a day ago.
func fresh(ctx context.Context, db *sql.DB, flavor server.Flavor) (*sql.Conn, func(), error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}
	end := func() { _ = conn.Close() }
	if flavor != server.MySQL {
		return conn, end, nil
	}
	if _, err := conn.ExecContext(ctx, "SET SESSION information_schema_stats_expiry = 0"); err != nil {
		end()
		return nil, nil, err
	}
	return conn, func() {
		back, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
		defer cancel()
		_, _ = conn.ExecContext(back, "SET SESSION information_schema_stats_expiry = DEFAULT") // it says nothing else
		end()
	}, nil
}
