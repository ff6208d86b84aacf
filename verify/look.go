package verify

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/cdc"
	"changeover/cdc/row"
)

// looker compares parts of tables while both sides live. Each look has the same five steps:
//
//	claim          from now on what the stream touches in the table is remembered
//	low watermark  committed on the source, and waited for until it is applied: what was touched
//	               before the claim is there on both sides
//	read           both sides, in read views that are opened now
//	high watermark committed on the source, and waited for until the stream was read so far: what
//	               one of the views may have seen and the other not is known to be touched
//	judge          what differs and was not touched is different
//
// Worked example: a row is written at source position 7, between the two watermarks. The source's view
// is of position 8 and has it, the target's is of position 6 and has not. The second watermark is at
// 9 or later, so position 7 has been read when the judgement comes: the row is due, not different.
type looker struct {
	*comparer
	stream *cdc.Stream
	ledger *ledger

	mu    sync.Mutex
	pairs map[Name]known
}

// known is a table as both sides have it, in one version.
type known struct {
	pair    *pair
	version int
}

// errAgain says that a look came to nothing: the table was altered, or too much of it was touched.
var errAgain = errors.New("it changed while it was looked at")

// pair knows a table as both sides have it. The source may be ahead of the stream: what does not fit
// counts only if it does so once the stream has passed all that is there now.
func (k *looker) pair(ctx context.Context, n Name, version int) (*pair, error) {
	k.mu.Lock()
	have := k.pairs[n]
	k.mu.Unlock()
	if have.pair != nil && have.version == version {
		return have.pair, nil
	}
	p, err := k.comparer.pair(ctx, n)
	var bad problem
	if errors.As(err, &bad) {
		if err := k.caughtUp(ctx); err != nil {
			return nil, err
		}
		p, err = k.comparer.pair(ctx, n)
	}
	if err != nil {
		return nil, err
	}
	if !k.ledger.current(n, version) {
		return nil, errAgain // what was read may be of after that
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pairs[n] = known{p, version}
	return p, nil
}

// caughtUp waits until the stream has passed all that the source has committed by now.
func (k *looker) caughtUp(ctx context.Context) error {
	n, err := k.stream.Mark(ctx)
	if err != nil {
		return err
	}
	return k.stream.WaitApplied(ctx, n)
}

// forget drops what is known of a table: it may have been altered where the stream has yet to come.
func (k *looker) forget(n Name) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.pairs, n)
}

// views are the two read views of a look.
type views struct{ source, target *sql.Conn }

// open opens views that contain all that is before a watermark that is committed now and applied.
func (k *looker) open(ctx context.Context) (*views, error) {
	low, err := k.stream.Mark(ctx)
	if err != nil {
		return nil, err
	}
	if err := k.stream.WaitApplied(ctx, low); err != nil {
		return nil, err
	}
	v := &views{}
	if err := k.openBoth(ctx, v, low); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

func (k *looker) openBoth(ctx context.Context, v *views, low uint64) (err error) {
	if v.source, err = openView(ctx, k.source.db); err != nil {
		return err
	}
	if seen, err := k.stream.Seen(ctx, v.source, low); err != nil || !seen {
		return errors.Join(err, errAgain) // another server answered, from before it
	}
	v.target, err = openView(ctx, k.target.db)
	return err
}

func openView(ctx context.Context, db *sql.DB) (*sql.Conn, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	for _, statement := range []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			discard(conn)
			return nil, err
		}
	}
	return conn, nil
}

// close ends the views: what they read may be altered again.
func (v *views) close() {
	for _, conn := range []*sql.Conn{v.source, v.target} {
		if conn == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			discard(conn)
		} else {
			_ = conn.Close()
		}
		cancel()
	}
}

func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}

// bothViews asks the two sides at the same time, each in its view.
func bothViews[T any](ctx context.Context, p *pair, v *views, ask func(context.Context, *table, queryer) (T, error)) (source, target T, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { source, err = ask(ctx, p.source, v.source); return err })
	group.Go(func() (err error) { target, err = ask(ctx, p.target, v.target); return err })
	return source, target, group.Wait()
}

// settled commits the high watermark and waits until the stream was read so far.
func (k *looker) settled(ctx context.Context) error {
	high, err := k.stream.Mark(ctx)
	if err != nil {
		return err
	}
	return k.stream.WaitRead(ctx, high)
}

