package schema

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// ObjectOptions are the decisions that making objects needs.
type ObjectOptions struct {
	Target   *Target
	Definers DefinerPolicy
}

// EventState says whether events run when they are made.
type EventState bool

// The states in which events can be made.
const (
	EventsAsDefined EventState = true
	EventsDisabled  EventState = false // DISABLE: nothing runs before the cutover says so
)

// CreateRoutines makes the procedures and functions, each under the sql_mode, charset and
// collations of its own. Bodies aren't looked into, so tables and views needn't be there.
//
// An object that is there is made anew. The list has an entry for each object; what the target
// refuses is in it and, all together, in a fault.SchemaObject. Any other error means that the list
// is not complete.
func CreateRoutines(ctx context.Context, target *sql.DB, s *Schema, o ObjectOptions) ([]Done, error) {
	return create(ctx, target, s, o, func(d Database) []Object { return d.Routines })
}

// CreateViews makes the views, after the tables and the functions that they use. Views stand on
// views, across databases and in any order: those that fail are tried again for as long as
// others succeed. For the rest see CreateRoutines.
func CreateViews(ctx context.Context, target *sql.DB, s *Schema, o ObjectOptions) ([]Done, error) {
	return create(ctx, target, s, o, func(d Database) []Object { return d.Views })
}

// CreateTriggers makes the triggers, in the order in which the source fires them. Only at the
// cutover: before it they would change rows a second time. For the rest see CreateRoutines.
func CreateTriggers(ctx context.Context, target *sql.DB, s *Schema, o ObjectOptions) ([]Done, error) {
	return create(ctx, target, s, o, func(d Database) []Object { return d.Triggers })
}

// CreateEvents makes the events; disabled, unless it is said otherwise. For the rest see
// CreateRoutines.
func CreateEvents(ctx context.Context, target *sql.DB, s *Schema, o ObjectOptions, state EventState) ([]Done, error) {
	return create(ctx, target, s, o, func(d Database) []Object {
		events := make([]Object, len(d.Events))
		for i, e := range d.Events {
			if state == EventsDisabled {
				e = e.Disabled()
			}
			events[i] = e
		}
		return events
	})
}

func create(ctx context.Context, target *sql.DB, s *Schema, o ObjectOptions, pick func(Database) []Object) ([]Done, error) {
	definers, err := s.Definers(o.Target, o.Definers)
	if err != nil {
		return nil, err
	}
	conn, end, err := session(ctx, target, writeSession())
	if err != nil {
		return nil, fmt.Errorf("create objects: %w", err)
	}
	defer end()
	m := maker{conn: conn, definers: map[string]Definer{}, collations: map[string]string{}}
	for _, d := range definers {
		m.definers[d.Account] = d
	}
	var objects []Object
	for _, d := range s.Databases {
		m.collations[d.Name] = d.Collation
		objects = append(objects, pick(d)...)
	}
	return m.all(ctx, objects)
}

type maker struct {
	conn       *sql.Conn
	definers   map[string]Definer
	collations map[string]string // of the databases
}

// all makes the objects, round after round, until a round makes none.
func (m maker) all(ctx context.Context, objects []Object) ([]Done, error) {
	done := make([]Done, 0, len(objects))
	for len(objects) > 0 {
		var failed []Object
		var refusals []Done
		for _, o := range objects {
			err := m.make(ctx, o)
			if err != nil && serverCode(err) == 0 {
				return done, fmt.Errorf("create %s %s.%s: %w", strings.ToLower(string(o.Kind)), o.Schema, o.Name, err)
			}
			if err != nil {
				failed, refusals = append(failed, o), append(refusals, o.done(Refused, err.Error()))
				continue
			}
			done = append(done, o.done(Created, m.definers[o.Definer].Note))
		}
		if len(failed) == len(objects) {
			return append(done, refusals...), refusal(refusals)
		}
		objects = failed
	}
	return done, nil
}

func (o Object) done(a Action, note string) Done {
	return Done{o.Kind, o.Schema + "." + o.Name, a, note}
}

func refusal(refused []Done) error {
	lines := make([]string, len(refused))
	for i, d := range refused {
		lines[i] = fmt.Sprintf("%s %s: %s", strings.ToLower(string(d.Kind)), d.Name, d.Note)
	}
	return fault.New(fault.SchemaObject, "the target refuses %s", strings.Join(lines, "; "))
}

// make makes one object, in place of one of its name.
func (m maker) make(ctx context.Context, o Object) error {
	if _, err := m.conn.ExecContext(ctx, "USE "+server.Name(o.Schema)); err != nil {
		return err
	}
	if o.Kind != KindView { // a view is replaced: others may stand on it
		if err := ddl(ctx, m.conn, "DROP "+string(o.Kind)+" IF EXISTS "+server.Name(o.Schema, o.Name)); err != nil {
			return err
		}
	}
	restore, err := m.databaseCollation(ctx, o)
	if err != nil {
		return err
	}
	err = m.run(ctx, o)
	if restoreErr := restore(); err == nil {
		err = restoreErr
	}
	return err
}

