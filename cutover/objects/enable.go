package objects

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"changeover/cdc/schema"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Enable lets the new writer's events run, after commit, as it opens: those that ran on the old one when
// it was prepared, and no others, whatever the end of a fence has made of them. It may be called again;
// once it was through it does nothing more, so that an event which the application has stopped since is
// not started again. Events that the server refuses to set are a fault.ObjectsEvent, once: nothing comes
// of trying again, and the rest is done.
func (p *Prepared) Enable(ctx context.Context, s Session, side *sql.DB) error {
	return Enable(ctx, s, side, p.o)
}

// Enable is Prepared.Enable for whoever has none.
func Enable(ctx context.Context, s Session, side *sql.DB, o Options) error {
	return work(ctx, s, side, o, "let events run", func(m *maker) error {
		if m.row.stage != armed {
			return nil
		}
		run, err := m.running(ctx, o)
		if err != nil {
			return err
		}
		var no []string
		for _, e := range m.row.Events {
			if run[nameOf(e.Object)] == e.Runs {
				continue
			}
			err := m.setEvent(ctx, e.object(), e.Runs)
			if refuses(err) {
				no = append(no, label(e.object())+": "+err.Error())
			} else if err != nil {
				return fmt.Errorf("%s: %w", label(e.object()), err)
			}
		}
		if err := m.save(ctx, enabled); err != nil || len(no) == 0 {
			return err
		}
		return fault.New(fault.ObjectsEvent, "%s", strings.Join(no, "; "))
	})
}

// running lists the events that run.
func (m *maker) running(ctx context.Context, o Options) (map[name]bool, error) {
	rows, err := m.s.QueryContext(ctx, "SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS WHERE STATUS = 'ENABLED' AND EVENT_SCHEMA IN ("+list(o.Databases)+")",
		anys(o.Databases)...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	run := map[name]bool{}
	for rows.Next() {
		n := name{kind: schema.KindEvent}
		if err := rows.Scan(&n.database, &n.name); err != nil {
			return nil, err
		}
		run[n] = true
	}
	return run, rows.Err()
}

// setEvent lets an event run, or not. ALTER EVENT takes over more of the session than it says: the
// definer, and the sql_mode; so it names the one and runs under the other.
func (m *maker) setEvent(ctx context.Context, o schema.Object, runs bool) error {
	to := " DISABLE"
	if runs {
		to = " ENABLE"
	}
	alter := mark + "ALTER DEFINER = " + schema.Account(o.Definer) + " EVENT " + server.Name(o.Schema, o.Name) + to
	err := m.circumstances(ctx, o, func() error { return m.ddlAsIs(ctx, o, alter) })
	if state.Number(err) == erNoSuchEvent {
		if runs { // it was to run once, and its time was over before it could be made here; or somebody dropped it
			m.log.Warn().Str("event", o.Schema+"."+o.Name).Msg("the event is not there: its time passed during the cutover, or it was dropped")
		}
		return nil
	}
	return err
}