// chunk compares a claimed range, whose rows have names: how many rows it has, how long the source was
// read, and the keys of those that differ and were not touched.
func (k *looker) chunk(ctx context.Context, p *pair, c *claim) (rows uint64, took time.Duration, differing []string, err error) {
	v, err := k.open(ctx)
	if err != nil {
		return 0, 0, nil, err
	}
	defer v.close()
	where := p.within(c.Range)
	began := time.Now()
	source, target, err := bothViews(ctx, p, v, func(ctx context.Context, t *table, q queryer) (Digest, error) { return t.digest(ctx, q, where) })
	took = time.Since(began)
	if err != nil || source == target {
		return source.Rows, took, nil, err
	}
	if err := k.settled(ctx); err != nil {
		return 0, took, nil, err
	}
	touched, ok := k.ledger.touchedKeys(c)
	if !ok {
		return 0, took, nil, errAgain
	}
	equal, err := p.equalBut(ctx, v, where, source, target, touched)
	if err != nil || equal {
		return source.Rows, took, nil, err
	}
	ours, theirs, err := bothViews(ctx, p, v, func(ctx context.Context, t *table, q queryer) (sums, error) { return t.sums(ctx, q, where) })
	if err != nil {
		return 0, took, nil, err
	}
	touched = slices.Sorted(slices.Values(p.spelled(touched)))
	for _, key := range unequal(ours, theirs) {
		if _, there := slices.BinarySearch(touched, key); !there {
			differing = append(differing, key)
		}
	}
	return source.Rows, time.Since(began), differing, nil
}

// equalBut tells whether two digests are equal but for the rows of some keys: those are read in the
// same views and taken away. That is cheap, and so what is touched all the time costs little.
//
// False proves nothing: where the servers disagree which rows a key's condition is true for, more is
// taken away on one side. Row by row it is exact.
func (p *pair) equalBut(ctx context.Context, v *views, where string, source, target Digest, keys []string) (bool, error) {
	if len(keys) == 0 || len(keys) > mostRows/4 {
		return false, nil
	}
	for some := range slices.Chunk(keys, keysAtOnce) {
		rows, err := p.names(some)
		if err != nil {
			return false, err
		}
		among := and(where, p.among(rows))
		ours, theirs, err := bothViews(ctx, p, v, func(ctx context.Context, t *table, q queryer) (Digest, error) { return t.digest(ctx, q, among) })
		if err != nil {
			return false, err
		}
		if source, err = source.without(ours); err != nil {
			return false, err
		}
		if target, err = target.without(theirs); err != nil {
			return false, err
		}
	}
	return source == target, nil
}

// mostImages is how many touched rows of a table without a key are left out of a look: each reading of the
// table compares every row with all of them.
const mostImages = 1000

// whole compares a claimed table whose rows have no names, and finds those that differ by their digests.
// Rows that the stream touched are left out, by all their values.
func (k *looker) whole(ctx context.Context, p *pair, c *claim) (rows uint64, took time.Duration, different map[string]*Finding, err error) {
	v, err := k.open(ctx)
	if err != nil {
		return 0, 0, nil, err
	}
	defer v.close()
	began := time.Now()
	digest := func(where string) (source, target Digest, err error) {
		return bothViews(ctx, p, v, func(ctx context.Context, t *table, q queryer) (Digest, error) { return t.digest(ctx, q, where) })
	}
	source, target, err := digest("")
	rows, took, different = source.Rows, time.Since(began), map[string]*Finding{}
	if err != nil || source == target {
		return rows, took, different, err
	}
	if err := k.settled(ctx); err != nil {
		return 0, took, nil, err
	}
	touched, ok := k.ledger.touchedKeys(c)
	if !ok || len(touched) > mostImages || len(touched) > 0 && !p.matches() {
		return 0, took, nil, errAgain
	}
	where := ""
	if len(touched) > 0 {
		match, err := p.matching(touched)
		if err != nil {
			return 0, took, nil, err
		}
		where = "(" + match + ") IS NOT TRUE"
		if source, target, err = digest(where); err != nil || source == target {
			return rows, time.Since(began), different, err
		}
	}
	found, err := p.keyless(ctx, v, where, suspects)
	if err != nil {
		return 0, took, nil, err
	}
	for _, d := range found {
		different[d.id] = &Finding{Found: time.Now(), Source: d.Source, Target: d.Target}
	}
	return rows, time.Since(began), different, nil
}