// databaseCollation gives the database, for one statement, the collation that it had when the
// object was made: parameters and variables without one of their own take it for good.
func (m maker) databaseCollation(ctx context.Context, o Object) (restore func() error, err error) {
	now := m.collations[o.Schema]
	if o.CollationDatabase == "" || o.CollationDatabase == now {
		return func() error { return nil }, nil
	}
	alter := func(collation string) error {
		return ddl(ctx, m.conn, "ALTER DATABASE "+server.Name(o.Schema)+" COLLATE "+collation)
	}
	return func() error { return alter(now) }, alter(o.CollationDatabase)
}

// run creates the object under its own circumstances. Its text is written in its client's charset,
// and so it is sent; afterwards the session is as before.
func (m maker) run(ctx context.Context, o Object) error {
	_, err := m.conn.ExecContext(ctx, o.Circumstances())
	if err == nil {
		_, err = m.conn.ExecContext(ctx, o.As(m.definers[o.Definer].Use).Statement())
	}
	if _, after := m.conn.ExecContext(ctx, "SET SESSION sql_mode = '"+relaxedMode+
		"', character_set_client = utf8mb4, collation_connection = utf8mb4_general_ci, time_zone = '+00:00'"); err == nil {
		err = after
	}
	return err
}

// definer is the place of `user`@`host` after DEFINER=; -1 if there is none. It stands before the
// object's kind, so what the body says is never taken for it.
func (r *rewrite) definer() int {
	for i, t := range r.tokens {
		switch {
		case t.is("DEFINER") && r.at(i+1).is("=") && r.at(i+3).is("@"):
			return i + 2
		case t.is("VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE"):
			return -1
		}
	}
	return -1
}

// object translates a view, routine, trigger or event: its circumstances, and the collations that
// its text names. MariaDB's own words in a body are the target's to refuse.
func (tr *translator) object(o Object) Object {
	tr.schema, tr.name = o.Schema, o.Name
	if tr.mariaDB && tr.target.Flavor == server.MariaDB {
		return o
	}
	if !o.known() {
		tr.problem("MariaDB's packages have no counterpart")
		return o
	}
	o.SQLMode = tr.sqlMode(o.SQLMode)
	o.CollationConnection = tr.collation(o.CollationConnection)
	o.CollationDatabase = tr.collation(o.CollationDatabase)
	r := newRewrite(o.Create)
	tr.collations(r)
	o.Create = r.String()
	return o
}

func (o Object) known() bool {
	switch o.Kind {
	case KindView, KindProcedure, KindFunction, KindTrigger, KindEvent:
		return true
	}
	return false
}

// sqlMode leaves out the modes that the target doesn't know. Some say nothing about a body; the
// others change what it means.
func (tr *translator) sqlMode(mode string) string {
	var kept []string
	for m := range strings.SplitSeq(mode, ",") {
		switch {
		case m == "" || tr.knowsMode(m):
			kept = append(kept, m)
		case harmlessMode(m):
		case m == "TIME_TRUNCATE_FRACTIONAL" && tr.target.Flavor == server.MariaDB: // so it does by itself
		case m == "ORACLE" || m == "EMPTY_STRING_IS_NULL":
			tr.problem("it was made under sql_mode %s, which MySQL hasn't", m)
		default:
			tr.note("sql_mode %s is left out: the target has no such mode", m)
		}
	}
	return strings.Join(kept, ",")
}

func (tr *translator) knowsMode(m string) bool {
	if tr.target.Flavor == server.MariaDB { // it has all of MySQL's but the one that says what it does anyhow
		return m != "TIME_TRUNCATE_FRACTIONAL"
	}
	switch m {
	case "REAL_AS_FLOAT", "PIPES_AS_CONCAT", "ANSI_QUOTES", "IGNORE_SPACE", "ONLY_FULL_GROUP_BY", "NO_UNSIGNED_SUBTRACTION",
		"NO_DIR_IN_CREATE", "ANSI", "NO_AUTO_VALUE_ON_ZERO", "NO_BACKSLASH_ESCAPES", "STRICT_TRANS_TABLES", "STRICT_ALL_TABLES",
		"NO_ZERO_IN_DATE", "NO_ZERO_DATE", "ALLOW_INVALID_DATES", "ERROR_FOR_DIVISION_BY_ZERO", "TRADITIONAL", "HIGH_NOT_PRECEDENCE",
		"NO_ENGINE_SUBSTITUTION", "PAD_CHAR_TO_FULL_LENGTH":
		return true
	case "TIME_TRUNCATE_FRACTIONAL":
		return tr.target.Version.AtLeast(8, 0, 1)
	}
	return false
}

// harmlessMode: modes about accounts, engines and SHOW CREATE.
func harmlessMode(m string) bool {
	switch m {
	case "NO_AUTO_CREATE_USER", "IGNORE_BAD_TABLE_OPTIONS", "NO_FIELD_OPTIONS", "NO_KEY_OPTIONS", "NO_TABLE_OPTIONS":
		return true
	}
	return false
}
