// Package verify proves that two servers hold the same rows.
//
// In: a source and a target, and the tables to compare; beside a running migration also its stream.
// Out: for each table whether every row of it is equal, and if not, which rows and columns differ.
// The decision that matters: digests are computed in the servers, from an encoding that says the same
// for the same value on MySQL and on MariaDB, so that only digests cross the wire.
package verify

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// Name names a table.
type Name struct{ Schema, Table string }

func (n Name) String() string { return n.Schema + "." + n.Table }

// Digest stands for some rows of a table, in any order.
type Digest struct {
	Rows uint64 // how many there are
	Sum  string // of the rows' digests, in hexadecimal; empty if there are no rows
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
	Parallel int // chunks at once, each on both servers; 0 means 2
	// Progress is told of each chunk that was compared: how many rows of a table are. It may be nil,
	// and is called by many goroutines.
	Progress func(table Name, rows uint64)
}

// Compare compares tables, chunk by chunk, each on both servers side by side. The results are in the
// order of tables. Both servers must be quiet: rows that change meanwhile make a table unequal. The
// pools are as Session says, with Options.Parallel connections and one more.
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
		results[i].Name = name
		if _, err = c.table(ctx, group, &results[i], o); err != nil {
			break
		}
	}
	return results, errors.Join(err, group.Wait())
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
