package objects

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"changeover/cdc/schema"
)

// Disarm undoes Arm on the server that does not become the writer: its triggers are gone again, so that
// the stream writes there as before. AUTO_INCREMENT values, views, routines and events that don't run
// stay. It may be called again, and when nothing was armed.
func (p *Prepared) Disarm(ctx context.Context, s Session, side *sql.DB) error {
	return Disarm(ctx, s, side, p.o)
}

// SetAside takes the triggers of a writer that is one no more, after commit: their definitions are
// kept in its `_changeover`.`objects` first. It may be called again.
func (p *Prepared) SetAside(ctx context.Context, s Session, side *sql.DB) error {
	return SetAside(ctx, s, side, p.o)
}

// Disarm is Prepared.Disarm for whoever has none: a coordinator that settles what another began. A server
// that has been enabled, and not set aside since, is left as it is: nobody undoes what was committed.
func Disarm(ctx context.Context, s Session, side *sql.DB, o Options) error {
	return work(ctx, s, side, o, "disarm", func(m *maker) error {
		if m.row.stage == enabled {
			m.log.Error().Msg("this server is the writer by what it knows of its objects: its triggers stay")
			return nil
		}
		if _, err := m.takeAway(ctx, o, ""); err != nil {
			return err
		}
		m.row.Events = nil
		if m.row.stage != arming && m.row.stage != armed {
			return nil
		}
		return m.save(ctx, disarmed)
	})
}

// SetAside is Prepared.SetAside for whoever has none.
func SetAside(ctx context.Context, s Session, side *sql.DB, o Options) error {
	return work(ctx, s, side, o, "set triggers aside", func(m *maker) error {
		if m.row.stage == enabled || m.row.stage == back {
			m.row.Aside = nil // of the time before it was the writer again
		}
		m.row.Events = nil
		found, err := m.takeAway(ctx, o, asiding)
		if err != nil {
			return err
		}
		if found == 0 && m.row.stage == aside {
			return nil
		}
		return m.save(ctx, aside)
	})
}

// PutBack makes the triggers that were set aside on this server, from what it keeps itself: for a
// writer role that comes back without the other server. Arm does more, and needs both.
func PutBack(ctx context.Context, s Session, side *sql.DB, o Options) error {
	return work(ctx, s, side, o, "put triggers back", func(m *maker) error {
		for _, k := range m.row.Aside {
			if err := m.remake(ctx, k.object()); err != nil {
				return fmt.Errorf("make %s: %w", label(k.object()), err)
			}
		}
		return m.save(ctx, back)
	})
}

// work opens the session for one thing.
func work(ctx context.Context, s Session, side *sql.DB, o Options, doing string, do func(*maker) error) (err error) {
	if len(o.Databases) == 0 {
		return nil
	}
	m, err := open(ctx, s, side, o, limitElsewhere)
	if err == nil {
		err = errors.Join(do(m), m.close())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// takeAway drops the triggers of the migration's tables. Those of which this server's row does not say
// how they are made again are kept in it first, under the stage to.
func (m *maker) takeAway(ctx context.Context, o Options, to stage) (found int, err error) {
	if err := m.base(ctx); err != nil {
		return 0, err
	}
	var triggers []schema.Object
	for _, d := range o.Databases {
		some, err := schema.Triggers(ctx, m.s, d, o.inScope)
		if err != nil {
			return 0, err
		}
		triggers = append(triggers, some...)
	}
	if len(triggers) == 0 {
		return 0, nil
	}
	if m.keepAside(triggers, to == asiding) || to != "" {
		if err := m.save(ctx, to); err != nil {
			return 0, err
		}
	}
	// Backwards: those that are left keep their order.
	for _, t := range slices.Backward(triggers) {
		if err := m.drop(ctx, t); err != nil {
			return 0, fmt.Errorf("drop %s: %w", label(t), err)
		}
	}
	return len(triggers), nil
}

// keepAside keeps triggers of which nothing is known yet, or all of them; changed tells whether that
// was so of any. Of those that fire at the same moment, who was found in an earlier try (and dropped
// since) fired after those that are still there.
func (m *maker) keepAside(triggers []schema.Object, all bool) (changed bool) {
	known := map[schema.Object]bool{}
	for _, k := range m.row.Aside {
		known[k.object()] = true
	}
	for _, p := range m.row.Pairs {
		known[p.Here.object()] = known[p.Here.object()] || !all
	}
	var news []kept
	for _, t := range triggers {
		if !known[t] {
			news = append(news, keep(t))
		}
	}
	m.row.Aside = slices.DeleteFunc(m.row.Aside, func(k kept) bool {
		return slices.ContainsFunc(news, func(n kept) bool { return nameOf(n.Object) == nameOf(k.Object) })
	})
	m.row.Aside = append(news, m.row.Aside...)
	return len(news) > 0
}

func compareTables(a, b table) int {
	return cmp.Or(strings.Compare(a.database, b.database), strings.Compare(a.name, b.name))
}
