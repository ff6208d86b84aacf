package cdc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"changeover/cdc/apply"
	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// feeder takes the stream's transactions, in order, makes changes of their events, and submits
// them. It is one goroutine: the table definitions that it reads by are those of the stream's
// position, because DDL passes here too.
type feeder struct {
	r        *Runner
	seq      uint64
	skip     map[string]bool // ids that were applied before the restart
	resume   uint64          // no chunk is registered before this one
	decoders map[decoderKey]*row.Decoder
	// waiting are transactions whose changes' places are not known yet: the source is asked for those
	// of many at once.
	waiting      []*schedule.Tx
	waitingBytes int64
}

// How many transactions, of how many bytes, wait at most for the places of their changes.
const (
	maxWaiting      = 500
	maxWaitingBytes = 1 << 20
)

type decoderKey struct {
	schema, table string
	id            uint64 // the source's id of the table's definition
}

func newFeeder(r *Runner, applied []state.Applied) *feeder {
	f := &feeder{r: r, skip: make(map[string]bool, len(applied)), decoders: map[decoderKey]*row.Decoder{}}
	r.flow.With(func(s *schedule.Scheduler) {
		f.seq = s.Applied()
		for _, a := range applied {
			f.skip[a.ID] = true
			f.resume = max(f.resume, a.Seq)
		}
		if f.resume > f.seq {
			s.Close(func(schedule.Name) bool { return false })
		}
	})
	return f
}

func (f *feeder) run(ctx context.Context) error {
	for {
		tx, err := f.r.reader.Next(ctx)
		if err != nil {
			return err
		}
		if err := f.take(ctx, tx); err != nil {
			return fmt.Errorf("transaction %s: %w", tx.ID, err)
		}
		if err := f.serve(ctx); err != nil {
			return err
		}
	}
}

// take handles one transaction of the source.
func (f *feeder) take(ctx context.Context, tx *source.Tx) error {
	if f.skip[tx.ID] || tx.Statement != nil || tx.Large {
		if err := f.flush(ctx); err != nil {
			return err
		}
	}
	f.seq++
	note := &source.Tx{ID: tx.ID, Log: tx.Log, Committed: tx.Committed}
	switch {
	case f.skip[tx.ID]:
		if err := f.tellOfApplied(ctx, tx); err != nil {
			return f.again(ctx, err)
		}
		// Only now: one whose reading is interrupted comes again, and must be skipped again.
		delete(f.skip, tx.ID)
		f.r.stats.skipped.Add(1)
		return f.handOn(ctx, &schedule.Tx{Seq: f.seq, ID: tx.ID, Note: note})
	case tx.Statement != nil:
		if err := f.r.ddl.pass(ctx, f, tx); err != nil {
			return f.again(ctx, err)
		}
		return f.submit(ctx, &schedule.Tx{Seq: f.seq, ID: tx.ID, Note: note})
	case tx.Large:
		if err := f.large(ctx, tx); err != nil {
			return f.again(ctx, err)
		}
		return f.submit(ctx, &schedule.Tx{Seq: f.seq, ID: tx.ID, Note: note})
	}
	changes, mark, err := f.changes(tx.Rows)
	if err != nil {
		return err
	}
	f.r.opts.Companion.Changed(changes)
	f.r.read.passed(mark)
	if slices.ContainsFunc(changes, func(c row.Change) bool { return c.Cascades }) {
		if err := f.flush(ctx); err != nil {
			return err
		}
		if err := f.cascade(ctx, tx, changes); err != nil {
			return err
		}
		changes = nil
	}
	return f.submit(ctx, &schedule.Tx{Seq: f.seq, ID: tx.ID, Changes: changes, Mark: mark, Bytes: tx.Bytes, Note: note})
}

