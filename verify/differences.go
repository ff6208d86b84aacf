package verify

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	// Named tells that Key is a key, and no more than that of the row.
	Named bool

	id string // the exact key; of a row without one its digest
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

// Differences finds rows of one table that differ, at most limit of them, in no particular order.
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
	if !p.keyed() {
		return p.keyless(ctx, nil, "", limit)
	}
	var found []Difference
	size := newCutter()
	for rest := (row.Range{}); ; {
		chunk, err := p.next(ctx, rest, size.rows())
		if err != nil {
			return nil, err
		}
		some, err := p.differences(ctx, chunk, limit-len(found))
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
		if whole(chunk, rest) || len(found) >= limit {
			return found, nil
		}
		rest.Low = chunk.High
	}
}

// differences finds the rows of a range that differ.
func (p *pair) differences(ctx context.Context, r row.Range, limit int) ([]Difference, error) {
	where := p.within(r)
	source, target, err := both(ctx, p, func(ctx context.Context, t *table) (Digest, error) { return t.digest(ctx, t.db, where) })
	if err != nil || source == target {
		return nil, err
	}
	ours, theirs, err := both(ctx, p, func(ctx context.Context, t *table) (sums, error) { return t.sums(ctx, t.db, where) })
	if err != nil {
		return nil, err
	}
	keys := unequal(ours, theirs)
	keys = keys[:min(limit, len(keys))]
	return p.describe(ctx, keys)
}

