package cdc

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/schema"
	"changeover/internal/fault"
)

// cascades is what a source's foreign keys change beside what its binlog says: MySQL before 9.6 and
// MariaDB leave out what ON DELETE and ON UPDATE do to the children. There the parent's change runs on
// the target as that very statement, with foreign_key_checks on, alone, and the target does the rest
// by itself (row.Change.Cascades). For that the children's rows must be those of the same moment:
//
//   - a parent is wholly copied before a chunk of its children is registered: as long as a change of
//     the parent may be dropped, there is no child on the target that it would have had to change;
//   - a chunk of a child that is registered when a parent's change comes is given up, and read again;
//   - a table that is its own parent has no first row: it is copied before the stream starts,
//     in one read view, like a table without a key; and so are the ancestors of all these.
//
// Keys by which one change reaches a table twice are refused: the target would leave a part out.
//
// Nil where the source logs cascades. It is never changed once it is made.
type cascades struct {
	parents map[schedule.Name]*parentTable
	above   map[schedule.Name][]schedule.Name // a child's parents, itself left out
	cyclic  map[schedule.Name]bool
	keys    []schema.ActionKey
	links   []link
}

// parentTable is what the foreign keys of others do when its rows change.
type parentTable struct {
	onDelete bool
	onUpdate []string               // columns whose change changes others
	below    map[schedule.Name]bool // children, their children, and so on
}

// loadCascades reads the foreign keys with actions that are within the migration.
func loadCascades(ctx context.Context, q row.Queryer, databases []string, inScope func(schema, table string) bool) (*cascades, error) {
	c := &cascades{parents: map[schedule.Name]*parentTable{}, above: map[schedule.Name][]schedule.Name{}, cyclic: map[schedule.Name]bool{}}
	for _, database := range databases {
		if err := c.read(ctx, q, database, inScope); err != nil {
			return nil, err
		}
	}
	c.close()
	if bad := schema.Unfaithful(c.keys); len(bad) > 0 {
		return nil, fault.New(fault.Cascade, "foreign keys with actions by which one change reaches a table twice, which the target would not carry out whole: %s", strings.Join(bad, "; "))
	}
	return c, nil
}

func (c *cascades) read(ctx context.Context, q row.Queryer, database string, inScope func(schema, table string) bool) error {
	rows, err := q.QueryContext(ctx, `
		SELECT k.CONSTRAINT_NAME, k.TABLE_NAME, k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, k.COLUMN_NAME, r.DELETE_RULE, r.UPDATE_RULE
		FROM information_schema.REFERENTIAL_CONSTRAINTS r
		JOIN information_schema.KEY_COLUMN_USAGE k
			ON k.CONSTRAINT_SCHEMA = r.CONSTRAINT_SCHEMA AND k.CONSTRAINT_NAME = r.CONSTRAINT_NAME AND k.TABLE_NAME = r.TABLE_NAME
		WHERE r.CONSTRAINT_SCHEMA = ? AND k.TABLE_SCHEMA = ? AND k.REFERENCED_TABLE_NAME IS NOT NULL
		ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION`, database, database)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name, child, parentSchema, parent, column, from, onDelete, onUpdate string
		if err := rows.Scan(&name, &child, &parentSchema, &parent, &column, &from, &onDelete, &onUpdate); err != nil {
			return err
		}
		deletes, updates := acts(onDelete), acts(onUpdate)
		if !deletes && !updates || !inScope(database, child) || !inScope(parentSchema, parent) {
			continue
		}
		key := schema.ActionKey{Name: name, Child: database + "." + child, Parent: parentSchema + "." + parent, Cascades: onDelete == "CASCADE" && !updates,
			Empties: onDelete == "SET NULL" && !updates}
		if !slices.Contains(c.keys, key) { // a row for each of its columns
			c.keys = append(c.keys, key)
		}
		c.link(link{name, schedule.Name{Schema: parentSchema, Table: parent}, schedule.Name{Schema: database, Table: child}, []string{from}, []string{column}, updates})
		c.add(schedule.Name{Schema: parentSchema, Table: parent}, schedule.Name{Schema: database, Table: child}, column, deletes, updates)
	}
	return rows.Err()
}

