package cdc

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/schema"
	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
)

// catalog knows the target's tables: their definitions as of the stream's position, their TABLE_IDs
// and how far each is. Safe for concurrent use; only the feeder changes definitions.
type catalog struct {
	r  *Runner
	mu sync.RWMutex
	by map[schedule.Name]*entry
}

type entry struct {
	def   *row.Table
	id    uint64 // InnoDB TABLE_ID, which a RENAME keeps and a TRUNCATE changes
	state state.TableState
	// What an earlier run copied, and what the source estimated, for status.
	rowsBefore, rowsExpected int64
	// building is held while the table's indexes are built, so that nobody builds them twice.
	building sync.Mutex
}

func newCatalog(r *Runner) *catalog {
	return &catalog{r: r, by: map[schedule.Name]*entry{}}
}

// table is a table's definition, nil if the target has none of that name in the migration.
func (c *catalog) table(n schedule.Name) *row.Table {
	if e := c.entry(n); e != nil {
		return e.def
	}
	return nil
}

func (c *catalog) id(n schedule.Name) uint64 {
	if e := c.entry(n); e != nil {
		return e.id
	}
	return 0
}

func (c *catalog) entry(n schedule.Name) *entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.by[n]
}

func (c *catalog) stateOf(e *entry) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return string(e.state)
}

func (c *catalog) setState(e *entry, to state.TableState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.state = to
}

// load reads what the target has and what is recorded of it, tells the scheduler and the copier,
// and empties what is not done: before the stream starts, since a stale row may hold a unique value
// that the stream gives to another.
func (c *catalog) load(ctx context.Context) error {
	defs, err := row.LoadAll(ctx, c.r.dst, c.r.opts.Databases)
	if err != nil {
		return err
	}
	records, err := c.r.store.Tables(ctx)
	if err != nil {
		return err
	}
	byName := map[schedule.Name]state.Table{}
	for _, t := range records {
		byName[schedule.Name{Schema: t.Schema, Table: t.Name}] = t
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, def := range defs {
		if !c.r.inScope(def.Schema, def.Name) {
			continue
		}
		n := schedule.Name{Schema: def.Schema, Table: def.Name}
		record, known := byName[n]
		g.Go(func() error { return c.loadTable(ctx, def, record, known) })
	}
	return g.Wait()
}

func (c *catalog) loadTable(ctx context.Context, def *row.Table, record state.Table, known bool) error {
	n := schedule.Name{Schema: def.Schema, Table: def.Name}
	id, err := schema.TableID(ctx, c.r.dst, n.Schema, n.Table)
	if err != nil {
		return err
	}
	if !known || record.ID != id {
		// Made by a DDL of the stream whose record was lost to a crash: complete from birth if it was
		// created, moved if it was renamed. The DDL passes again and says which.
		record = state.Table{ID: id, Schema: n.Schema, Name: n.Table, State: state.Complete}
	}
	e := &entry{def: def, id: id, state: record.State, rowsBefore: int64(record.Rows), rowsExpected: int64(record.RowsExpected)}
	var done []row.Range
	highest := 0
	if record.State == state.Complete || record.State == state.Indexing || !keyed(def) {
		done = []row.Range{{}}
	} else if done, highest, err = c.doneRanges(ctx, def, id); err != nil {
		return err
	}
	c.mu.Lock()
	c.by[n] = e
	c.mu.Unlock()
	var untouched []row.Range
	c.r.flow.With(func(s *schedule.Scheduler) {
		err = s.SetTable(def, done)
		untouched = s.Untouched(n)
	})
	if err != nil {
		return err
	}
	for _, r := range untouched {
		if err := c.r.target.deleteRange(ctx, def, r); err != nil {
			return err
		}
	}
	c.r.copier.Add(def, int64(record.BytesExpected), int64(record.RowsExpected), highest)
	return nil
}

// doneRanges reads a table's done chunks. A table whose order is not known here starts over unless
// it is wholly done.
func (c *catalog) doneRanges(ctx context.Context, def *row.Table, id uint64) (done []row.Range, highest int, err error) {
	all, err := c.r.store.Chunks(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	for _, ch := range all {
		highest = max(highest, int(ch.Number))
	}
	if all, err = c.r.store.MergeChunks(ctx, id); err != nil {
		return nil, 0, err
	}
	for _, ch := range all {
		var r row.Range
		if r.Low, err = row.DecodeKey(ch.Low); err != nil {
			return nil, 0, err
		}
		if r.High, err = row.DecodeKey(ch.High); err != nil {
			return nil, 0, err
		}
		done = append(done, r)
	}
	if !def.Ordered() && (len(done) != 1 || done[0].Low != nil || done[0].High != nil) {
		return nil, highest, c.r.store.SetTableState(ctx, id, state.Planned)
	}
	return done, highest, nil
}

// finishTables finishes the tables whose rows are all there.
func (c *catalog) finishTables(ctx context.Context) error {
	c.mu.RLock()
	var all []schedule.Name
	for n := range c.by {
		all = append(all, n)
	}
	c.mu.RUnlock()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, c.r.opts.CopyWorkers))
	for _, n := range all {
		complete := false
		c.r.flow.With(func(s *schedule.Scheduler) { complete = s.Complete(n) })
		if complete {
			g.Go(func() error { return c.finish(ctx, n) })
		}
	}
	return g.Wait()
}