// matches tells whether rows can be found by the values that the stream gives of them, on both sides: a
// MariaDB keeps the text of JSON, of which the stream has the value.
func (p *pair) matches() bool {
	document := func(c row.Column) bool { return c.Kind == row.JSON }
	return p.source.flavor == p.target.flavor || !slices.ContainsFunc(p.source.Columns, document) && !slices.ContainsFunc(p.target.Columns, document)
}

// matching is the condition for rows by all their values.
func (p *pair) matching(images []string) (string, error) {
	rows, err := decodeKeys(images)
	if err != nil {
		return "", err
	}
	var text []byte
	for i, r := range rows {
		if len(r) != len(p.key.Columns) {
			return "", errAgain // it was altered
		}
		if i > 0 {
			text = append(text, " OR "...)
		}
		text = append(p.key.AppendMatch(append(text, '('), r), ')')
	}
	return string(text), nil
}

// compareImages compares how many rows each side has of those that were touched, of a table whose rows
// have no names.
func (k *looker) compareImages(ctx context.Context, p *pair, images []string) (map[string]*Finding, error) {
	different := map[string]*Finding{}
	for some := range slices.Chunk(images, keysAtOnce/5) {
		if !p.matches() {
			for _, image := range some {
				different[image] = &Finding{}
			}
			continue
		}
		rows, err := decodeKeys(some)
		if err != nil {
			return nil, err
		}
		source, target, err := both(ctx, p, func(ctx context.Context, t *table) (map[int]int, error) { return p.countImages(ctx, t, rows) })
		if err != nil {
			return nil, err
		}
		for i, image := range some {
			if source[i] != target[i] {
				different[image] = &Finding{Found: time.Now(), Source: source[i], Target: target[i]}
			}
		}
	}
	return different, nil
}

// countImages counts the rows of one side that equal each of some images.
func (p *pair) countImages(ctx context.Context, t *table, images []row.Row) (map[int]int, error) {
	var which, any []byte
	for i, image := range images {
		if len(image) != len(p.key.Columns) {
			return nil, errAgain // it was altered
		}
		match := p.key.AppendMatch(nil, image)
		which = fmt.Appendf(which, " WHEN (%s) THEN %d", match, i)
		if i > 0 {
			any = append(any, " OR "...)
		}
		any = append(append(append(any, '('), match...), ')')
	}
	rows, err := t.db.QueryContext(ctx, fmt.Sprintf("SELECT %s CASE%s END AS n, COUNT(*)%s GROUP BY n", t.comment(), which, t.from(string(any))))
	if err != nil {
		return nil, t.wrap(err)
	}
	defer rows.Close()
	counts := map[int]int{}
	for rows.Next() {
		var n, count int
		if err := rows.Scan(&n, &count); err != nil {
			return nil, t.wrap(err)
		}
		counts[n] = count
	}
	return counts, t.wrap(rows.Err())
}

// compareKeys compares rows by their keys, as they are now.
func (k *looker) compareKeys(ctx context.Context, p *pair, keys []string) (map[string]*Finding, error) {
	different := map[string]*Finding{}
	for some := range slices.Chunk(keys, keysAtOnce) {
		rows, err := p.names(some)
		if err != nil {
			return nil, err
		}
		where := p.among(rows)
		ours, theirs, err := both(ctx, p, func(ctx context.Context, t *table) (sums, error) { return t.sums(ctx, t.db, where) })
		if err != nil {
			return nil, err
		}
		// What else was found is only equal to a key that was asked for, in the column's collation.
		for i, key := range p.spelled(some) {
			if ours[key] != theirs[key] || there(ours, key) != there(theirs, key) {
				different[some[i]] = &Finding{Found: time.Now(), Source: there(ours, key), Target: there(theirs, key)}
			}
		}
	}
	return different, nil
}

func there(found sums, key string) int {
	if _, ok := found[key]; ok {
		return 1
	}
	return 0
}

// columns notes which columns differ in rows that are on both sides.
func (p *pair) columns(ctx context.Context, different map[string]*Finding) error {
	var keys []string
	for key, f := range different {
		if f.Source == 1 && f.Target == 1 {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	found, err := p.describe(ctx, keys)
	if err != nil {
		return err
	}
	for _, d := range found {
		if f := different[d.id]; f != nil {
			for _, c := range d.Columns {
				f.Columns = append(f.Columns, c.Column)
			}
		}
	}
	return nil
}
