package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/cdc/apply"
	"changeover/cdc/row"
	"changeover/cdc/snapshot"
	"changeover/cdc/state"
	"changeover/internal/server"
)

// repair is what is to be repaired of one table: rows by their keys, or a range.
type repair struct {
	name    Name
	version int
	keys    []string
	crowd   *row.Range
}

// Repair has what is known to differ by now copied again from the source, in order with the stream, and
// compared again. It returns how many rows, or so, that is; State tells how far it is.
func (v *Verifier) Repair() (rows int, err error) {
	l, k := v.present()
	if k == nil {
		return 0, ErrNotYet
	}
	queue, rows := l.toRepair()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.queue = queue
	return rows, nil
}

// toRepair lists what is known to differ, in pieces.
func (l *ledger) toRepair() (queue []repair, rows int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.sorted() {
		var keys []string
		for key := range e.different {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for some := range slices.Chunk(keys, e.repairedAtOnce()) {
			queue = append(queue, repair{name: e.name, version: e.version, keys: some})
		}
		for _, c := range e.crowded {
			queue = append(queue, repair{name: e.name, version: e.version, crowd: &c.Range})
		}
		rows += e.differences()
	}
	return queue, rows
}

// repairedAtOnce is how many rows are read into memory and written with the stream at rest: few of those
// that may be large.
func repairedAtOnce(t *row.Table) int {
	if t == nil || slices.ContainsFunc(t.Columns, func(c row.Column) bool { return long(&c) }) {
		return keysAtOnce / 10
	}
	return keysAtOnce
}

func (e *entry) repairedAtOnce() int { return repairedAtOnce(e.def) }

// repairOnce repairs the next piece of what was asked for.
func (v *Verifier) repairOnce(ctx context.Context) (did bool, err error) {
	if v.cfg.Repair && v.left() == 0 {
		if _, err := v.Repair(); err != nil {
			return false, err
		}
	}
	v.mu.Lock()
	if len(v.queue) == 0 {
		v.mu.Unlock()
		return false, nil
	}
	next := v.queue[0]
	v.mu.Unlock()
	err = v.repair(ctx, next)
	if err != nil && (passes(err) || ctx.Err() != nil || errors.Is(err, server.ErrRestarted)) {
		return false, err // the same again
	}
	if err != nil {
		v.log.Error().Err(err).Str("table", next.name.String()).Msg("rows could not be repaired")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.queue) > 0 {
		v.queue = v.queue[1:]
	}
	return true, nil
}

// left is how many pieces are to be repaired.
func (v *Verifier) left() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.queue)
}

func (v *Verifier) repair(ctx context.Context, r repair) error {
	l, k := v.present()
	if !l.current(r.name, r.version) {
		return nil // it was altered, and is compared from its beginning
	}
	p, err := k.pair(ctx, r.name, r.version)
	if err != nil {
		return err
	}
	if r.crowd == nil {
		return v.repairRows(ctx, l, k, p, r, r.keys)
	}
	// What differs there is not known row by row, and need not be exact: what is equal, or was touched,
	// is copied again too, or left out.
	ours, theirs, err := both(ctx, p, func(ctx context.Context, t *table) (sums, error) { return t.sums(ctx, t.db, p.within(*r.crowd)) })
	if err != nil {
		return err
	}
	for some := range slices.Chunk(unequal(ours, theirs), repairedAtOnce(p.key)) {
		if err := v.repairRows(ctx, l, k, p, r, some); err != nil {
			return err
		}
	}
	l.uncrowd(r.name, *r.crowd)
	return nil
}

// repairRows repairs rows. Those that need a unique value which another row of the target has take that
// row with them: it differs too, or is about to be found.
func (v *Verifier) repairRows(ctx context.Context, l *ledger, k *looker, p *pair, r repair, keys []string) error {
	ctx, done, err := v.begin(ctx) // for each piece anew: a proof waits for this one only
	if err != nil {
		return err
	}
	defer done()
	began := time.Now()
	err = v.repairInOne(ctx, l, k, p, r, keys, began)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (v *Verifier) repairInOne(ctx context.Context, l *ledger, k *looker, p *pair, r repair, keys []string, began time.Time) error {
	for try := 0; ; try++ {
		n, err := v.copyAgain(ctx, l, k, p, r, keys)
		if state.Number(err) == erDuplicate && p.keyed() && try < 3 {
			var strangers []string
			if strangers, err = k.strangers(ctx, p, keys); err == nil && len(strangers) > 0 {
				keys = append(slices.Clone(keys), strangers...)
				continue
			}
		}
		if err != nil {
			return err
		}
		return v.repaired(ctx, l, k, r.name, keys, n, time.Since(began))
	}
}

const erDuplicate = 1062

// repaired notes what was done, and has it compared again.
func (v *Verifier) repaired(ctx context.Context, l *ledger, k *looker, n Name, keys []string, rows int, took time.Duration) error {
	clock := l.again(n, keys)
	v.mu.Lock()
	v.lastRepair = clock
	v.mu.Unlock()
	if rows == 0 {
		return nil
	}
	v.count(func(c *counts) { c.repaired += int64(rows) })
	v.log.Warn().Str("table", n.String()).Int("rows", rows).Dur("took", took).Msg("rows repaired: copied again from the source")
	return k.stream.Store().Record(ctx, "repair", fmt.Sprintf("%d rows of %s were copied again from the source", rows, n))
}

// copyAgain reads rows from the source and writes them in place of the target's, at a point of the
// stream that is behind the read. Of a row that the stream touches in between nothing is written: it
// has written it itself.
//
//	remember ─ low watermark ─ read ─ high watermark is read ─ [delete, insert], with the stream at rest
//
// Worked example: the row is read at position 5; the stream deletes it at position 7; the write comes at
// position 9. Without the memory of touched keys the deleted row would come back.
func (v *Verifier) copyAgain(ctx context.Context, l *ledger, k *looker, p *pair, r repair, keys []string) (rows int, err error) {
	c := l.remember(r.name, r.version)
	if c == nil {
		return 0, errAgain
	}
	defer l.release(c)
	if _, err := k.stream.Mark(ctx); err != nil {
		return 0, err
	}
	where, err := p.source.these(p, keys)
	if err != nil {
		return 0, err
	}
	read, err := k.stream.Rows(ctx, p.key, where)
	if err != nil {
		return 0, err
	}
	if err := k.settled(ctx); err != nil {
		return 0, err
	}
	err = k.stream.Alone(ctx, func(ctx context.Context, tx apply.TargetTx) error {
		touched, ok := l.touchedKeys(c)
		if !ok {
			return errAgain
		}
		if !p.keyed() { // no row of it was touched, or the claim would be void
			rows = len(keys)
			return p.replaceWhole(ctx, tx, keys, read)
		}
		rows, err = p.replace(ctx, tx, keys, touched, read)
		return err
	})
	return rows, err
}

// these is the condition for rows by what they are known by: their keys, or their digests.
func (t *table) these(p *pair, keys []string) (string, error) {
	if !p.keyed() {
		return t.rowDigest() + " IN ('" + strings.Join(keys, "','") + "')", nil
	}
	names, err := p.names(keys)
	return p.among(names), err
}

// replaceWhole deletes every row of the target that has one of some digests, and inserts the source's.
func (p *pair) replaceWhole(ctx context.Context, tx apply.TargetTx, digests []string, read snapshot.Chunk) error {
	where, err := p.target.these(p, digests)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM "+server.Name(p.key.Schema, p.key.Name)+" WHERE "+where); err != nil {
		return err
	}
	var loader snapshot.Loader
	return loader.Insert(ctx, tx, read.Except(func([]byte) bool { return false }))
}

