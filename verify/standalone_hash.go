package verify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"changeover/internal/server"
)

// A table that can't be cut into ranges, since its rows have no names or the servers keep them in another
// order, is cut by a hash: of the row's key, or else of the row. To find the rows that differ each side is
// read once for the digests of the parts, and once more for each handful of parts that differ.
const (
	partRows    = 5_000   // rows of a part, about
	fewestParts = 64      // of a table
	mostParts   = 1 << 16 // what the server groups by, in memory
	handfulRows = 50_000  // rows of each side that are held at once
	handfulMost = 1_000   // parts that one query names
	// handfuls is how often a side is read before the rest of what differs isn't counted any more.
	handfuls = 40
)

// hashCut is a table cut by a hash into n parts.
type hashCut struct {
	w *workshop
	p *pair
	n uint64
}

// newHashCut cuts a table that has about so many rows.
func newHashCut(w *workshop, p *pair, rows uint64) *hashCut {
	return &hashCut{w: w, p: p, n: min(max(rows/partRows, fewestParts), mostParts)}
}

// part is the expression of the number of a row's part.
func (h *hashCut) part(t *table) string {
	of := t.rowDigest()
	if t.RowKey >= 0 {
		of = t.encodings(t.keyColumns())
	}
	return fmt.Sprintf("CRC32(%s) %% %d", of, h.n)
}

// within is the condition for some parts.
func (h *hashCut) within(t *table, parts []string) string {
	return h.part(t) + " IN (" + strings.Join(parts, ",") + ")"
}

// differing returns the parts whose digests differ, in handfuls; more tells that there are others.
func (h *hashCut) differing(ctx context.Context) (all [][]string, more bool, err error) {
	if err := h.w.s.pace.wait(ctx); err != nil {
		return nil, false, err
	}
	ours, theirs, err := spend(ctx, h.w, h.p, h.digests)
	if err != nil {
		return nil, false, err
	}
	parts := unequal(ours, theirs)
	size := func(part string) uint64 { return max(ours[part].Rows, theirs[part].Rows) }
	// The smallest first: a part that is all of one value may be larger than all others.
	slices.SortFunc(parts, func(a, b string) int { return cmp.Or(cmp.Compare(size(a), size(b)), strings.Compare(a, b)) })
	var handful []string
	var held uint64
	for _, part := range parts {
		if len(handful) > 0 && (held+size(part) > uint64(h.w.s.handful) || len(handful) == handfulMost) {
			all, handful, held = append(all, handful), nil, 0
		}
		handful, held = append(handful, part), held+size(part)
	}
	if len(handful) > 0 {
		all = append(all, handful)
	}
	more = len(all) > handfuls
	return all[:min(len(all), handfuls)], more, nil
}

