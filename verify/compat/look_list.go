package compat

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"changeover/internal/server"
)

// listing is a question for what a database has of some kind. Each names one database: a MariaDB that is asked for
// several opens the tables of all. Schema and name come first.
type listing struct {
	what, query string
	object      func(v []string) Object
}

var listings = []listing{
	{"tables", `
		SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, ROW_FORMAT, CREATE_OPTIONS, TABLE_COLLATION, AUTO_INCREMENT, TABLE_ROWS
		FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE <> 'VIEW'`,
		func(v []string) Object {
			o := Object{Kind: "table", Engine: v[3], RowFormat: v[4], Options: v[5], Collation: v[6], AutoIncrement: natural(v[7]), Rows: natural(v[8])}
			if v[2] == "SEQUENCE" { // the others are BASE TABLE and SYSTEM VERSIONED
				o.Kind, o.AutoIncrement = "sequence", 0
			}
			return o
		}},
	{"views", `
		SELECT TABLE_SCHEMA, TABLE_NAME, DEFINER, SECURITY_TYPE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION
		FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ?`,
		func(v []string) Object {
			return Object{Kind: "view", Definer: v[2], Security: v[3], Charset: v[4], Connection: v[5]}
		}},
	{"routines", `
		SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, DEFINER, SECURITY_TYPE, SQL_MODE,
			CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION, IS_DETERMINISTIC, SQL_DATA_ACCESS
		FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?`,
		func(v []string) Object {
			return Object{Kind: strings.ToLower(v[2]), Definer: v[3], Security: v[4], SQLMode: v[5],
				Charset: v[6], Connection: v[7], DatabaseCollation: v[8], Deterministic: v[9] == "YES", DataAccess: v[10]}
		}},
	{"triggers", `
		SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE, DEFINER, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION
		FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?`,
		func(v []string) Object {
			return Object{Kind: "trigger", Table: v[2], Definer: v[3], SQLMode: v[4], Charset: v[5], Connection: v[6], DatabaseCollation: v[7]}
		}},
	{"events", `
		SELECT EVENT_SCHEMA, EVENT_NAME, STATUS, DEFINER, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION
		FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ?`,
		func(v []string) Object {
			return Object{Kind: "event", Status: v[2], Definer: v[3], SQLMode: v[4], Charset: v[5], Connection: v[6], DatabaseCollation: v[7]}
		}},
}

const columnsQuery = `
	SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, COLLATION_NAME, EXTRA, GENERATION_EXPRESSION, IS_NULLABLE, COLUMN_DEFAULT
	FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME, ORDINAL_POSITION`

// kinds are the kinds of objects in the order in which they could be made, routines together.
var kinds = map[string]int{"table": 0, "sequence": 1, "view": 2, "function": 3, "procedure": 3, "package": 3, "package body": 3, "trigger": 4, "event": 5}

// list finds out what there is, without the texts.
func (l *look) list(ctx context.Context) error {
	found := make([][]Object, len(l.Databases))
	err := l.each(ctx, "SET SESSION character_set_results = utf8mb4", len(l.Databases), func(ctx context.Context, conn *sql.Conn, i int) (err error) {
		found[i], err = l.listOne(ctx, conn, l.Databases[i].Name)
		return err
	})
	if err != nil {
		return err
	}
	l.Objects = slices.Concat(found...)
	slices.SortFunc(l.Objects, func(a, b Object) int {
		return cmp.Or(kinds[a.Kind]-kinds[b.Kind], strings.Compare(a.Schema, b.Schema), strings.Compare(a.Name, b.Name), strings.Compare(a.Kind, b.Kind))
	})
	return nil
}

func (l *look) listOne(ctx context.Context, conn *sql.Conn, database string) ([]Object, error) {
	var all []Object
	for _, q := range listings {
		rows, err := l.rowsOf(ctx, conn, q.what, q.query, database)
		if err != nil {
			return nil, err
		}
		for _, v := range rows {
			o := q.object(asText(v))
			o.Schema, o.Name = v[0].String, v[1].String
			all = append(all, o)
		}
	}
	rows, err := l.rowsOf(ctx, conn, "columns", columnsQuery, database)
	columns := map[string][]ColumnFacts{}
	for _, r := range rows {
		v := asText(r)
		columns[v[1]] = append(columns[v[1]], ColumnFacts{Name: v[2], Type: v[3], Collation: v[4], Extra: v[5], Generation: v[6], Nullable: v[7] == "YES", Default: r[8]})
	}
	for i := range all {
		if o := &all[i]; o.Kind == "table" {
			o.Columns = columns[o.Name]
		}
	}
	return all, err
}

// rowsOf are the rows about a database, which is the first value of each. Some servers compare its name without
// case.
func (l *look) rowsOf(ctx context.Context, conn *sql.Conn, what, query, database string) ([][]sql.NullString, error) {
	_, rows, err := server.Rows(ctx, conn, query, database)
	rows = slices.DeleteFunc(rows, func(v []sql.NullString) bool { return v[0].String != database })
	return rows, l.refused(err, what+" of "+database)
}

// asText are values, NULL as empty.
func asText(values []sql.NullString) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.String
	}
	return all
}

// natural is a number of information_schema's; 0 if there is none.
func natural(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}