// replace deletes the target's rows of keys and inserts what was read of the source, but for those that
// the stream has touched.
func (p *pair) replace(ctx context.Context, tx apply.TargetTx, keys, touched []string, read snapshot.Chunk) (rows int, err error) {
	keys, touched = p.spelled(keys), p.spelled(touched)
	mine := map[string]bool{}
	for _, key := range keys {
		mine[key] = true
	}
	for _, key := range touched {
		delete(mine, key)
	}
	kept := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !mine[key] })
	for some := range slices.Chunk(kept, keysAtOnce) {
		names, err := p.names(some)
		if err != nil {
			return 0, err
		}
		where := p.among(names)
		// A row may be here under a key that the column's collation takes for the same. Was that
		// touched, then it is the stream's.
		err = p.target.each(ctx, tx, []string{"1"}, where, func(key string, _ [][]byte) error {
			if slices.Contains(touched, key) {
				return errAgain
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+server.Name(p.key.Schema, p.key.Name)+" WHERE "+where); err != nil {
			return 0, err
		}
	}
	var loader snapshot.Loader
	return len(kept), loader.Insert(ctx, tx, read.Except(func(key []byte) bool { return !mine[p.spelled([]string{string(key)})[0]] }))
}

// strangers are the target's rows that have a unique value which one of the source's rows needs.
func (k *looker) strangers(ctx context.Context, p *pair, keys []string) (found []string, err error) {
	names, err := p.names(keys)
	if err != nil {
		return nil, err
	}
	mine := map[string]bool{}
	for _, key := range p.spelled(keys) {
		mine[key] = true
	}
	for i, unique := range p.key.Keys {
		if i == p.key.RowKey || slices.ContainsFunc(unique.Parts, func(part row.KeyPart) bool { return part.Column < 0 || part.Prefix > 0 }) {
			continue
		}
		by := *p.key
		by.RowKey = i
		values, err := p.uniqueValues(ctx, unique, p.among(names))
		if err != nil {
			return nil, err
		}
		for some := range slices.Chunk(values, keysAtOnce) {
			where := string(by.AppendKeyIn(nil, some))
			err := p.target.eachOf(ctx, p.target.db, []string{"1"}, where, func(key string, _ [][]byte) error {
				if !mine[key] {
					mine[key] = true
					found = append(found, key)
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// uniqueValues are the values that the source's rows have in a unique key; those with a NULL collide
// with nothing.
func (p *pair) uniqueValues(ctx context.Context, unique row.Key, where string) (values []row.Row, err error) {
	t := p.source
	var expressions []string
	for _, part := range unique.Parts {
		expressions = append(expressions, string(t.Columns[part.Column].AppendKeySelect(nil)))
	}
	err = t.each(ctx, t.db, expressions, where, func(_ string, raw [][]byte) error {
		key := make(row.Row, len(raw))
		for i, part := range unique.Parts {
			v, err := p.key.Columns[part.Column].Canonical(raw[i])
			if err != nil || v == nil {
				return err
			}
			key[i] = slices.Clone(v)
		}
		values = append(values, key)
		return nil
	})
	return values, err
}

// uncrowd makes a range due of which too much differed to be named.
func (l *ledger) uncrowd(n Name, r row.Range) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.tables[n]
	if e == nil {
		return
	}
	for i, c := range e.crowded {
		if equalKeys(c.Low, r.Low) && equalKeys(c.High, r.High) {
			e.crowded = slices.Delete(e.crowded, i, i+1)
			e.ranges = append(e.ranges, r)
			e.dirty = true
			return
		}
	}
}