// digests are those of the parts on one side. Sums of the first quarters are enough: a part that is missed
// by chance (1 in 2^64) only is not shown.
func (h *hashCut) digests(ctx context.Context, t *table) (map[string]Digest, error) {
	rows, err := t.db.QueryContext(ctx, fmt.Sprintf(`SELECT %s b, COUNT(*), COALESCE(SUM(CAST(CONV(LEFT(h, 16), 16, 10) AS UNSIGNED)), '')
		FROM (SELECT %s AS b, %s AS h FROM %s) AS digests GROUP BY b`,
		t.comment(), h.part(t), t.rowDigest(), server.Name(t.Schema, t.Name)))
	if err != nil {
		return nil, t.wrap(err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string]Digest{}
	for rows.Next() {
		var part string
		var d Digest
		if err := rows.Scan(&part, &d.Rows, &d.Sum); err != nil {
			return nil, t.wrap(err)
		}
		found[part] = d
	}
	return found, t.wrap(rows.Err())
}

// sums are the digests of the rows of some parts, by their keys.
func (h *hashCut) sums(ctx context.Context, t *table, parts []string) (sums, error) {
	found := sums{}
	err := t.eachOf(ctx, t.db, []string{t.rowDigest()}, h.within(t, parts), func(key string, values [][]byte) error {
		var sum [sha256.Size]byte
		if n, err := hex.Decode(sum[:], values[0]); err != nil || n != len(sum) {
			return fmt.Errorf("%q is no digest", values[0])
		}
		found[key] = sum
		return nil
	})
	return found, err
}

// counts tells how often each row of some parts is there, by its digest.
func (h *hashCut) counts(ctx context.Context, t *table, parts []string) (map[string]int, error) {
	rows, err := t.db.QueryContext(ctx, fmt.Sprintf(`SELECT %s h, COUNT(*) FROM (SELECT %s AS h FROM %s) AS digests
		WHERE CRC32(h) %% %d IN (%s) GROUP BY h`,
		t.comment(), t.rowDigest(), server.Name(t.Schema, t.Name), h.n, strings.Join(parts, ",")))
	if err != nil {
		return nil, t.wrap(err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string]int{}
	for rows.Next() {
		var id, count string
		if err := rows.Scan(&id, &count); err != nil {
			return nil, t.wrap(err)
		}
		if found[id], err = strconv.Atoi(count); err != nil {
			return nil, t.wrap(err)
		}
	}
	return found, t.wrap(rows.Err())
}

// locateHashed finds the rows that differ in a table whose rows have names.
func (w *workshop) locateHashed(ctx context.Context, p *pair, t *scan, rows uint64) error {
	h := newHashCut(w, p, rows)
	all, more, err := h.differing(ctx)
	if err != nil {
		return err
	}
	if more {
		t.unsettled(tooMany, 0) // of the others nothing is known
		t.update(func(r *TableReport) { r.AtLeast = true })
	}
	return w.locateIn(ctx, p, t, h, all)
}

// locateIn finds the rows that differ in the first handful of parts, and has the others read later.
func (w *workshop) locateIn(ctx context.Context, p *pair, t *scan, h *hashCut, all [][]string) error {
	if len(all) == 0 {
		return nil
	}
	ours, theirs, err := spend(ctx, w, p, func(ctx context.Context, t *table) (sums, error) { return h.sums(ctx, t, all[0]) })
	if err != nil {
		return err
	}
	w.suspect(t, nil, ours, theirs)
	if others := all[1:]; len(others) > 0 {
		w.queue.later(rest{t, func(ctx context.Context, l lane) error { return w.locateIn(ctx, t.pair.through(l), t, h, others) }})
	}
	return nil
}

// locateUnnamed finds the rows that differ in a table whose rows have no names.
func (w *workshop) locateUnnamed(ctx context.Context, p *pair, t *scan, rows uint64) error {
	if w.unviewed(p) {
		t.unsettled(unviewed, 0)
		return nil
	}
	h := newHashCut(w, p, rows)
	all, more, err := h.differing(ctx)
	if err != nil {
		return err
	}
	var n uint64
	show := map[string][2]int{}
	for _, parts := range all {
		ours, theirs, err := spend(ctx, w, p, func(ctx context.Context, t *table) (map[string]int, error) { return h.counts(ctx, t, parts) })
		if err != nil {
			return err
		}
		for _, id := range unequal(ours, theirs) {
			n += uint64(max(ours[id], theirs[id]) - min(ours[id], theirs[id]))
			if w.reserve(t, 1) == 1 {
				show[id] = [2]int{ours[id], theirs[id]}
			}
		}
		if err := w.s.pace.wait(ctx); err != nil {
			return err
		}
	}
	if n == 0 && !more { // it differed before and after a pause, and now no more
		t.unsettled(keptChanging, 0)
		return nil
	}
	t.found(n, 0)
	t.update(func(r *TableReport) { r.AtLeast = more })
	return w.showUnnamed(ctx, p, t, show)
}

// showUnnamed describes rows by their digests, with how often each side has them.
func (w *workshop) showUnnamed(ctx context.Context, p *pair, t *scan, show map[string][2]int) error {
	if len(show) == 0 {
		return nil
	}
	var ids []string
	for id := range show {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ours, theirs, err := spend(ctx, w, p, func(ctx context.Context, t *table) (map[string]shownRow, error) { return t.rows(ctx, t.db, ids) })
	if err != nil {
		return err
	}
	all := make([]Difference, len(ids))
	for i, id := range ids {
		all[i] = p.difference(ours[id], theirs[id])
		all[i].Source, all[i].Target, all[i].id = show[id][0], show[id][1], id
	}
	slices.SortFunc(all, func(a, b Difference) int {
		return slices.CompareFunc(a.Key, b.Key, func(x, y Cell) int { return bytes.Compare(x.Value, y.Value) })
	})
	t.update(func(r *TableReport) { r.Differences = append(r.Differences, all...) })
	return nil
}