// tellOfApplied tells the companion of a transaction that an earlier run has applied. Its rows are of
// their tables as they were then: what a statement since has altered is told of as altered.
func (f *feeder) tellOfApplied(ctx context.Context, tx *source.Tx) error {
	tell := func(events []source.Rows) {
		for i := range events {
			n := schedule.Name{Schema: events[i].Schema, Table: events[i].Table}
			changes, mark, err := f.changes(events[i : i+1])
			switch {
			case err != nil:
				f.r.opts.Companion.Altered([]Alteration{{Was: n, Now: n, ID: f.r.catalog.id(n)}})
			case slices.ContainsFunc(changes, func(c row.Change) bool { return c.Cascades }):
				f.r.opts.Companion.Unsaid(slices.Collect(maps.Keys(f.r.catalog.foreignKeys().descendants(changes))))
				fallthrough
			default:
				f.r.opts.Companion.Changed(changes)
				f.r.read.passed(mark)
			}
		}
	}
	if tx.Statement != nil {
		for _, n := range f.r.concerned(tx.Statement) {
			f.r.opts.Companion.Altered([]Alteration{{Was: n, Now: n, ID: f.r.catalog.id(n)}})
		}
		f.forget()
	}
	tell(tx.Rows)
	for tx.Large {
		rows, err := tx.More(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		tell(rows)
	}
	return nil
}

// submit hands a transaction on, after those that wait; or has it wait, if it wants places and more
// transactions are there to be asked for at the same time.
func (f *feeder) submit(ctx context.Context, tx *schedule.Tx) error {
	f.waiting = append(f.waiting, tx)
	f.waitingBytes += tx.Bytes
	if f.wantsPlaces(f.waiting[0].Changes) && len(f.waiting) < maxWaiting && f.waitingBytes < maxWaitingBytes && f.r.reader.Ready() {
		return nil
	}
	return f.flush(ctx)
}

// flush hands on the transactions that wait.
func (f *feeder) flush(ctx context.Context) error {
	if len(f.waiting) == 0 {
		return nil
	}
	txs := f.waiting
	f.waiting, f.waitingBytes = nil, 0
	changes := make([][]row.Change, len(txs))
	for i, tx := range txs {
		changes[i] = tx.Changes
	}
	if err := f.place(ctx, changes); err != nil {
		return err
	}
	for i, tx := range txs {
		tx.Changes = changes[i]
		tx.Bytes += bytesOfPlaces(tx.Changes)
		if err := f.handOn(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// bytesOfPlaces is about what the weights hold.
func bytesOfPlaces(changes []row.Change) (n int64) {
	for i := range changes {
		for _, v := range changes[i].Place {
			n += int64(len(v)) + 24
		}
	}
	return n
}

// wantsPlaces tells whether the scheduler must know the place of some change: its table's order is
// told by weights, and it is not wholly copied.
func (f *feeder) wantsPlaces(changes []row.Change) bool {
	return slices.ContainsFunc(changes, f.wantsPlace)
}

func (f *feeder) wantsPlace(c row.Change) bool {
	return c.Table.Weighed() && !f.r.flow.Complete(nameOf(c.Table))
}

// place gives changes their places, of all transactions in one question. A table that is complete now
// stays so until the feeder itself passes a DDL.
func (f *feeder) place(ctx context.Context, txs [][]row.Change) error {
	var of []*row.Change
	var tables []*row.Table
	var keys []row.Row
	for i, changes := range txs {
		if !f.wantsPlaces(changes) {
			continue
		}
		txs[i] = schedule.SplitKeys(changes)
		for j := range txs[i] {
			if c := &txs[i][j]; f.wantsPlace(*c) {
				image := c.Before
				if image == nil {
					image = c.After
				}
				of, tables, keys = append(of, c), append(tables, c.Table), append(keys, c.Table.Key(image))
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if err := f.r.weigher.weighAll(ctx, tables, keys); err != nil {
		return err
	}
	for i, c := range of {
		c.Place = keys[i]
	}
	return nil
}

// again makes an interrupted large transaction nothing: the reader hands it out once more.
func (f *feeder) again(ctx context.Context, err error) error {
	if ctx.Err() == nil && errors.Is(err, source.ErrInterrupted) {
		f.seq--
		return nil
	}
	return err
}

func (f *feeder) handOn(ctx context.Context, tx *schedule.Tx) error {
	if err := f.r.flow.Submit(ctx, tx); err != nil {
		return err
	}
	if tx.Seq >= f.resume && f.resume > 0 {
		f.resume = 0
		f.r.flow.Open()
	}
	return nil
}

// drop reads a large transaction to its end.
func drop(ctx context.Context, tx *source.Tx) error {
	for {
		if _, err := tx.More(ctx); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// large applies a transaction that is over the byte budget, alone and as it arrives: everything
// before it is committed first, chunks that are only registered are given up.
func (f *feeder) large(ctx context.Context, tx *source.Tx) error {
	f.r.log.Info().Str("id", tx.ID).Int64("bytes", tx.Bytes).Msg("a large transaction is applied alone")
	if err := f.r.flow.Drain(ctx, func(schedule.Name) bool { return true }); err != nil {
		return err
	}
	defer f.open()
	next := func(ctx context.Context) ([]row.Change, error) {
		rows, err := tx.More(ctx)
		if err != nil {
			return nil, err
		}
		changes, _, err := f.changes(rows)
		if err != nil {
			return nil, err
		}
		f.r.opts.Companion.Changed(changes)
		f.r.stats.changes.Add(int64(len(changes)))
		return f.copied(ctx, changes)
	}
	f.r.stats.large.Add(1)
	return f.r.target.large().Large(ctx, tx.ID, f.seq, next)
}

// copied keeps, of changes that are applied alone, those in ranges that are done.
func (f *feeder) copied(ctx context.Context, changes []row.Change) ([]row.Change, error) {
	for i := range changes {
		// Of a parent that is not wholly copied no child is on the target: there is nothing to cascade to,
		// and like any other change it is split before it is placed.
		if c := &changes[i]; c.Cascades && !f.r.flow.Complete(nameOf(c.Table)) {
			c.Cascades = false
		}
	}
	txs := [][]row.Change{changes}
	if err := f.place(ctx, txs); err != nil {
		return nil, err
	}
	return f.r.flow.Copied(txs[0]), nil
}

// cascade applies a transaction that the target must cascade by itself: alone, so that the children's
// rows are those of its moment, and after the chunks of those that are being read are given up.
func (f *feeder) cascade(ctx context.Context, tx *source.Tx, changes []row.Change) error {
	reached := f.r.catalog.foreignKeys().descendants(changes)
	for i := range changes { // what is not in a range that is done is dropped (Copied), so it must be read later
		reached[nameOf(changes[i].Table)] = true
	}
	if err := f.r.flow.Drain(ctx, func(n schedule.Name) bool { return reached[n] }); err != nil {
		return err
	}
	defer f.open()
	if err := f.tellUnsaid(ctx, changes); err != nil {
		return err
	}
	kept, err := f.copied(ctx, changes)
	if err != nil {
		return err
	}
	f.r.stats.changes.Add(int64(len(kept)))
	for {
		pending := kept
		next := func(context.Context) ([]row.Change, error) {
			if pending == nil {
				return nil, io.EOF
			}
			piece := pending
			pending = nil
			return piece, nil
		}
		if err := f.r.target.large().Large(ctx, tx.ID, f.seq, next); !errors.Is(err, apply.ErrAgain) || ctx.Err() != nil {
			return err
		}
	}
}

// open lets chunks be registered again, unless the stream has yet to pass what was applied.
func (f *feeder) open() {
	if f.resume == 0 || f.seq >= f.resume {
		f.r.flow.Open()
	}
}

// changes makes row changes of a transaction's events; mark is our own watermark among them.
func (f *feeder) changes(events []source.Rows) (changes []row.Change, mark uint64, err error) {
	n := 0
	for i := range events {
		n += len(events[i].Images)
	}
	changes = make([]row.Change, 0, n)
	for i := range events {
		e := &events[i]
		if e.Schema == state.Database {
			mark = max(mark, f.r.watermark(e))
			continue
		}
		if changes, err = f.appendChanges(changes, e); err != nil {
			return nil, 0, err
		}
	}
	return changes, mark, nil
}

func (f *feeder) appendChanges(changes []row.Change, e *source.Rows) ([]row.Change, error) {
	t := f.r.catalog.table(schedule.Name{Schema: e.Schema, Table: e.Table})
	if t == nil {
		return nil, fault.New(fault.StreamTable, "rows of %s.%s, a table that the target does not have", e.Schema, e.Table)
	}
	d, err := f.decoder(t, e)
	if err != nil {
		return nil, err
	}
	actions := f.r.catalog.foreignKeys()
	if e.NoForeignKeyChecks {
		actions = nil // the session had them off: nothing was cascaded
	}
	for i := 0; i < len(e.Images); i++ {
		image, err := d.Row(e.Images[i])
		if err != nil {
			return nil, fmt.Errorf("row of %s.%s: %w", e.Schema, e.Table, err)
		}
		c := row.Change{Table: t}
		switch e.Kind {
		case source.Insert:
			c.After = image
		case source.Delete:
			c.Before = image
		case source.Update:
			i++
			c.Before = image
			if c.After, err = d.Row(e.Images[i]); err != nil {
				return nil, fmt.Errorf("row of %s.%s: %w", e.Schema, e.Table, err)
			}
		}
		changes = append(changes, c)
		if actions != nil {
			actions.mark(&changes[len(changes)-1])
		}
	}
	return changes, nil
}

func (f *feeder) decoder(t *row.Table, e *source.Rows) (*row.Decoder, error) {
	key := decoderKey{e.Schema, e.Table, e.Map.TableID}
	if d := f.decoders[key]; d != nil {
		return d, nil
	}
	d, err := row.NewDecoder(t, e.Map, f.r.flavor)
	if err != nil {
		return nil, err
	}
	if f.r.onto == server.MariaDB && (f.r.opts.Return || !keyed(t)) {
		d.PlainZeros()
	}
	f.decoders[key] = d
	return d, nil
}

// forget drops the decoders: definitions have changed.
func (f *feeder) forget() { clear(f.decoders) }

// watermarkTable is where state.Watermarker writes, in `_changeover` on the source.
const watermarkTable = "watermark"

// watermark finds our own watermark in rows of `_changeover`.`watermark`, whose columns are
// migration, token, n, sent.
func (r *Runner) watermark(e *source.Rows) uint64 {
	var mark uint64
	if e.Schema != state.Database || e.Table != watermarkTable {
		return 0
	}
	for _, image := range e.Images {
		if len(image) < 3 || text(image[0]) != r.opts.Migration {
			continue
		}
		switch n := image[2].(type) {
		case uint64:
			mark = max(mark, n)
		case int64:
			mark = max(mark, uint64(n))
		}
	}
	return mark
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}