// finish builds what was left for after the rows. A crash in it needs no record: what is missing is
// the source's definition less the target's.
func (c *catalog) finish(ctx context.Context, n schedule.Name) error {
	e := c.entry(n)
	if e == nil {
		return nil
	}
	e.building.Lock()
	defer e.building.Unlock()
	if e.state == state.Complete {
		return nil
	}
	if err := c.r.store.SetTableState(ctx, e.id, state.Indexing); err != nil {
		return err
	}
	c.setState(e, state.Indexing)
	if err := c.build(ctx, n); err != nil {
		return err
	}
	if err := c.r.store.SetTableState(ctx, e.id, state.Complete); err != nil {
		return err
	}
	c.setState(e, state.Complete)
	c.r.log.Info().Str("table", n.Schema+"."+n.Table).Msg("table copied")
	return nil
}

// buildIndexes builds a table's deferred indexes now, since a DDL is about to speak of them.
func (c *catalog) buildIndexes(ctx context.Context, n schedule.Name) error {
	e := c.entry(n)
	if e == nil {
		return nil
	}
	e.building.Lock()
	defer e.building.Unlock()
	if e.state == state.Complete {
		return nil
	}
	return c.build(ctx, n)
}

func (c *catalog) build(ctx context.Context, n schedule.Name) error {
	id := c.id(n)
	wanted, ok, err := c.r.store.Definition(ctx, id)
	if err != nil || !ok {
		return err
	}
	made, err := schema.CreateTable(ctx, c.r.dst, n.Schema, n.Table)
	if err != nil {
		return err
	}
	missing, err := schema.Missing(wanted, made)
	if err != nil {
		return err
	}
	if _, err := schema.BuildIndexes(ctx, c.r.dst, n.Schema, n.Table, missing, schema.BuildOptions{Threads: 2, Buffer: 32 << 20}); err != nil {
		return err
	}
	return c.r.store.DeleteDefinition(ctx, id)
}

// snapshot is the entries of some tables, before a DDL changes them.
func (c *catalog) snapshot(names map[schedule.Name]bool) map[schedule.Name]*entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := map[schedule.Name]*entry{}
	for n := range names {
		if e := c.by[n]; e != nil {
			out[n] = e
		}
	}
	return out
}

// changed reads again what a DDL has changed.
func (c *catalog) changed(ctx context.Context, class source.Class, before map[schedule.Name]*entry) error {
	if class.Kind == source.DatabaseDDL {
		return c.databaseChanged(ctx, class)
	}
	if len(class.Renames) > 0 && class.Verb == "RENAME TABLE" {
		return c.renamed(ctx, class, before)
	}
	for _, t := range class.Tables {
		n := schedule.Name{Schema: t.Schema, Table: t.Table}
		if !c.r.inScope(n.Schema, n.Table) {
			continue
		}
		if err := c.tableChanged(ctx, class, n, before[n]); err != nil {
			return err
		}
	}
	return nil
}

func (c *catalog) databaseChanged(ctx context.Context, class source.Class) error {
	c.mu.RLock()
	var gone []schedule.Name
	for n := range c.by {
		if n.Schema == class.Database {
			gone = append(gone, n)
		}
	}
	c.mu.RUnlock()
	for _, n := range gone {
		if err := c.tableChanged(ctx, class, n, c.entry(n)); err != nil {
			return err
		}
	}
	return nil
}

// tableChanged brings one table's entry up to date.
func (c *catalog) tableChanged(ctx context.Context, class source.Class, n schedule.Name, old *entry) error {
	def, err := row.Load(ctx, c.r.dst, n.Schema, n.Table)
	if err != nil {
		return err
	}
	if def == nil {
		return c.forget(ctx, n, old)
	}
	id, err := schema.TableID(ctx, c.r.dst, n.Schema, n.Table)
	if err != nil {
		return err
	}
	if old == nil {
		return c.born(ctx, n, def, id)
	}
	if old.id != id {
		if err := c.r.store.MoveTable(ctx, old.id, state.Table{ID: id, Schema: n.Schema, Name: n.Table}); err != nil {
			return err
		}
	}
	e := &entry{def: def, id: id, state: old.state}
	c.put(n, e)
	if startsOver(old.def, def) || class.Numbers || class.Computes {
		return c.startOver(ctx, n, e)
	}
	c.r.flow.With(func(s *schedule.Scheduler) { s.Redefine(n, def) })
	c.r.copier.Rename(map[schedule.Name]*row.Table{n: def})
	return nil
}

