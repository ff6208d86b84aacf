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

// CreateTables makes the databases and tables of s, which is in the target's dialect (Translate),
// without the indexes that can wait (Deferrable). Order doesn't matter and cycles of foreign keys
// are fine; the AUTO_INCREMENT value is carried as the source's definition has it.
//
// What is there already is kept, so that a crash needs no record: a table of that name counts as
// made. It must have all parts of its definition, whoever made it, else fault.SchemaTable.
//
// The list has an entry for each table and each deferred index, also when the error isn't nil:
// then it ends with the one that failed.
func CreateTables(ctx context.Context, target *sql.DB, s *Schema) ([]Done, error) {
	conn, end, err := session(ctx, target, writeSession())
	if err != nil {
		return nil, fmt.Errorf("create tables: %w", err)
	}
	defer end()
	defs, err := s.definitions()
	if err != nil {
		return nil, err
	}
	c := creator{conn: conn, defs: defs, all: keysInUse(defs)}
	for _, d := range s.Databases {
		if err := c.database(ctx, d); err != nil {
			return c.done, err
		}
	}
	return c.done, nil
}

// parsed is a table with its definition cut into parts.
type parsed struct {
	Table
	def *Definition
}

func (s *Schema) definitions() ([]parsed, error) {
	var all []parsed
	for _, t := range s.Tables() {
		d, err := Parse(t.Create)
		if err != nil {
			return nil, fmt.Errorf("table %s.%s: %w", t.Schema, t.Name, err)
		}
		all = append(all, parsed{t, d})
	}
	return all, nil
}

type creator struct {
	conn *sql.Conn
	defs []parsed
	all  references
	done []Done
}

func (c *creator) add(kind Kind, name string, action Action, note string) {
	c.done = append(c.done, Done{kind, name, action, note})
}

func (c *creator) database(ctx context.Context, d Database) error {
	if err := c.makeDatabase(ctx, d); err != nil {
		return fmt.Errorf("create database %s: %w", d.Name, err)
	}
	present, err := set(ctx, c.conn, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?", d.Name)
	if err != nil {
		return fmt.Errorf("list tables of %s: %w", d.Name, err)
	}
	for _, t := range c.defs {
		if t.Schema != d.Name {
			continue
		}
		if err := c.table(ctx, t, present[t.Name]); err != nil {
			return err
		}
	}
	return nil
}

// makeDatabase makes the database and enters it: what a definition doesn't qualify is looked for
// in the session's database.
func (c *creator) makeDatabase(ctx context.Context, d Database) error {
	exists, err := set(ctx, c.conn, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", d.Name)
	if err != nil {
		return err
	}
	verb, action := "CREATE DATABASE ", Created
	if len(exists) > 0 {
		verb, action = "ALTER DATABASE ", Present
	}
	if err := ddl(ctx, c.conn, verb+server.Name(d.Name)+defaultCharset(d)); err != nil {
		return err
	}
	c.add(KindDatabase, d.Name, action, "")
	_, err = c.conn.ExecContext(ctx, "USE "+server.Name(d.Name))
	return err
}

func defaultCharset(d Database) string {
	return " DEFAULT CHARACTER SET " + d.Charset + " COLLATE " + d.Collation
}

func (c *creator) table(ctx context.Context, t parsed, exists bool) error {
	name := t.Schema + "." + t.Name
	later := c.all.deferrable(t)
	action := Present
	if !exists {
		action = Created
		slim := t.def.Without(func(p Part) bool { return p.Kind == PlainKey && later[p.Name] })
		if err := ddl(ctx, c.conn, slim.SQL(t.Schema, t.Name)); err != nil {
			c.add(KindTable, name, Refused, err.Error())
			return fault.New(fault.SchemaTable, "the target refuses table %s: %w; the statement was: %s", name, err, shorten(t.Create))
		}
	}
	made, err := showTable(ctx, c.conn, t.Schema, t.Name)
	if err != nil {
		return err
	}
	missing, err := compare(t.def, made, later)
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	if missing != "" {
		c.add(KindTable, name, Refused, missing)
		return fault.New(fault.SchemaTable, "table %s on the target %s", name, missing)
	}
	c.add(KindTable, name, action, "")
	c.addDeferred(t, made)
	return nil
}

// addDeferred lists the indexes that are still to be built.
func (c *creator) addDeferred(t parsed, made string) {
	indexes, err := Missing(t.Create, made)
	if err != nil {
		return // made was parsed a moment ago
	}
	for _, i := range indexes {
		c.add(KindIndex, t.Schema+"."+t.Name+"."+i.Name, Deferred, "built after the table's rows are copied")
	}
}

// compare says in what a table that was made differs from its definition: columns by name and
// order, since rows are carried by position; keys and constraints by name and number. later are
// the indexes that may be missing. Empty means that nothing is amiss.
func compare(want *Definition, made string, later map[string]bool) (difference string, err error) {
	got, err := Parse(made)
	if err != nil {
		return "", err
	}
	if w, g := want.names(Column), got.names(Column); !equalFold(w, g) {
		return fmt.Sprintf("has the columns %s instead of %s", strings.Join(g, ", "), strings.Join(w, ", ")), nil
	}
	for _, kind := range []PartKind{PrimaryKey, UniqueKey, PlainKey, FullTextKey, SpatialKey, ForeignKey} {
		g := got.names(kind)
		for _, n := range want.names(kind) {
			if !contains(g, n) && !(kind == PlainKey && later[n]) {
				return fmt.Sprintf("lacks the key or constraint %q", n), nil
			}
		}
	}
	if w, g := want.checks(), got.checks(); w != g {
		return fmt.Sprintf("has %d CHECK constraints instead of %d", g, w), nil
	}
	return "", nil
}

// checks counts the CHECK constraints: MySQL moves a column's own to the end and names it.
func (d *Definition) checks() int {
	n := 0
	for _, p := range d.Parts {
		if p.Kind == Check || p.Kind == Column && p.has("CHECK", "(") {
			n++
		}
	}
	return n
}

// names lists the parts of a kind, in order.
func (d *Definition) names(kind PartKind) []string {
	var names []string
	for _, p := range d.Parts {
		if p.Kind == kind {
			names = append(names, p.Name)
		}
	}
	return names
}

func equalFold(a, b []string) bool { return slices.EqualFunc(a, b, strings.EqualFold) }

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// Empty lists the tables and views that the target has in these databases, as database.table: a
// copy begins only when there are none.
func Empty(ctx context.Context, target *sql.DB, databases []string) ([]string, error) {
	var found []string
	for _, d := range databases {
		names, err := collect(ctx, target, func(rows *sql.Rows, s *string) error { return rows.Scan(s) },
			"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? ORDER BY TABLE_NAME", d)
		if err != nil {
			return nil, fmt.Errorf("list what the target has in %s: %w", d, err)
		}
		for _, n := range names {
			found = append(found, d+"."+n)
		}
	}
	return found, nil
}
