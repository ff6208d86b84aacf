// Package objects puts triggers, events, views, routines and AUTO_INCREMENT values on the right
// server at the right step of a cutover, and of a rollback.
//
// In: the two servers, and who gives the role away. Out: the new writer fires what the old one fired,
// and the old one, behind whose fence the stream now writes, fires nothing. The decision that matters:
// what two servers call the same object is kept as a *pair* of texts, each as its own server prints
// it, in `_changeover`.`objects`. An object that nobody changed on the one side comes back on the
// other as it was there, whatever a translation there and back would have made of it; and whether
// somebody changed it is a comparison of texts.
//
//	Prepare  reads both sides before the hold; writes nothing
//	Ahead    makes before the hold what may be there before it: routines, views, disabled events, AUTO_INCREMENT
//	Arm      in the hold: what is left, and the triggers
//	Disarm   undoes Arm: the triggers are gone again
//	Enable   after commit, as the new writer opens: its events run
//	SetAside after commit: the old writer's triggers are kept and dropped
//
// Each of them may be stopped between any two of its statements, and be begun again by anybody.
package objects

import (
	"context"
	"database/sql"
	"time"

	"github.com/rs/zerolog"

	"changeover/cdc/schema"
	"changeover/internal/fault"
)

// Session is the helm's one connection to a server; a *sql.Conn is one. What changes the server passes
// through it. Its settings are as before when a call returns.
type Session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Options say which objects are meant.
type Options struct {
	Migration string
	Attempt   uint64 // for the row in `_changeover`; nothing depends on it
	Databases []string
	// InScope tells which tables and views of Databases belong to the migration, and with the tables
	// their triggers; nil means all of them.
	InScope  func(schema, table string) bool
	Definers schema.DefinerPolicy
	Log      zerolog.Logger
}

func (o Options) inScope(database, table string) bool {
	return o.InScope == nil || o.InScope(database, table)
}

// Problem is something that preflight has to say.
type Problem struct {
	Code   fault.Code
	Detail string
	Blocks bool // the cutover would fail, or lose something
}

// Work is what is to be done on a server, or was: how many of each.
type Work struct {
	Triggers, Events, Views, Routines int
	AutoIncrement                     int // tables whose next value is raised
	Dropped                           int // objects that the old writer has no more
}

// Limit is how long a DDL statement in the hold may take: behind one that waits for a table, everybody
// else who wants the table waits too.
const Limit = 50 * time.Millisecond

// limitElsewhere is for what undoes and what follows a commit: it is to get through, and no hold waits
// for it to be given up.
const limitElsewhere = 500 * time.Millisecond
