package cdc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// A DDL statement that can't be carried stops the stream before it. What is to become of it is an
// operator's to say: another statement in its place, or none. The decision is written under the
// lease, so no run can be in the middle of the statement, and the next run carries it out under the
// statement's own id, exactly once, as it would have the source's.

// Refused lists the statements that have stopped the migration and are not yet passed.
func Refused(ctx context.Context, target server.Endpoint, migration string) ([]state.Decision, error) {
	db, err := server.Dial(ctx, target, server.Session{Connections: 1})
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	defer func() { _ = db.Close() }()
	if there, err := state.Installed(ctx, db); err != nil || !there {
		return nil, err
	}
	refused, err := state.Open(db, migration).Decisions(ctx)
	if state.Number(err) == erNoSuchTable {
		return nil, nil // no run of a version that writes them down has been here
	}
	return refused, err
}

const erNoSuchTable = 1146

// Decide says what is to become of the refused statement id: nothing, or that other runs in its
// place. other must name no tables but those of the source's statement: records of tables that it
// changed unnoticed would be wrong. It fails with fault.LeaseHeld while a run lives.
func Decide(ctx context.Context, o Options, id string, action state.Action, other string) (state.Decision, error) {
	refused, err := Refused(ctx, o.Target, o.Migration)
	if err != nil {
		return state.Decision{}, err
	}
	at := slices.IndexFunc(refused, func(d state.Decision) bool { return d.ID == id })
	if at < 0 {
		return state.Decision{}, fault.New(fault.Usage, "no statement %s has stopped migration %s; %s", id, o.Migration, waitingFor(refused))
	}
	d := refused[at]
	if action == state.RunOther {
		if err := sameNames(d, other); err != nil {
			return d, err
		}
	}
	db, err := server.Dial(ctx, o.Target, state.Session())
	if err != nil {
		return d, fmt.Errorf("target: %w", err)
	}
	defer func() { _ = db.Close() }()
	lease, err := state.AcquireLease(ctx, db, state.LeaseRequest{Migration: o.Migration, Holder: state.Holder{Name: "changeover ddl"}, TTL: o.LeaseTTL, Log: o.Log})
	if err != nil {
		return d, err
	}
	store := lease.Store()
	if _, err = store.Decide(ctx, id, action, other); err == nil {
		err = store.Record(ctx, "ddl", fmt.Sprintf("%s: decided to %s: %s", id, action, brief(d.Statement)))
	}
	if released := lease.Release(ctx); err == nil {
		err = released
	}
	d.Action, d.Other = action, other
	return d, err
}

func waitingFor(refused []state.Decision) string {
	if len(refused) == 0 {
		return "none has"
	}
	var ids []string
	for _, d := range refused {
		ids = append(ids, d.ID)
	}
	return "those that have: " + strings.Join(ids, ", ")
}

// sameNames refuses a statement that is about other tables than the one in whose place it runs. A
// source's statement that was not understood names none: then anything in it may be meant.
func sameNames(d state.Decision, other string) error {
	// The flavor matters to MariaDB's own words only; its dialect understands both.
	was, now := source.Classify(d.Statement, d.Schema, server.MariaDB), source.Classify(other, d.Schema, server.MySQL)
	if now.Kind != source.TableDDL || len(now.Renames) > 0 && len(was.Renames) == 0 {
		return fault.New(fault.Usage, "what runs in its place must be one statement that changes tables, not: %s", brief(other))
	}
	if was.Kind != source.TableDDL {
		return nil
	}
	for _, t := range now.Tables {
		if !slices.ContainsFunc(was.Tables, func(w source.Name) bool {
			return strings.EqualFold(w.Schema, t.Schema) && strings.EqualFold(w.Table, t.Table)
		}) {
			return fault.New(fault.Usage, "what runs in its place is about %s.%s, which the source's statement does not name: %s", t.Schema, t.Table, brief(d.Statement))
		}
	}
	return nil
}
