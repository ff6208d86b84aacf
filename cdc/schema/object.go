package schema

import (
	"context"
	"database/sql"
	"fmt"

	"changeover/internal/server"
)

// ReadObjects is Read without the tables: views, routines, triggers and events.
func ReadObjects(ctx context.Context, db *sql.DB, databases []string, filter Filter) (*Schema, error) {
	return readAll(ctx, db, databases, filter, func(r reader) []func(context.Context, *Database) error {
		return []func(context.Context, *Database) error{r.views, r.routines, r.triggers, r.events}
	})
}

// ReadSession is a connection of its own on which definitions are read as Read does; end closes it for good.
func ReadSession(ctx context.Context, db *sql.DB) (conn *sql.Conn, end func(), err error) {
	return session(ctx, db, readSession())
}

// ReadObject reads the text of one object, and the circumstances in which it has its meaning, on a
// session of the caller's. That has an sql_mode without ANSI_QUOTES and the like, and
// character_set_results = NULL, as texts are in charsets of their own.
func ReadObject(ctx context.Context, q Queryer, o Object) (Object, error) {
	err := reader{conn: q}.show(ctx, &o)
	return o, err
}

// Triggers lists the triggers of a database's tables in the order in which they fire, on a session as
// ReadObject's.
func Triggers(ctx context.Context, q Queryer, database string, filter Filter) ([]Object, error) {
	d := Database{Name: database}
	if err := (reader{q, filter}).triggers(ctx, &d); err != nil {
		return nil, fmt.Errorf("read the triggers of %s: %w", database, err)
	}
	return d.Triggers, nil
}

// Queryer reads: *sql.DB, *sql.Conn and *sql.Tx are.
type Queryer = queryer

// TranslateObject is Translate for one view, routine, trigger or event. Towards MariaDB it is for what
// was changed on MySQL after a cutover.
func TranslateObject(o Object, from server.Flavor, target *Target) (Object, []Note, error) {
	tr := &translator{target: target, mariaDB: from == server.MariaDB}
	out := tr.object(o)
	if len(tr.problems) > 0 {
		return out, tr.notes, tr.problems[0]
	}
	return out, tr.notes, nil
}

// Circumstances is the SET statement that gives a session what the object's text needs to have its
// meaning.
func (o Object) Circumstances() string {
	set := "SET SESSION sql_mode = '" + o.SQLMode + "'"
	if o.CharsetClient != "" {
		set += ", character_set_client = " + o.CharsetClient + ", collation_connection = " + o.CollationConnection
	}
	if o.TimeZone != "" {
		set += ", time_zone = '" + o.TimeZone + "'"
	}
	return set
}

// As is the object with another definer, user@host.
func (o Object) As(definer string) Object {
	r := newRewrite(o.Create)
	if at := r.definer(); at > 0 && definer != o.Definer {
		r.replace(at, at+3, quoteAccount(definer))
	}
	o.Create, o.Definer = r.String(), definer
	return o
}

// Statement makes the object, under its Circumstances and in its database; a view in place of one of
// its name.
func (o Object) Statement() string {
	r := newRewrite(o.Create)
	if o.Kind == KindView && r.at(0).is("CREATE") && !r.at(1).is("OR") {
		r.replace(0, 1, "CREATE OR REPLACE")
	}
	return mark + r.String()
}

// eventState is where a CREATE EVENT statement says whether the event runs. The server prints that
// after ON COMPLETION and before COMMENT and DO: ENABLE, DISABLE, DISABLE ON SLAVE.
func (r *rewrite) eventState() (from, to int, ok bool) {
	at := r.find(0, "COMPLETION")
	if at < 0 {
		return 0, 0, false
	}
	for ; at < len(r.tokens) && !r.at(at).is("DO"); at++ {
		switch {
		case matches(r.tokens[at:], "DISABLE", "ON"):
			return at, at + 3, true
		case r.at(at).is("ENABLE", "DISABLE"):
			return at, at + 1, true
		}
	}
	return 0, 0, false
}

// Disabled is the event so that it doesn't run.
func (o Object) Disabled() Object {
	r := newRewrite(o.Create)
	if from, to, ok := r.eventState(); ok {
		r.replace(from, to, "DISABLE")
	}
	o.Create = r.String()
	return o
}

// Enabled tells whether an event runs.
func (o Object) Enabled() bool {
	r := newRewrite(o.Create)
	from, _, ok := r.eventState()
	return ok && r.at(from).is("ENABLE")
}

// Account writes user@host as a statement has it.
func Account(account string) string { return quoteAccount(account) }
