package objects

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"changeover/cdc/schema"
	"changeover/cdc/state"
	"changeover/internal/fault"
)

// stage is how far a server's objects are.
//
//	            ┌──────────── Arm ───────────┐
//	none ─ Ahead ─ arming ─ armed ─ enabled  │
//	           Disarm │       │        │     │
//	               disarmed ──┘   asiding ─ aside
type stage string

const (
	none     stage = ""
	ahead    stage = "ahead"    // what may be there before the hold
	arming   stage = "arming"   // triggers may or may not be there
	armed    stage = "armed"    // all is there; events don't run
	enabled  stage = "enabled"  // the server is the writer, its events run
	disarmed stage = "disarmed" // no triggers again
	asiding  stage = "asiding"  // the writer no more: triggers may or may not be there
	aside    stage = "aside"    // no triggers
	back     stage = "back"     // put back, without another server
)

// row is what a server's own row of `_changeover`.`objects` says.
type row struct {
	exists bool
	stage  stage
	Pairs  []pair `json:"pairs,omitempty"`
	// Aside are the triggers that were taken away here, as they were, in the order in which they fire.
	Aside []kept `json:"aside,omitempty"`
	// Events say of each event whether it is to run once this server is open.
	Events []event `json:"events,omitempty"`
	// Collations are what databases have for good, while they have another for one statement.
	Collations map[string]string `json:"collations,omitempty"`
	// Refused are triggers that the server refused for good, and why.
	Refused []refused `json:"refused,omitempty"`
	// Took is how long Arm took here, by kinds of things.
	Took map[string][]sample `json:"took,omitempty"`
}

// pair is one object as each server prints it: Here on the server whose row it is, There on the other.
// Events are written as if they were disabled.
type pair struct {
	Here, There kept
}

// kept is an object in a form that JSON leaves alone: its text may be of any charset.
type kept struct {
	schema.Object
	Create []byte
}

func keep(o schema.Object) kept {
	k := kept{Object: o, Create: []byte(o.Create)}
	k.Object.Create = ""
	return k
}

func (k kept) object() schema.Object {
	o := k.Object
	o.Create = string(k.Create)
	return o
}

type event struct {
	kept
	Runs bool
}

type refused struct {
	Object kept
	Why    string
	Number uint16 // of the server's error
}

// lasts tells whether the server would refuse the same text again: its words are at fault, not a
// privilege, a setting or a table. Only of triggers is that worth knowing, which are not made before
// the hold; the others are tried each time.
func (r refused) lasts() bool {
	const parse, notSupported, noVariable, noCharset, noCollation = 1064, 1235, 1193, 1115, 1273
	return r.Object.Kind == schema.KindTrigger && slices.Contains([]uint16{parse, notSupported, noVariable, noCharset, noCollation}, r.Number)
}

// name is what an object is called on both servers.
type name struct {
	kind           schema.Kind
	database, name string
}

func nameOf(o schema.Object) name { return name{o.Kind, o.Schema, o.Name} }

// plain is an object as it is compared: whether an event runs is another matter than what it does.
func plain(o schema.Object) schema.Object {
	if o.Kind == schema.KindEvent {
		return o.Disabled()
	}
	return o
}

// paired keeps that there is called here on this server, in place of what was known of it.
func (r *row) paired(here, there schema.Object) {
	p := pair{keep(plain(here)), keep(plain(there))}
	i := slices.IndexFunc(r.Pairs, func(q pair) bool { return nameOf(q.Here.Object) == nameOf(here) })
	if i < 0 {
		r.Pairs = append(r.Pairs, p)
		return
	}
	r.Pairs[i] = p
}

// unpair forgets an object that is dropped: one of its name that somebody makes later is his.
func (r *row) unpair(o schema.Object) {
	r.Pairs = slices.DeleteFunc(r.Pairs, func(p pair) bool { return nameOf(p.Here.Object) == nameOf(o) })
}

// readRow reads the server's own row; there may be none, nor the table.
func readRow(ctx context.Context, q schema.Queryer, migration string) (*row, error) {
	r := &row{}
	var document []byte
	err := q.QueryRowContext(ctx, "SELECT state, document FROM `_changeover`.`objects` WHERE migration = ?", migration).Scan(&r.stage, &document)
	if n := state.Number(err); errors.Is(err, sql.ErrNoRows) || n == 1146 || n == 1049 {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is known of the objects: %w", err)
	}
	r.exists = true
	if err := json.Unmarshal(document, r); err != nil {
		return nil, fault.New(fault.ObjectsState, "`_changeover`.`objects` of migration %s can't be read: %w", migration, err)
	}
	return r, nil
}

// save writes the row; an empty stage leaves that as it is.
func (m *maker) save(ctx context.Context, to stage) error {
	if to != "" {
		m.row.stage = to
	}
	document, err := json.Marshal(m.row)
	if err != nil {
		return err
	}
	if err := m.base(ctx); err != nil {
		return err
	}
	_, err = m.s.ExecContext(ctx, "REPLACE INTO `_changeover`.`objects` (migration, attempt, state, document, updated) VALUES (?, ?, ?, ?, UTC_TIMESTAMP(6))",
		m.migrate, m.attempt, string(m.row.stage), document)
	if err != nil {
		return fmt.Errorf("write down what is known of the objects: %w", err)
	}
	m.row.exists = true
	return nil
}