func (c *catalog) put(n schedule.Name, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[n] = e
}

// born takes in a table that the stream created: it is complete.
func (c *catalog) born(ctx context.Context, n schedule.Name, def *row.Table, id uint64) error {
	if err := c.r.store.PutTable(ctx, state.Table{ID: id, Schema: n.Schema, Name: n.Table, State: state.Complete}); err != nil {
		return err
	}
	c.put(n, &entry{def: def, id: id, state: state.Complete})
	var err error
	c.r.flow.With(func(s *schedule.Scheduler) { err = s.SetTable(def, []row.Range{{}}) })
	c.r.copier.Add(def, 0, 0, 0)
	return err
}

// forget drops a table that is gone.
func (c *catalog) forget(ctx context.Context, n schedule.Name, old *entry) error {
	c.mu.Lock()
	delete(c.by, n)
	c.mu.Unlock()
	c.r.flow.With(func(s *schedule.Scheduler) { s.Forget(n) })
	c.r.copier.Remove(n)
	if old == nil {
		return nil
	}
	return c.r.store.DeleteTable(ctx, old.id)
}

// startOver empties a table whose rows can't be relied on any more, and copies it again.
func (c *catalog) startOver(ctx context.Context, n schedule.Name, e *entry) error {
	c.r.log.Warn().Str("table", n.Schema+"."+n.Table).Msg("the table starts over: its key, or what its rows hold, depends on the server that ran the DDL")
	if !keyed(e.def) {
		return fault.New(fault.StreamDDL, "table %s.%s has no key any more and can't be copied again while the stream runs", n.Schema, n.Table)
	}
	if err := c.r.store.SetTableState(ctx, e.id, state.Planned); err != nil {
		return err
	}
	c.setState(e, state.Planned)
	if err := c.r.target.deleteRange(ctx, e.def, row.Range{}); err != nil {
		return err
	}
	var err error
	c.r.flow.With(func(s *schedule.Scheduler) { err = s.SetTable(e.def, nil) })
	c.r.copier.Add(e.def, 0, 0, 0)
	c.r.copyAgain()
	return err
}

// startsOver tells whether two definitions of a table disagree on what names a row, or in which
// order.
func startsOver(old, now *row.Table) bool {
	if (old.RowKey < 0) != (now.RowKey < 0) {
		return true
	}
	if old.RowKey < 0 {
		return false
	}
	a, b := old.Keys[old.RowKey].Parts, now.Keys[now.RowKey].Parts
	if len(a) != len(b) {
		return true
	}
	for i := range a {
		x, y := &old.Columns[a[i].Column], &now.Columns[b[i].Column]
		if x.Kind != y.Kind || x.Collation != y.Collation || x.Length != y.Length || x.Decimals != y.Decimals || x.Unsigned != y.Unsigned {
			return true
		}
	}
	return false
}

// renamed moves what is known of tables to their new names, all at once: names may be swapped.
func (c *catalog) renamed(ctx context.Context, class source.Class, before map[schedule.Name]*entry) error {
	at := map[schedule.Name]*entry{}
	from := map[schedule.Name]schedule.Name{} // the old name of what is now there
	for n, e := range before {
		at[n], from[n] = e, n
	}
	for _, rn := range class.Renames { // one after the other, as the server does
		old, now := schedule.Name{Schema: rn.From.Schema, Table: rn.From.Table}, schedule.Name{Schema: rn.To.Schema, Table: rn.To.Table}
		at[now], from[now] = at[old], from[old]
		delete(at, old)
		delete(from, old)
	}
	moves := map[schedule.Name]*row.Table{} // old name → new definition
	for n, e := range at {
		if e == nil || from[n] == n {
			continue
		}
		def, err := row.Load(ctx, c.r.dst, n.Schema, n.Table)
		if err != nil {
			return err
		}
		if def == nil {
			return fmt.Errorf("table %s.%s is not there after its RENAME", n.Schema, n.Table)
		}
		moves[from[n]] = def
		if err := c.r.store.PutTable(ctx, state.Table{ID: e.id, Schema: n.Schema, Name: n.Table, State: e.state}); err != nil {
			return err
		}
		at[n] = &entry{def: def, id: e.id, state: e.state}
	}
	c.mu.Lock()
	for n := range before {
		delete(c.by, n)
	}
	for n, e := range at {
		if e != nil {
			c.by[n] = e
		}
	}
	c.mu.Unlock()
	c.r.flow.With(func(s *schedule.Scheduler) { s.Rename(moves) })
	c.r.copier.Rename(moves)
	return nil
}
