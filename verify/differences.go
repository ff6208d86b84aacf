package verify

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"changeover/cdc/row"
	"changeover/internal/server"
)

// Difference is one row that isn't the same on both sides.
type Difference struct {
	// Key is the row key's values; of a row without a key, all its values.
	Key []Cell
	// Source and Target are how many such rows there are: 1 and 1 for a row that was changed, 1
	// and 0 for one that is missing on the target; more only for rows without a key.
	Source, Target int
	// Columns are those that differ in a row that is on both sides.
	Columns []ColumnDifference
}

// Cell is a column's value as text: of strings and binary values the bytes.
type Cell struct {
	Column string
	Value  []byte // at most 256 bytes of it; nil is NULL
}

// ColumnDifference is a column that differs. Where both values are the same text, they differ
// behind its end.
type ColumnDifference struct {
	Column         string
	Source, Target []byte // at most 256 bytes of each; nil is NULL
}

// shown is how many bytes of a value are shown.
const shown = 256

// buckets is into how many parts rows are cut by a hash of their key, to find the differing ones
// without all digests crossing the wire, and without an order that two servers agree on.
const buckets = 1024

// Differences finds rows of one table that differ, at most limit of them, in no particular order.
// It reads the table a few times on each side, and holds in memory digests of 1/1024 of its rows.
// Both servers must be quiet. Tables that can't be compared are an error.
func Differences(ctx context.Context, source, target *sql.DB, name Name, limit int) ([]Difference, error) {
	c, err := newComparer(ctx, source, target)
	if err != nil {
		return nil, err
	}
	p, err := c.pair(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", name, err)
	}
	differing, err := p.buckets(ctx)
	if err != nil {
		return nil, err
	}
	var found []Difference
	for _, b := range differing {
		if len(found) >= limit {
			break
		}
		some, err := p.bucket(ctx, b, limit-len(found))
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// both asks the two sides at the same time.
func both[T any](ctx context.Context, p *pair, ask func(context.Context, *table) (T, error)) (source, target T, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { source, err = ask(ctx, p.source); return err })
	group.Go(func() (err error) { target, err = ask(ctx, p.target); return err })
	return source, target, group.Wait()
}

// buckets lists the buckets whose digests differ.
func (p *pair) buckets(ctx context.Context) ([]int, error) {
	source, target, err := both(ctx, p, func(ctx context.Context, t *table) (map[int]Digest, error) { return t.bucketDigests(ctx) })
	if err != nil {
		return nil, err
	}
	var differing []int
	for b := range buckets {
		if source[b] != target[b] {
			differing = append(differing, b)
		}
	}
	return differing, nil
}

func (t *table) bucketDigests(ctx context.Context) (map[int]Digest, error) {
	// Sums of the first quarter are enough here: a bucket that is missed by chance (1 in 2^64)
	// only isn't shown.
	query := fmt.Sprintf(`SELECT %s b, COUNT(*), COALESCE(SUM(CAST(CONV(LEFT(h, 16), 16, 10) AS UNSIGNED)), '')
		FROM (SELECT CRC32(%s) %% %d AS b, %s AS h FROM %s) AS digests GROUP BY b`,
		t.comment(), t.identity(), buckets, t.rowDigest(), server.Name(t.Schema, t.Name))
	rows, err := t.db.QueryContext(ctx, query)
	if err != nil {
		return nil, t.wrap(err)
	}
	defer rows.Close()
	found := map[int]Digest{}
	for rows.Next() {
		var b int
		var d Digest
		if err := rows.Scan(&b, &d.Rows, &d.Sum); err != nil {
			return nil, t.wrap(err)
		}
		found[b] = d
	}
	return found, t.wrap(rows.Err())
}

// identity is the expression that tells rows apart: the key's encoding.
func (t *table) identity() string {
	if t.RowKey < 0 {
		return t.rowDigest()
	}
	return "SHA2(" + t.encodings(t.keyColumns()) + ",256)"
}

func (t *table) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("compare %s.%s on the %s: %w", t.Schema, t.Name, t.side.name, err)
}

// digests is rows by their identity: the row's digest and how many there are of it.
type digests map[string]struct {
	sum   string
	count int
}

