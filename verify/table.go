package verify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// side is one of the two servers.
type side struct {
	name   string // "source" or "target"
	db     *sql.DB
	flavor server.Flavor
	wide   bool // its BIT_XOR takes 256 bits, and it knows lateral tables
	packet int  // max_allowed_packet
}

// comparer knows the two servers.
type comparer struct{ source, target side }

func newComparer(ctx context.Context, source, target *sql.DB) (*comparer, error) {
	c := &comparer{source: side{name: "source", db: source}, target: side{name: "target", db: target}}
	for _, s := range []*side{&c.source, &c.target} {
		id, err := server.Identify(ctx, s.db)
		if err != nil {
			return nil, fmt.Errorf("ask the %s who it is: %w", s.name, err)
		}
		s.flavor = id.Flavor
		if err := s.limits(ctx, id.Version); err != nil {
			return nil, fmt.Errorf("ask the %s what it can do: %w", s.name, err)
		}
	}
	return c, nil
}

// pair is one table on both sides.
type pair struct {
	source, target *table
	// key is the definition by which rows are named and conditions are written, on both sides: the
	// target's, in which the stream has its keys too.
	key *row.Table
}

// table is one table on one side, and how its rows are encoded.
type table struct {
	side
	*row.Table
	coding
}

// problem is why two tables can't be equal whatever their rows are.
type problem string

func (p problem) Error() string { return string(p) }

func (c *comparer) pair(ctx context.Context, name Name) (*pair, error) {
	source, err := c.source.load(ctx, name)
	if err != nil {
		return nil, err
	}
	target, err := c.target.load(ctx, name)
	if err != nil {
		return nil, err
	}
	return c.match(source, target)
}

// match pairs the definitions of the two sides. The error is a problem.
func (c *comparer) match(ours, theirs *row.Table) (*pair, error) {
	source, err := c.source.table(ours)
	if err != nil {
		return nil, err
	}
	target, err := c.target.table(theirs)
	if err != nil {
		return nil, err
	}
	if len(source.Columns) != len(target.Columns) {
		return nil, problem(fmt.Sprintf("%d columns on the source, %d on the target", len(source.Columns), len(target.Columns)))
	}
	for i := range source.Columns {
		a, b := &source.Columns[i], &target.Columns[i]
		if a.Name != b.Name {
			return nil, problem(fmt.Sprintf("column %d is %s on the source, %s on the target", i+1, a.Name, b.Name))
		}
	}
	encode(source, target)
	// Rows have names only if both sides name them by the same columns.
	if source.RowKey < 0 || target.RowKey < 0 || !slices.Equal(keyNames(source.Table), keyNames(target.Table)) {
		source.RowKey, target.RowKey = -1, -1
	}
	with := c.source.flavor
	if c.target.flavor == server.MariaDB {
		with = server.MariaDB
	}
	target.UseWeights(with)
	if with == server.MariaDB {
		target.OneZero()
	}
	return &pair{source: source, target: target, key: target.Table}, nil
}

// keyNames are the name of the row key's index and those of its columns.
func keyNames(t *row.Table) []string {
	names := []string{t.Keys[t.RowKey].Name}
	for _, p := range t.Keys[t.RowKey].Parts {
		names = append(names, t.Columns[p.Column].Name)
	}
	return names
}

// keyed tells whether rows have names.
func (p *pair) keyed() bool { return p.key.RowKey >= 0 }

// spell is a value of a column as both sides give it back, where one of them keeps no more of it.
func (t *table) spell(column int, v row.Value) row.Value {
	if own := t.forms[column].own; own != nil {
		return own.Spell(v)
	}
	return v
}

// spelled are row keys, as the stream or a former run knows them, as each gives them: a key is one, however
// either side spells it. Those of another key than the table has now stay as they are.
func (p *pair) spelled(keys []string) []string {
	parts := p.key.Keys[p.key.RowKey].Parts
	if !slices.ContainsFunc(parts, func(part row.KeyPart) bool { return p.target.forms[part.Column].own != nil }) {
		return keys
	}
	all := slices.Clone(keys)
	for i, key := range all {
		decoded, err := row.DecodeKey([]byte(key))
		if err != nil || len(decoded) != len(parts) {
			continue
		}
		for at, part := range parts {
			decoded[at] = p.target.spell(part.Column, decoded[at])
		}
		all[i] = string(row.AppendKey(nil, decoded))
	}
	return all
}

// cut tells whether the table can be cut into ranges that mean the same on both sides: the servers
// keep the key in one order, and find a range by the key's index.
func (p *pair) cut() bool {
	if !p.keyed() {
		return false
	}
	if p.source.flavor != p.target.flavor {
		return p.key.Ordered()
	}
	for _, part := range p.key.Keys[p.key.RowKey].Parts {
		if p.key.Columns[part.Column].Kind == row.Set {
			return false
		}
	}
	return true
}

func (s side) load(ctx context.Context, name Name) (*row.Table, error) {
	t, err := row.Load(ctx, s.db, name.Schema, name.Table)
	if errors.Is(err, row.ErrNoTable) {
		return nil, problem("no such table on the " + s.name)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s from the %s: %w", name, s.name, err)
	}
	return t, nil
}

// table is a definition of this side's, if its values can be compared.
func (s side) table(t *row.Table) (*table, error) {
	for _, c := range t.Columns {
		if c.Kind == row.Unsupported {
			return nil, problem(fmt.Sprintf("column %s has the type %s on the %s, which can't be compared", c.Name, c.ColumnType, s.name))
		}
	}
	return &table{side: s, Table: t}, nil
}

// both asks the two sides at the same time. One side's error doesn't break the other's question off: that
// would cost its connection, and the read view that it may have.
func both[T any](ctx context.Context, p *pair, ask func(context.Context, *table) (T, error)) (source, target T, err error) {
	var group errgroup.Group
	group.Go(func() (err error) { source, err = ask(ctx, p.source); return err })
	group.Go(func() (err error) { target, err = ask(ctx, p.target); return err })
	return source, target, group.Wait()
}