// link adds a foreign key, or another column to it.
func (c *cascades) link(l link) {
	if n := len(c.links); n > 0 && c.links[n-1].name == l.name && c.links[n-1].child == l.child {
		last := &c.links[n-1]
		last.columns, last.refs = append(last.columns, l.columns...), append(last.refs, l.refs...)
		return
	}
	c.links = append(c.links, l)
}

// acts tells whether a rule changes children; RESTRICT and NO ACTION only refuse.
func acts(rule string) bool { return rule == "CASCADE" || strings.HasPrefix(rule, "SET ") }

func (c *cascades) add(parent, child schedule.Name, column string, deletes, updates bool) {
	p := c.parents[parent]
	if p == nil {
		p = &parentTable{below: map[schedule.Name]bool{}}
		c.parents[parent] = p
	}
	p.onDelete = p.onDelete || deletes
	if updates && !slices.Contains(p.onUpdate, column) {
		p.onUpdate = append(p.onUpdate, column)
	}
	p.below[child] = true
}

// close finds all descendants, and who is among their own.
func (c *cascades) close() {
	for name, p := range c.parents {
		for child := range p.below {
			if child != name && !slices.Contains(c.above[child], name) {
				c.above[child] = append(c.above[child], name)
			}
		}
	}
	for grown := true; grown; {
		grown = false
		for _, p := range c.parents {
			before := len(p.below)
			for child := range maps.Clone(p.below) {
				if below := c.parents[child]; below != nil {
					maps.Copy(p.below, below.below)
				}
			}
			grown = grown || len(p.below) > before
		}
	}
	for name, p := range c.parents {
		if p.below[name] {
			c.cyclic[name] = true
		}
	}
}

// early adds, to the tables that are copied before the stream starts, those that must be too: the ones
// that are their own ancestors, and the ancestors of any, since they come before it.
func (c *cascades) early(tables map[schedule.Name]bool) {
	for name := range c.cyclic {
		tables[name] = true
	}
	first := maps.Clone(tables) // below has all descendants, so one look is enough
	for name, p := range c.parents {
		for child := range p.below {
			tables[name] = tables[name] || first[child]
		}
	}
}

// changes tells whether a change of a parent's row made the source's server change others.
func (p *parentTable) changes(t *row.Table, before, after row.Row) bool {
	if before == nil {
		return false
	}
	if after == nil {
		return p.onDelete
	}
	for i := range t.Columns {
		if slices.ContainsFunc(p.onUpdate, func(name string) bool { return strings.EqualFold(name, t.Columns[i].Name) }) &&
			((before[i] == nil) != (after[i] == nil) || !bytes.Equal(before[i], after[i])) {
			return true
		}
	}
	return false
}

// mark sets Cascades where the target has to cascade by itself.
func (c *cascades) mark(change *row.Change) {
	if p := c.parents[nameOf(change.Table)]; p != nil {
		change.Cascades = p.changes(change.Table, change.Before, change.After)
	}
}

// descendants are the tables that the changes' cascades may reach.
func (c *cascades) descendants(changes []row.Change) map[schedule.Name]bool {
	out := map[schedule.Name]bool{}
	for i := range changes {
		if changes[i].Cascades {
			maps.Copy(out, c.parents[nameOf(changes[i].Table)].below)
		}
	}
	return out
}

// first are the tables that must be complete before n is copied.
func (c *cascades) first(n schedule.Name) []schedule.Name {
	if c == nil {
		return nil
	}
	return c.above[n]
}

// involves tells whether a table's rows change others, or are changed by others, in a way that the
// binlog does not say.
func (c *cascades) involves(n schedule.Name) bool {
	return c != nil && (c.parents[n] != nil || len(c.above[n]) > 0)
}

func nameOf(t *row.Table) schedule.Name { return schedule.Name{Schema: t.Schema, Table: t.Name} }
