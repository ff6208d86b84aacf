package compat

import (
	"cmp"
	"database/sql"
	"slices"
	"strings"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

// Picture is a server as it was seen: its definitions, and what rules ask of it. Nothing in it
// asks the server again, but for Probe.
type Picture struct {
	Flavor    server.Flavor
	Version   string            // as VERSION() has it
	Throwaway bool              // it was started for a text, and is gone
	Variables map[string]string // all global variables, by their names in lower case
	Databases []Database        // those that were asked for, by name
	// Collations are the default collations of the server's character sets, for its sessions.
	Collations map[string]string
	// Objects are all of the databases, in the order in which they could be made: tables, sequences, views,
	// routines, triggers, events; within that by name.
	Objects  []Object
	Accounts []Account // empty if they may not be seen; Refused says so then
	// Grants are those of the account that looked, as SHOW GRANTS has them.
	Grants []string
	// Refused is what could not be looked at, with the server's reason.
	Refused []Refusal
	// Probe asks the server about rows; nil without leave to. Rules ask bounded questions only.
	Probe server.Queryer
}

// Database is a database with what its tables inherit.
type Database struct{ Name, Charset, Collation string }

// Object is a table, sequence, view, routine, trigger or event.
type Object struct {
	Kind         string // "table", "sequence", "view", "procedure", "function", "trigger", "event"; MariaDB: "package", "package body"
	Schema, Name string
	SQL          string // as SHOW CREATE has it; empty if it may not be seen
	Table        string // of a trigger

	// Of a table, from information_schema.
	Engine, RowFormat, Options, Collation string
	AutoIncrement, Rows                   uint64 // the next number, 0 if there is none; an estimate
	Columns                               []ColumnFacts

	// Of views and programs, from information_schema.
	Definer, Security, SQLMode             string
	Charset, Connection, DatabaseCollation string // character_set_client, collation_connection
	Status                                 string // of an event: ENABLED, DISABLED, …
	Deterministic                          bool
	DataAccess                             string // NO SQL, READS SQL DATA, …
}

// ColumnFacts is what information_schema.COLUMNS says of a column.
type ColumnFacts struct {
	Name, Type, Collation, Extra, Generation string
	Nullable                                 bool
	Default                                  sql.NullString
}

// Account is an account or a role.
type Account struct {
	User, Host, Plugin string
	Locked, NoPassword bool
}

// Refusal is something that a server did not let us see.
type Refusal struct{ What, Reason string }

// LookOptions are what Look goes by.
type LookOptions struct {
	// Databases are those to look at; empty: all but the server's own and Changeover's.
	Databases []string
	// MayLack: a database that was asked for and isn't there is no error. A target has none before the migration.
	MayLack bool
	// Data gives leave to ask about rows: Picture.Probe is set.
	Data bool
}

// InputOf makes an input of what a server has: a file for each object, named by it, of one statement.
func InputOf(p *Picture) *Input {
	in := &Input{live: map[*ddl.File]*Object{}}
	for i := range p.Objects {
		o := &p.Objects[i]
		f := ddl.NewFile(o.Schema+"."+o.Name, o.SQL)
		in.Files = append(in.Files, f)
		in.live[f] = o
	}
	return in
}

// Shows is the object that a file of a server's input shows, nil if it is a text of somebody's.
func (in *Input) Shows(f *ddl.File) *Object { return in.live[f] }

// Within leaves out what a migration is not about: tables and views whose names match is false for, and the triggers
// of such tables. Other programs are of a database as a whole. databases are as the configuration spells them: a server
// that folds names shows them otherwise.
func (p *Picture) Within(databases []string, match func(database, table string) bool) {
	folds := p.Variables["lower_case_table_names"] != "0"
	p.Objects = slices.DeleteFunc(p.Objects, func(o Object) bool {
		name := cmp.Or(o.Table, o.Name)
		if o.Table == "" && o.Kind != "table" && o.Kind != "view" && o.Kind != "sequence" {
			return false
		}
		return !slices.ContainsFunc(databases, func(d string) bool {
			return (d == o.Schema || folds && strings.EqualFold(d, o.Schema)) && match(d, name)
		})
	})
}
