// Package verify proves that two servers hold the same rows.
//
// In: a source and a target that are quiet, and the tables to compare. Out: for each table whether
// every row of it is equal, and if not, which rows and columns differ. The decision that matters:
// digests are computed in the servers, from an encoding that says the same for the same value on
// MySQL and on MariaDB, so that only digests cross the wire.
package verify

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// Name names a table.
type Name struct{ Schema, Table string }

func (n Name) String() string { return n.Schema + "." + n.Table }

// Digest stands for all rows of a table, in any order.
type Digest struct {
	Rows uint64 // how many there are
	Sum  string // of the rows' digests, in hexadecimal; empty for a table without rows
}

// TableResult is what comparing one table gave.
type TableResult struct {
	Name
	Source, Target Digest
	Equal          bool
	// Problem is why the table couldn't be compared, or is unequal before a row was read: it is
	// missing on one side, or its columns differ. Empty otherwise.
	Problem  string
	Duration time.Duration
}

// Options bound a comparison.
type Options struct {
	Parallel int // tables at once; 0 means 2
}

// Compare compares tables as a whole, the source's and the target's side by side, several tables
// at once. The results are in the order of tables. Both servers must be quiet: rows that change
// meanwhile make a table unequal. The pools need Options.Parallel connections each.
//
// A table that differs, or is missing, is a result. The error says that a server couldn't be asked.
func Compare(ctx context.Context, source, target *sql.DB, tables []Name, o Options) ([]TableResult, error) {
	c, err := newComparer(ctx, source, target)
	if err != nil {
		return nil, err
	}
	results := make([]TableResult, len(tables))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(o.parallel())
	for i, name := range tables {
		group.Go(func() (err error) {
			results[i], err = c.table(ctx, name)
			return err
		})
	}
	return results, group.Wait()
}

func (o Options) parallel() int {
	if o.Parallel > 0 {
		return o.Parallel
	}
	return 2
}

// Equal tells whether every table was equal.
func Equal(results []TableResult) bool {
	for _, r := range results {
		if !r.Equal {
			return false
		}
	}
	return true
}

// side is one of the two servers.
type side struct {
	name   string // "source" or "target"
	db     *sql.DB
	flavor server.Flavor
}

type comparer struct{ source, target side }

func newComparer(ctx context.Context, source, target *sql.DB) (*comparer, error) {
	c := &comparer{source: side{name: "source", db: source}, target: side{name: "target", db: target}}
	for _, s := range []*side{&c.source, &c.target} {
		id, err := server.Identify(ctx, s.db)
		if err != nil {
			return nil, fmt.Errorf("ask the %s who it is: %w", s.name, err)
		}
		s.flavor = id.Flavor
	}
	return c, nil
}

func (c *comparer) table(ctx context.Context, name Name) (TableResult, error) {
	began := time.Now()
	r := TableResult{Name: name}
	p, err := c.pair(ctx, name)
	var problem problem
	if errors.As(err, &problem) {
		r.Problem, r.Duration = string(problem), time.Since(began)
		return r, nil
	}
	if err != nil {
		return r, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { r.Source, err = p.source.digest(ctx); return err })
	group.Go(func() (err error) { r.Target, err = p.target.digest(ctx); return err })
	err = group.Wait()
	r.Equal, r.Duration = err == nil && r.Source == r.Target, time.Since(began)
	return r, err
}

// pair is one table on both sides.
type pair struct{ source, target *table }

// table is one table on one side, with the form of every column's encoding, which both sides share.
type table struct {
	side
	*row.Table
	forms []form
	mixed bool // one of the two servers is a MariaDB
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
	if len(source.Columns) != len(target.Columns) {
		return nil, problem(fmt.Sprintf("%d columns on the source, %d on the target", len(source.Columns), len(target.Columns)))
	}
	forms := make([]form, len(source.Columns))
	for i := range source.Columns {
		a, b := &source.Columns[i], &target.Columns[i]
		if a.Name != b.Name {
			return nil, problem(fmt.Sprintf("column %d is %s on the source, %s on the target", i+1, a.Name, b.Name))
		}
		forms[i] = max(formOf(a), formOf(b))
	}
	source.forms, target.forms = forms, forms
	source.mixed = c.source.flavor == server.MariaDB || c.target.flavor == server.MariaDB
	target.mixed = source.mixed
	if source.RowKey < 0 {
		target.RowKey = -1 // what counts is how the source's rows are told apart
	}
	return &pair{source, target}, nil
}

func (s side) load(ctx context.Context, name Name) (*table, error) {
	t, err := row.Load(ctx, s.db, name.Schema, name.Table)
	if errors.Is(err, row.ErrNoTable) {
		return nil, problem("no such table on the " + s.name)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s from the %s: %w", name, s.name, err)
	}
	for _, c := range t.Columns {
		if c.Kind == row.Unsupported {
			return nil, problem(fmt.Sprintf("column %s has the type %s on the %s, which can't be compared", c.Name, c.ColumnType, s.name))
		}
	}
	return &table{side: s, Table: t}, nil
}

// errUnequalLength is the server's error for a BIT_XOR of values that aren't equally long: here a
// digest and one that is NULL.
const errUnequalLength = 3513

// digest computes the table's digest in the server.
//
// A digest that is NULL (a value longer than max_allowed_packet) would vanish from the sum, so
// there must be as many digests as rows.
func (t *table) digest(ctx context.Context) (Digest, error) {
	var d Digest
	var digests uint64
	var sum sql.NullString
	err := t.db.QueryRowContext(ctx, t.digestQuery()).Scan(&d.Rows, &digests, &sum)
	var refused *mysql.MySQLError
	unequal := errors.As(err, &refused) && refused.Number == errUnequalLength
	if err != nil && !unequal {
		return d, fmt.Errorf("digest of %s.%s on the %s: %w", t.Schema, t.Name, t.side.name, err)
	}
	if unequal || digests != d.Rows || d.Rows > 0 && sum.String == "" {
		return d, fmt.Errorf("digest of %s.%s on the %s: a row is longer than its max_allowed_packet; raise that", t.Schema, t.Name, t.side.name)
	}
	d.Sum = sum.String
	return d, nil
}