// unequal lists what isn't the same in two maps, sorted.
func unequal[V comparable](a, b map[string]V) []string {
	var keys []string
	for key, v := range a {
		if other, ok := b[key]; !ok || other != v {
			keys = append(keys, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// describe reads rows that have keys on both sides and says what they differ in, as they are now.
// Those that are equal by now are left out.
func (p *pair) describe(ctx context.Context, keys []string) ([]Difference, error) {
	var all []Difference
	for some := range slices.Chunk(keys, keysAtOnce) {
		rows, err := p.names(some)
		if err != nil {
			return nil, err
		}
		where := p.among(rows)
		ours, theirs, err := both(ctx, p, func(ctx context.Context, t *table) (map[string]shownRow, error) { return t.shown(ctx, where) })
		if err != nil {
			return nil, err
		}
		spelled := p.spelled(some)
		for i, key := range some {
			ours, theirs := ours[spelled[i]], theirs[spelled[i]]
			d := p.difference(ours, theirs)
			if ours.values == nil && theirs.values == nil || d.Source == d.Target && len(d.Columns) == 0 {
				continue
			}
			d.id, d.Named, d.Key = key, true, nil
			for at, part := range p.key.Keys[p.key.RowKey].Parts {
				d.Key = append(d.Key, Cell{p.key.Columns[part.Column].Name, rows[i][at]})
			}
			all = append(all, d)
		}
	}
	return all, nil
}

// keysAtOnce is how many keys one query names.
const keysAtOnce = 500

// names decodes row keys. Those of another key than the table has now are of before it was altered:
// errAgain.
func (p *pair) names(keys []string) ([]row.Row, error) {
	rows, err := decodeKeys(keys)
	for _, key := range rows {
		if len(key) != len(p.key.Keys[p.key.RowKey].Parts) {
			return nil, errAgain
		}
		if bad := p.key.CheckKey(key); bad != nil {
			return nil, errors.Join(errAgain, bad)
		}
	}
	return rows, err
}

func decodeKeys(keys []string) ([]row.Row, error) {
	rows := make([]row.Row, len(keys))
	for i, key := range keys {
		var err error
		if rows[i], err = row.DecodeKey([]byte(key)); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// shownRow is a row as it is shown: of each column a digest and the beginning of its value.
type shownRow struct{ digests, values [][]byte }

// shownColumns are the expressions of a shownRow, for each column two.
func (t *table) shownColumns() []string {
	var parts []string
	for i := range t.Columns {
		parts = append(parts, fmt.Sprintf("SHA2(%s,256)", t.encoding(&t.Columns[i], t.forms[i])), t.beginning(&t.Columns[i]))
	}
	return parts
}

// beginning is the expression of the beginning of a column's value, as a person reads it: a FLOAT, unlike
// in its encoding, is itself, with all digits that it has.
func (t *table) beginning(c *row.Column) string {
	switch c.Kind {
	case row.Float:
		return server.Name(c.Name) + "*1e0"
	case row.Vector, row.Geometry: // LEFT takes no others
		return fmt.Sprintf("UNHEX(LEFT(HEX(%s),%d))", t.value(c), 2*shown)
	}
	return fmt.Sprintf("LEFT(%s,%d)", t.value(c), shown)
}

func newShownRow(values [][]byte) shownRow {
	var r shownRow
	for i := 0; i < len(values); i += 2 {
		r.digests, r.values = append(r.digests, bytes.Clone(values[i])), append(r.values, bytes.Clone(values[i+1]))
	}
	return r
}

// shown reads rows that have keys.
func (t *table) shown(ctx context.Context, where string) (map[string]shownRow, error) {
	found := map[string]shownRow{}
	err := t.each(ctx, t.db, t.shownColumns(), where, func(key string, values [][]byte) error {
		found[key] = newShownRow(values)
		return nil
	})
	return found, err
}

// difference says what two rows differ in; one of them may be missing.
func (p *pair) difference(ours, theirs shownRow) Difference {
	var d Difference
	there := ours
	if there.values == nil {
		there = theirs
	}
	if ours.values != nil {
		d.Source = 1
	}
	if theirs.values != nil {
		d.Target = 1
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

// buckets is into how many parts the rows of a table without a key are cut, by a hash of them, to find
// the differing ones without all digests crossing the wire.
const buckets = 1024

// keyless finds rows of a table without a key that differ, among those for which a condition holds, in
// two read views or, if v is nil, as they are. It reads the table a few times on each side, and holds in
// memory digests of 1/1024 of its rows.
func (p *pair) keyless(ctx context.Context, v *views, where string, limit int) ([]Difference, error) {
	source, target, err := inViews(ctx, p, v, func(ctx context.Context, t *table, q queryer) (map[string]Digest, error) {
		return t.bucketDigests(ctx, q, where)
	})
	if err != nil {
		return nil, err
	}
	var found []Difference
	for _, b := range unequal(source, target) {
		if len(found) >= limit {
			break
		}
		some, err := p.bucket(ctx, v, where, b, limit-len(found))
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// inViews asks the two sides at the same time, each in its view; v may be nil.
func inViews[T any](ctx context.Context, p *pair, v *views, ask func(context.Context, *table, queryer) (T, error)) (source, target T, err error) {
	if v != nil {
		return bothViews(ctx, p, v, ask)
	}
	return both(ctx, p, func(ctx context.Context, t *table) (T, error) { return ask(ctx, t, t.db) })
}

func (t *table) bucketDigests(ctx context.Context, q queryer, where string) (map[string]Digest, error) {
	// Sums of the first quarter are enough here: a bucket that is missed by chance (1 in 2^64)
	// only isn't shown.
	query := fmt.Sprintf(`SELECT %s b, COUNT(*), COALESCE(SUM(CAST(CONV(LEFT(h, 16), 16, 10) AS UNSIGNED)), '')
		FROM (SELECT CRC32(%s) %% %d AS b, %[2]s AS h%[4]s) AS digests GROUP BY b`,
		t.comment(), t.rowDigest(), buckets, t.from(where))
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, t.wrap(err)
	}
	defer rows.Close()
	found := map[string]Digest{}
	for rows.Next() {
		var b string
		var d Digest
		if err := rows.Scan(&b, &d.Rows, &d.Sum); err != nil {
			return nil, t.wrap(err)
		}
		found[b] = d
	}
	return found, t.wrap(rows.Err())
}

func (p *pair) bucket(ctx context.Context, v *views, where, bucket string, limit int) ([]Difference, error) {
	source, target, err := inViews(ctx, p, v, func(ctx context.Context, t *table, q queryer) (map[string]int, error) {
		return t.counts(ctx, q, where, bucket)
	})
	if err != nil {
		return nil, err
	}
	ids := unequal(source, target)
	ids = ids[:min(limit, len(ids))]
	if len(ids) == 0 {
		return nil, nil
	}
	ours, theirs, err := inViews(ctx, p, v, func(ctx context.Context, t *table, q queryer) (map[string]shownRow, error) {
		return t.rows(ctx, q, ids)
	})
	if err != nil {
		return nil, err
	}
	found := make([]Difference, len(ids))
	for i, id := range ids {
		found[i] = p.difference(ours[id], theirs[id])
		found[i].Source, found[i].Target, found[i].id = source[id], target[id], id
	}
	return found, nil
}

// counts tells how often each row of a bucket is there, by its digest.
func (t *table) counts(ctx context.Context, q queryer, where, bucket string) (map[string]int, error) {
	query := fmt.Sprintf(`SELECT %s h, COUNT(*) FROM (SELECT %s AS h%s) AS digests WHERE CRC32(h) %% %d = %s GROUP BY h`,
		t.comment(), t.rowDigest(), t.from(where), buckets, bucket)
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, t.wrap(err)
	}
	defer rows.Close()
	found := map[string]int{}
	for rows.Next() {
		var sum sql.NullString // NULL: longer than max_allowed_packet, shown by Compare
		var count int
		if err := rows.Scan(&sum, &count); err != nil {
			return nil, t.wrap(err)
		}
		found[sum.String] += count
	}
	return found, t.wrap(rows.Err())
}

// rows reads the rows of these digests.
func (t *table) rows(ctx context.Context, q queryer, ids []string) (map[string]shownRow, error) {
	query := fmt.Sprintf("SELECT %s %s AS id, %s FROM %s HAVING id IN ('%s')",
		t.comment(), t.rowDigest(), strings.Join(t.shownColumns(), ", "), server.Name(t.Schema, t.Name), strings.Join(ids, "','"))
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, t.wrap(err)
	}
	defer rows.Close()
	found := map[string]shownRow{}
	for rows.Next() {
		raw := make([]sql.RawBytes, 1+2*len(t.Columns))
		into, values := make([]any, len(raw)), make([][]byte, len(raw))
		for i := range raw {
			into[i] = &raw[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, t.wrap(err)
		}
		for i := range raw {
			values[i] = raw[i]
		}
		found[string(raw[0])] = newShownRow(values[1:])
	}
	return found, t.wrap(rows.Err())
}
