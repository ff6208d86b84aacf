package schema

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// Filter says whether a table, or a view, is in scope.
type Filter func(schema, table string) bool

// Read reads the definitions of the databases, on a connection of its own. A nil filter means
// everything; triggers come with their tables, routines and events with their database.
//
// It takes no lock: a table that is dropped meanwhile is left out. Where the answer must be of one
// moment the caller reads between two watermarks (design §5).
func Read(ctx context.Context, src *sql.DB, databases []string, filter Filter) (*Schema, error) {
	return readAll(ctx, src, databases, filter, func(r reader) []func(context.Context, *Database) error {
		return []func(context.Context, *Database) error{r.tables, r.views, r.routines, r.triggers, r.events}
	})
}

// readAll reads of each database what parts names.
func readAll(ctx context.Context, src *sql.DB, databases []string, filter Filter, parts func(reader) []func(context.Context, *Database) error) (*Schema, error) {
	conn, end, err := session(ctx, src, readSession())
	if err != nil {
		return nil, fmt.Errorf("read definitions: %w", err)
	}
	defer end()
	id, err := server.Identify(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("read definitions: %w", err)
	}
	if filter == nil {
		filter = func(string, string) bool { return true }
	}
	r := reader{conn, filter}
	s := &Schema{Flavor: id.Flavor}
	for _, name := range databases {
		d, err := r.database(ctx, name, parts(r))
		if err != nil {
			return nil, fmt.Errorf("read definitions of %s: %w", name, err)
		}
		s.Databases = append(s.Databases, *d)
	}
	return s, nil
}

// CreateTable is a table's definition as the server prints it today, in the form in which Read
// gives it: two of them can be compared as text.
func CreateTable(ctx context.Context, db *sql.DB, schema, table string) (string, error) {
	conn, end, err := session(ctx, db, readSession())
	if err != nil {
		return "", err
	}
	defer end()
	return showTable(ctx, conn, schema, table)
}

func showTable(ctx context.Context, q queryer, schema, table string) (string, error) {
	found, err := record(ctx, q, "SHOW CREATE TABLE "+server.Name(schema, table))
	if err != nil {
		return "", fmt.Errorf("read the definition of %s.%s: %w", schema, table, err)
	}
	return found["Create Table"].String, nil
}

type reader struct {
	conn   queryer
	filter Filter
}

func (r reader) database(ctx context.Context, name string, parts []func(context.Context, *Database) error) (*Database, error) {
	d := &Database{Name: name}
	err := r.conn.QueryRowContext(ctx, `SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME
		FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?`, name).Scan(&d.Charset, &d.Collation)
	if err == sql.ErrNoRows {
		return nil, fault.New(fault.NoDatabase, "there is no database %s, or the account may not see it", name)
	}
	if err != nil {
		return nil, err
	}
	for _, read := range parts {
		if err := read(ctx, d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (r reader) tables(ctx context.Context, d *Database) error {
	names, err := r.names(ctx, `SELECT TABLE_NAME FROM information_schema.TABLES
		WHERE TABLE_SCHEMA = ? AND TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW') ORDER BY TABLE_NAME`, d.Name)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !r.filter(d.Name, name) {
			continue
		}
		create, err := showTable(ctx, r.conn, d.Name, name)
		if serverCode(err) == errNoSuchTable {
			continue
		}
		if err != nil {
			return err
		}
		d.Tables = append(d.Tables, Table{d.Name, name, create})
	}
	return nil
}

func (r reader) names(ctx context.Context, query string, args ...any) ([]string, error) {
	return collect(ctx, r.conn, func(rows *sql.Rows, s *string) error { return rows.Scan(s) }, query, args...)
}

func (r reader) views(ctx context.Context, d *Database) error {
	objects, err := r.objects(ctx, `SELECT 'VIEW', TABLE_SCHEMA, TABLE_NAME, '', DEFINER
		FROM information_schema.VIEWS WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME`, d.Name)
	objects = slices.DeleteFunc(objects, func(o Object) bool { return !r.filter(o.Schema, o.Name) })
	d.Views = objects
	return err
}

func (r reader) routines(ctx context.Context, d *Database) (err error) {
	d.Routines, err = r.objects(ctx, `SELECT ROUTINE_TYPE, ROUTINE_SCHEMA, ROUTINE_NAME, '', DEFINER
		FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ? ORDER BY ROUTINE_TYPE, ROUTINE_NAME`, d.Name)
	return err
}

func (r reader) triggers(ctx context.Context, d *Database) error {
	objects, err := r.objects(ctx, `SELECT 'TRIGGER', TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_TABLE, DEFINER
		FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?
		ORDER BY EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING, ACTION_ORDER`, d.Name)
	objects = slices.DeleteFunc(objects, func(o Object) bool { return !r.filter(o.Schema, o.Table) })
	d.Triggers = objects
	return err
}

func (r reader) events(ctx context.Context, d *Database) (err error) {
	d.Events, err = r.objects(ctx, `SELECT 'EVENT', EVENT_SCHEMA, EVENT_NAME, '', DEFINER
		FROM information_schema.EVENTS WHERE EVENT_SCHEMA = ? ORDER BY EVENT_NAME`, d.Name)
	return err
}

// objects lists what the query finds and reads the text of each.
func (r reader) objects(ctx context.Context, query, database string) ([]Object, error) {
	objects, err := collect(ctx, r.conn, func(rows *sql.Rows, o *Object) error {
		return rows.Scan(&o.Kind, &o.Schema, &o.Name, &o.Table, &o.Definer)
	}, query, database)
	if err != nil {
		return nil, err
	}
	for i := range objects {
		if err := r.show(ctx, &objects[i]); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// createColumn is the column of SHOW CREATE that has the statement.
func createColumn(k Kind) (name string, ok bool) {
	switch k {
	case KindView:
		return "Create View", true
	case KindProcedure:
		return "Create Procedure", true
	case KindFunction:
		return "Create Function", true
	case KindPackage:
		return "Create Package", true
	case KindTrigger:
		return "SQL Original Statement", true
	case KindEvent:
		return "Create Event", true
	}
	return "", false
}

func (r reader) show(ctx context.Context, o *Object) error {
	column, ok := createColumn(o.Kind)
	if !ok { // MariaDB's PACKAGE BODY: refused with its package
		return nil
	}
	found, err := record(ctx, r.conn, "SHOW CREATE "+string(o.Kind)+" "+server.Name(o.Schema, o.Name))
	if err != nil {
		return fmt.Errorf("read %s %s.%s: %w", strings.ToLower(string(o.Kind)), o.Schema, o.Name, err)
	}
	if !found[column].Valid {
		return fault.New(fault.SchemaPrivilege, "the account may not read the text of %s %s.%s",
			strings.ToLower(string(o.Kind)), o.Schema, o.Name)
	}
	o.Create = found[column].String
	o.SQLMode = found["sql_mode"].String
	o.CharsetClient = found["character_set_client"].String
	o.CollationConnection = found["collation_connection"].String
	o.CollationDatabase = found["Database Collation"].String
	o.TimeZone = found["time_zone"].String
	return nil
}