func (p *pair) bucket(ctx context.Context, bucket, limit int) ([]Difference, error) {
	source, target, err := both(ctx, p, func(ctx context.Context, t *table) (digests, error) { return t.digests(ctx, bucket) })
	if err != nil {
		return nil, err
	}
	ids := unequal(source, target)
	ids = ids[:min(limit, len(ids))]
	if len(ids) == 0 {
		return nil, nil
	}
	ours, theirs, err := both(ctx, p, func(ctx context.Context, t *table) (map[string]shownRow, error) { return t.rows(ctx, ids) })
	if err != nil {
		return nil, err
	}
	found := make([]Difference, len(ids))
	for i, id := range ids {
		found[i] = p.difference(ours[id], theirs[id])
		found[i].Source, found[i].Target = source[id].count, target[id].count
	}
	return found, nil
}

// unequal lists the rows that aren't the same, in the order of their identities.
func unequal(a, b digests) []string {
	var ids []string
	for id, d := range a {
		if b[id] != d {
			ids = append(ids, id)
		}
	}
	for id := range b {
		if _, ok := a[id]; !ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (t *table) digests(ctx context.Context, bucket int) (digests, error) {
	query := fmt.Sprintf(`SELECT %s id, h, COUNT(*)
		FROM (SELECT %s AS id, %s AS h FROM %s) AS digests WHERE CRC32(id) %% %d = %d GROUP BY id, h`,
		t.comment(), t.identity(), t.rowDigest(), server.Name(t.Schema, t.Name), buckets, bucket)
	rows, err := t.db.QueryContext(ctx, query)
	if err != nil {
		return nil, t.wrap(err)
	}
	defer rows.Close()
	found := digests{}
	for rows.Next() {
		var id, sum sql.NullString // NULL: longer than max_allowed_packet, shown by Compare
		var count int
		if err := rows.Scan(&id, &sum, &count); err != nil {
			return nil, t.wrap(err)
		}
		d := found[id.String]
		d.sum, d.count = d.sum+sum.String, d.count+count
		found[id.String] = d
	}
	return found, t.wrap(rows.Err())
}

// shownRow is a row as it is shown: of each column a digest and the beginning of its value.
type shownRow struct{ digests, values [][]byte }

// rows reads the rows of these identities.
func (t *table) rows(ctx context.Context, ids []string) (map[string]shownRow, error) {
	var parts []string
	for i := range t.Columns {
		v := t.value(&t.Columns[i])
		if k := t.Columns[i].Kind; k == row.Vector || k == row.Geometry {
			v = "HEX(" + v + ")" // LEFT takes no others
		}
		parts = append(parts, fmt.Sprintf("SHA2(%s,256)", t.encoding(&t.Columns[i], t.forms[i])), fmt.Sprintf("LEFT(%s,%d)", v, shown))
	}
	query := fmt.Sprintf("SELECT %s %s AS id, %s FROM %s HAVING id IN ('%s')",
		t.comment(), t.identity(), strings.Join(parts, ", "), server.Name(t.Schema, t.Name), strings.Join(ids, "','"))
	rows, err := t.db.QueryContext(ctx, query)
	if err != nil {
		return nil, t.wrap(err)
	}
	defer rows.Close()
	found := map[string]shownRow{}
	for rows.Next() {
		var id string
		r := shownRow{make([][]byte, len(t.Columns)), make([][]byte, len(t.Columns))}
		into := []any{&id}
		for i := range t.Columns {
			into = append(into, &r.digests[i], &r.values[i])
		}
		if err := rows.Scan(into...); err != nil {
			return nil, t.wrap(err)
		}
		found[id] = r
	}
	return found, t.wrap(rows.Err())
}

// difference says what two rows of one identity differ in; one of them may be missing.
func (p *pair) difference(ours, theirs shownRow) Difference {
	var d Difference
	there := ours
	if there.values == nil {
		there = theirs
	}
	for _, c := range p.source.keyColumns() {
		if there.values != nil {
			d.Key = append(d.Key, Cell{p.source.Columns[c].Name, there.values[c]})
		}
	}
	if ours.values == nil || theirs.values == nil {
		return d
	}
	for i := range ours.values {
		if !bytes.Equal(ours.digests[i], theirs.digests[i]) {
			d.Columns = append(d.Columns, ColumnDifference{p.source.Columns[i].Name, ours.values[i], theirs.values[i]})
		}
	}
	return d
}
