package verify

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"time"
)

// sighting is a row as both sides had it: its digests, where it was there.
type sighting struct {
	ours, theirs       [sha256.Size]byte
	onSource, onTarget bool
}

func sight(ours, theirs sums, key string) (s sighting) {
	s.ours, s.onSource = ours[key]
	s.theirs, s.onTarget = theirs[key]
	return s
}

func (s sighting) equal() bool { return s.onSource == s.onTarget && s.ours == s.theirs }

// again looks at a batch again:
//
//	equal now                      it was on its way: forgotten
//	different, last look           unchanged since the first: different; else it is unsettled
//	different, more looks to come  put back
//
// A row that is equal in one look was equal, whatever it is later. One that differs in all of them while
// neither side changed it is different, unless the other side is behind by more than that time. One that
// differs and changes may be either.
func (w *workshop) again(ctx context.Context, l lane, b *batch) error {
	b.looks++
	p := b.scan.pair.through(l)
	look := w.look
	if b.whole {
		look = w.lookWhole
	}
	return look(ctx, p, b)
}

func (w *workshop) look(ctx context.Context, p *pair, b *batch) error {
	if w.s.o.Recheck == 0 {
		b.looks = len(looks)
	}
	if err := w.see(ctx, p, b); err != nil {
		return err
	}
	w.s.progress.suspects.Store(int64(w.queue.rows() + len(b.rows)))
	if !b.last() {
		w.put(b)
		return nil
	}
	return w.judge(ctx, p, b)
}

// see reads a batch's rows as they are now, and keeps those that still differ.
func (w *workshop) see(ctx context.Context, p *pair, b *batch) error {
	all := slices.Collect(maps.Keys(b.rows))
	if b.part != nil {
		return w.seeWhere(ctx, p, b, all, p.within(*b.part))
	}
	for keys := range slices.Chunk(all, keysAtOnce) {
		rows, err := decodeKeys(keys)
		if err != nil {
			return err
		}
		if err := w.seeWhere(ctx, p, b, keys, p.among(rows)); err != nil {
			return err
		}
	}
	return nil
}

func (w *workshop) seeWhere(ctx context.Context, p *pair, b *batch, keys []string, where string) error {
	if err := w.s.pace.wait(ctx); err != nil {
		return err
	}
	ours, theirs, err := spend(ctx, w, p, func(ctx context.Context, t *table) (sums, error) { return t.sums(ctx, t.db, where) })
	if err != nil {
		return err
	}
	for _, key := range keys {
		now := sight(ours, theirs, key)
		switch {
		case now.equal():
			delete(b.rows, key)
			delete(b.moved, key)
		case now != b.rows[key]:
			b.rows[key] = now
			b.moved[key] = true
		}
	}
	return nil
}

// judge says what the rows are that a batch still has, and describes some.
func (w *workshop) judge(ctx context.Context, p *pair, b *batch) error {
	var different []string
	for key := range b.rows {
		if !b.moved[key] {
			different = append(different, key)
		}
	}
	if w.unviewed(p) {
		b.scan.unsettled(unviewed, uint64(len(b.rows)))
		return nil
	}
	slices.Sort(different)
	gone, err := w.show(ctx, p, b.scan, different)
	if err != nil {
		return err
	}
	b.scan.found(uint64(len(different)-gone), uint64(len(b.moved)+gone))
	return nil
}

// The reasons of tables that are unsettled as a whole.
const (
	unviewed     = "only InnoDB has read views: it was read as it was at the time"
	keptChanging = "its rows have no key, and kept changing while it was compared as a whole"
	tooMany      = "its key has no ranges, and more rows differ at first sight than are looked at"
)

// unsettled counts rows that are neither equal nor different, and says why.
func (t *scan) unsettled(reason string, rows uint64) {
	t.update(func(r *TableReport) {
		r.Verdict, r.Reason, r.Unsettled = worse(r.Verdict, Unsettled), reason, r.Unsettled+rows
	})
}

// unviewed tells whether a table was read past the views that all were to be read in.
func (w *workshop) unviewed(p *pair) bool {
	return w.s.o.Consistent && (p.source.Engine != "InnoDB" || p.target.Engine != "InnoDB")
}

// show describes as many of the rows as the limit lets it, and returns how many of those are equal by now.
func (w *workshop) show(ctx context.Context, p *pair, t *scan, keys []string) (gone int, err error) {
	keys = keys[:w.reserve(t, len(keys))]
	if len(keys) == 0 {
		return 0, nil
	}
	found, err := p.describe(ctx, keys)
	if err != nil {
		return 0, err
	}
	t.update(func(r *TableReport) { r.Differences = append(r.Differences, found...) })
	return len(keys) - len(found), nil
}

// reserve takes up to n of the rows of a table that may still be described, and of those of all tables.
func (w *workshop) reserve(t *scan, n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = max(min(n, w.s.o.Limit-t.showing, max(mostShown, w.s.o.Limit)-w.showing), 0)
	t.showing += n
	w.showing += n
	return n
}

// suspectWhole takes note of a table whose rows have no names, and that differs.
func (w *workshop) suspectWhole(ctx context.Context, p *pair, t *scan, source, target Digest) error {
	if w.s.o.Recheck == 0 {
		return w.locateUnnamed(ctx, p, t, max(source.Rows, target.Rows))
	}
	w.put(&batch{scan: t, whole: true, source: source, target: target})
	return nil
}

// wholeLooks is how often a table without row names is compared again before it counts as unsettled.
const wholeLooks = 3

// lookWhole compares a table again that differed.
func (w *workshop) lookWhole(ctx context.Context, p *pair, b *batch) error {
	source, target, err := w.digests(ctx, p, "")
	if err != nil {
		return err
	}
	b.scan.update(func(r *TableReport) { r.SourceRows, r.TargetRows = source.Rows, target.Rows })
	switch {
	case source == target:
		return nil
	case source == b.source && target == b.target:
		return w.locateUnnamed(ctx, p, b.scan, max(source.Rows, target.Rows))
	case b.looks < wholeLooks:
		b.source, b.target, b.first = source, target, time.Now()
		w.put(b)
		return nil
	}
	b.scan.unsettled(keptChanging, 0)
	return nil
}
