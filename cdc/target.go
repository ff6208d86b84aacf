package cdc

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"changeover/cdc/apply"
	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/snapshot"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// The workers' numbers, each with a token row: appliers from 0, chunk writers from chunkWorker.
const (
	chunkWorker = 1000 + iota*1000
	largeWorker
	emptyWorker
	ddlWorker
)

// Who waits, beside the workers.
const (
	stateWaits = -1 - iota // a write of the state
	runWaits               // the whole run, to start over
	indexWaits             // an index that is built after the rows
)

// target is the snapshot's way into the target: chunk writers, each with its own connection.
type target struct {
	r        *Runner
	db       *sql.DB
	loader   snapshot.Loader
	writers  []*apply.Writer
	emptying sync.Mutex // holds emptier
	emptier  *apply.Writer
	alone    *apply.Writer
	others   []*apply.Writer
}

func newTarget(ctx context.Context, r *Runner) (*target, error) {
	session := apply.Session(r.opts.ApplyWorkers + r.opts.CopyWorkers + 4)
	session.Pin = r.pin
	db, err := server.Open(r.opts.Target, session)
	if err != nil {
		return nil, err
	}
	t := &target{r: r, db: db}
	var name, on string
	err = db.QueryRowContext(ctx, "SHOW GLOBAL VARIABLES LIKE 'local_infile'").Scan(&name, &on)
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	t.loader.LocalInfile = on == "ON"
	for i := range r.opts.CopyWorkers {
		t.writers = append(t.writers, t.writer(chunkWorker+i))
	}
	t.emptier, t.alone = t.writer(emptyWorker), t.writer(largeWorker)
	return t, nil
}

func (t *target) writer(number int) *apply.Writer {
	w := apply.NewWriter(apply.WriterConfig{DB: t.db, Lease: t.r.lease, Worker: number, Log: t.r.log,
		Wait: func(reason error) { t.r.waiting(number, reason) }})
	t.others = append(t.others, w)
	return w
}

// applier is the stream's worker of that number.
func (t *target) applier(worker int) *apply.Writer { return t.writer(worker) }

// large is the writer of transactions that are applied alone. The feeder's only.
func (t *target) large() *apply.Writer { return t.alone }

// close ends all connections. Nobody may be writing any more.
func (t *target) close() {
	for _, w := range t.others {
		_ = w.Close()
	}
	_ = t.db.Close()
}

// Write commits a chunk with its done mark and the applied position. With the position: what the
// stream dropped because its range was untouched is in this chunk's rows; were an older position
// read after a crash, the stream would apply it to them.
func (t *target) Write(ctx context.Context, writer int, c snapshot.Chunk) error {
	id := t.r.catalog.id(schedule.Name{Schema: c.Table.Schema, Table: c.Table.Name})
	record := state.Chunk{Table: id, Number: uint64(c.Number), Low: bound(c.Table, c.Range.Low), High: bound(c.Table, c.Range.High),
		Rows: uint64(c.Rows), Bytes: uint64(c.Bytes)}
	return t.load(ctx, t.writers[writer], c, func(apply.TargetTx) []byte {
		q := state.AppendChunkDone(nil, t.r.opts.Migration, record)
		return state.AppendSavePosition(append(q, ';'), t.r.opts.Migration, t.r.appliedPosition())
	}, func(ctx context.Context, tx apply.TargetTx) (bool, error) {
		return state.ChunkDone(ctx, tx, t.r.opts.Migration, id, record.Number)
	})
}

// load commits a chunk's rows and, with them, the statements of mark. Rows that LOAD DATA would
// bend go in by INSERT.
func (t *target) load(ctx context.Context, w *apply.Writer, c snapshot.Chunk, mark func(apply.TargetTx) []byte, done func(context.Context, apply.TargetTx) (bool, error)) error {
	load := t.loader.Load
	fn := func(ctx context.Context, tx apply.TargetTx) error {
		if err := load(ctx, tx, c); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, string(mark(tx)))
		return err
	}
	err := w.Do(ctx, fn, done)
	var bent *snapshot.ErrBent
	if errors.As(err, &bent) {
		t.r.log.Info().Err(err).Str("table", c.Table.Schema+"."+c.Table.Name).Int("chunk", c.Number).Msg("the chunk goes in by INSERT instead")
		load = t.loader.Insert
		err = w.Do(ctx, fn, done)
	}
	if err != nil && state.Number(err) != 0 {
		return fault.New(fault.SnapshotLoad, "chunk %d of %s.%s: %w", c.Number, c.Table.Schema, c.Table.Name, err)
	}
	return err
}

// bound is how the state has a range's end: nil if it is open.
func bound(t *row.Table, key row.Row) []byte { return row.AppendKey(nil, t.Values(key)) }

// emptyRows is how many rows one DELETE takes: few enough not to be in the stream's way.
const emptyRows = 5000

// Empty deletes what is in a range. What is recorded of a table in pieces goes first: after a crash
// it must not seem to be there.
func (t *target) Empty(ctx context.Context, table *row.Table, r row.Range) error {
	if !table.Ordered() {
		if err := t.r.store.SetTableState(ctx, t.r.catalog.id(schedule.Name{Schema: table.Schema, Table: table.Name}), state.Planned); err != nil {
			return err
		}
	}
	return t.deleteRange(ctx, table, r)
}

// deleteRange deletes a table's rows in a range, piece by piece.
func (t *target) deleteRange(ctx context.Context, table *row.Table, r row.Range) error {
	t.emptying.Lock()
	defer t.emptying.Unlock()
	q := append([]byte("DELETE FROM "), server.Name(table.Schema, table.Name)...)
	q = table.AppendRange(append(q, " WHERE "...), r)
	q = append(q, " LIMIT 5000"...)
	for {
		var n int64
		err := t.emptier.Do(ctx, func(ctx context.Context, tx apply.TargetTx) error {
			result, err := tx.ExecContext(ctx, string(q))
			if err == nil {
				n, err = result.RowsAffected()
			}
			return err
		}, func(context.Context, apply.TargetTx) (bool, error) { return false, nil })
		if err != nil || n < emptyRows {
			return err
		}
	}
}

// Copied builds a table's deferred indexes, once its last chunk is in.
func (t *target) Copied(ctx context.Context, _ int, table *row.Table) error {
	return t.r.catalog.finish(ctx, schedule.Name{Schema: table.Schema, Table: table.Name})
}

var _ snapshot.Target = (*target)(nil)

// waiting notes, for status, for what a worker waits.
func (r *Runner) waiting(worker int, reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reason == nil {
		delete(r.waits, worker)
		return
	}
	r.waits[worker] = r.told(reason).Error()
}
