// Package schema carries the databases' definitions from the source to the target: databases,
// tables, indexes, views, routines, triggers and events.
//
// In: the source's own words, as SHOW CREATE prints them. Out: the same objects on the target, and
// a list of what was done with each. The decision that matters: definitions are text, cut into
// parts and edited, never a model that is printed anew. What Changeover has no word for is
// therefore carried as it is or refused by the target, but never lost on the way.
//
// The order of a migration: Read, Inspect, Translate, CreateTables; after a table's last chunk
// BuildIndexes; after the copy CreateRoutines and CreateViews; at the cutover CreateTriggers and
// CreateEvents.
package schema

import (
	"changeover/internal/server"
)

// Schema is the definitions of some databases, of one server.
type Schema struct {
	Flavor    server.Flavor // whose dialect the definitions are in
	Databases []Database    // in the order in which they were asked for
}

// Database is one database and what is in it.
type Database struct {
	Name      string
	Charset   string
	Collation string

	Tables   []Table  // by name
	Views    []Object // by name
	Routines []Object // procedures and functions, by name
	Triggers []Object // by table and event, in the order in which the server fires them
	Events   []Object // by name
}

// Table is one table's definition.
type Table struct {
	Schema, Name string
	// Create is the statement that SHOW CREATE TABLE prints under an empty sql_mode, in utf8mb4.
	Create string
}

// Kind is what an object is; its text is the word that follows CREATE.
type Kind string

// The kinds of things that are made on the target.
const (
	KindDatabase  Kind = "DATABASE"
	KindTable     Kind = "TABLE"
	KindIndex     Kind = "INDEX"
	KindView      Kind = "VIEW"
	KindProcedure Kind = "PROCEDURE"
	KindFunction  Kind = "FUNCTION"
	KindPackage   Kind = "PACKAGE" // MariaDB's; never carried
	KindTrigger   Kind = "TRIGGER"
	KindEvent     Kind = "EVENT"
)

// Object is a view, a routine, a trigger or an event, with the circumstances under which its text
// has its meaning.
type Object struct {
	Kind         Kind
	Schema, Name string
	Table        string // of a trigger: its table
	Definer      string // user@host
	SQLMode      string
	// CharsetClient is the charset in which Create is written, byte for byte.
	CharsetClient       string
	CollationConnection string
	CollationDatabase   string // its database's when it was made; empty for a view
	TimeZone            string // of an event
	Create              string
}

// Action is what was done with a thing.
type Action string

// The actions.
const (
	Created  Action = "created"
	Present  Action = "present"  // it was there already
	Deferred Action = "deferred" // it will be made later, see the note
	Refused  Action = "refused"  // the target doesn't take it, see the note
)

// Done says what was done with one thing, for the operator's record.
type Done struct {
	Kind   Kind
	Name   string // database.name
	Action Action
	Note   string // what differs from the source's definition, or why it is not there
}

// Note says what a definition had to give up, or gained, on the way to the target.
type Note struct {
	Schema, Name string // whose definition
	Text         string // one sentence: what became of what
}

// Tables lists the tables of all databases.
func (s *Schema) Tables() []Table {
	var all []Table
	for _, d := range s.Databases {
		all = append(all, d.Tables...)
	}
	return all
}

// Table finds a table; ok is false if there is none of that name.
func (s *Schema) Table(schema, name string) (t Table, ok bool) {
	for _, t := range s.Tables() {
		if t.Schema == schema && t.Name == name {
			return t, true
		}
	}
	return Table{}, false
}

// Names lists the databases' names.
func (s *Schema) Names() []string {
	names := make([]string, len(s.Databases))
	for i, d := range s.Databases {
		names[i] = d.Name
	}
	return names
}
