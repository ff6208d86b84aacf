package cdc

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/internal/server"
)

// link is a foreign key with an action: the child's columns, and the parent's that they refer to.
type link struct {
	name          string
	parent, child schedule.Name
	columns, refs []string
	updates       bool // ON UPDATE changes the child too
}

// mostUnsaid is how many rows of children are named to the Companion for one transaction. Beyond it
// whole tables are.
const mostUnsaid = 20_000

// keysAtOnce is how many keys one query names.
const keysAtOnce = 500

// errManyUnsaid says that the rows can't be named: they are too many, or get other keys.
var errManyUnsaid = errors.New("too many rows change unsaid")

// tellUnsaid names to the Companion the rows of children that a transaction's cascades will change.
// The target has just what the source had before the transaction, so they are asked of it.
func (f *feeder) tellUnsaid(ctx context.Context, changes []row.Change) error {
	companion, c := f.r.opts.Companion, f.r.catalog.foreignKeys()
	if _, nobody := companion.(alone); nobody {
		return nil
	}
	found := map[schedule.Name]map[string]row.Row{}
	err := f.r.patiently(ctx, largeWorker, func() error {
		clear(found)
		return f.r.below(ctx, c, changes, found)
	})
	if errors.Is(err, errManyUnsaid) {
		var names []schedule.Name
		for n := range c.descendants(changes) {
			names = append(names, n)
		}
		companion.Unsaid(names)
		return nil
	}
	if err != nil {
		return err
	}
	for n, keys := range found {
		if t := f.r.catalog.table(n); t != nil {
			companion.Touched(t, keys)
		}
	}
	return nil
}

// below finds the rows that cascades from changes reach, by their exact keys.
func (r *Runner) below(ctx context.Context, c *cascades, changes []row.Change, found map[schedule.Name]map[string]row.Row) error {
	front := map[schedule.Name][]row.Row{}
	for i := range changes {
		if ch := &changes[i]; ch.Cascades {
			if ch.Table.RowKey < 0 {
				return errManyUnsaid
			}
			n := nameOf(ch.Table)
			front[n] = append(front[n], ch.Table.Key(ch.Before))
		}
	}
	count := 0
	for len(front) > 0 {
		next := map[schedule.Name][]row.Row{}
		for _, l := range c.links {
			parent, child := r.catalog.table(l.parent), r.catalog.table(l.child)
			if parent == nil || child == nil {
				continue
			}
			for keys := range slices.Chunk(front[l.parent], keysAtOnce) {
				if child.RowKey < 0 || renamesKeys(child, l) {
					return errManyUnsaid
				}
				some, err := r.children(ctx, l, parent, child, keys)
				if err != nil {
					return err
				}
				if found[l.child] == nil {
					found[l.child] = map[string]row.Row{}
				}
				for _, key := range some {
					exact := string(row.AppendKey(nil, key))
					if _, seen := found[l.child][exact]; !seen {
						found[l.child][exact] = key
						next[l.child] = append(next[l.child], key)
						count++
					}
				}
				if count > mostUnsaid {
					return errManyUnsaid
				}
			}
		}
		front = next
	}
	return nil
}

// renamesKeys tells whether an action of the foreign key may give the child's rows other keys.
func renamesKeys(child *row.Table, l link) bool {
	return l.updates && slices.ContainsFunc(child.Keys[child.RowKey].Parts, func(p row.KeyPart) bool {
		return slices.ContainsFunc(l.columns, func(name string) bool { return strings.EqualFold(name, child.Columns[p.Column].Name) })
	})
}

// children asks the target for the keys of a child's rows that refer to some rows of the parent.
func (r *Runner) children(ctx context.Context, l link, parent, child *row.Table, of []row.Row) (keys []row.Row, err error) {
	parts := child.Keys[child.RowKey].Parts
	q := []byte("SELECT /* changeover unsaid */ ")
	for i, p := range parts {
		if i > 0 {
			q = append(q, ',')
		}
		q = child.Columns[p.Column].AppendKeySelect(q)
	}
	q = append(q, " FROM "+server.Name(l.child.Schema, l.child.Table)+" WHERE ("+nameList(l.columns)+") IN (SELECT "+nameList(l.refs)+
		" FROM "+server.Name(l.parent.Schema, l.parent.Table)+" WHERE "...)
	q = append(parent.AppendKeyIn(q, of), ')')
	rows, err := r.target.db.QueryContext(ctx, string(q))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	raw, into := make([]sql.RawBytes, len(parts)), make([]any, len(parts))
	for i := range raw {
		into[i] = &raw[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		key := make(row.Row, len(parts))
		for i, p := range parts {
			v, err := child.Columns[p.Column].Canonical(raw[i])
			if err != nil {
				return nil, err
			}
			key[i] = slices.Clone(v)
		}
		keys = append(keys, key)
	}
	return keys, rows.Err()
}

func nameList(columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = server.Name(c)
	}
	return strings.Join(quoted, ",")
}
