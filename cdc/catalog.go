package cdc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/schema"
	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// catalog knows the target's tables: their definitions as of the stream's position, their TABLE_IDs
// and how far each is. Safe for concurrent use; only the feeder changes definitions.
type catalog struct {
	r  *Runner
	mu sync.RWMutex
	by map[schedule.Name]*entry
	// actions is what the source's foreign keys change unsaid; nil where its binlog says it.
	actions *cascades
	// settled are statements of the stream that are done, but for what follows them: an earlier run
	// had begun them. The feeder's, once it runs.
	settled map[string]bool
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
func (c *catalog) load(ctx context.Context) (err error) {
	if c.settled, err = newDDLRunner(c.r).settle(ctx); err != nil {
		return err
	}
	defs, err := row.LoadAll(ctx, c.r.dst, c.r.opts.Databases)
	if err != nil {
		return err
	}
	if err := c.loadForeignKeys(ctx); err != nil {
		return err
	}
	records, err := c.r.store.Tables(ctx)
	if err != nil {
		return err
	}
	byID := map[uint64]state.Table{}
	missing := map[schedule.Name]bool{}
	for _, t := range records {
		byID[t.ID] = t
		if c.r.inScope(t.Schema, t.Name) {
			missing[schedule.Name{Schema: t.Schema, Table: t.Name}] = true
		}
	}
	ids, err := schema.TableIDs(ctx, c.r.dst, c.r.opts.Databases)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, def := range defs {
		if !c.r.inScope(def.Schema, def.Name) {
			continue
		}
		delete(missing, schedule.Name{Schema: def.Schema, Table: def.Name})
		g.Go(func() error { return c.loadTable(ctx, def, ids, byID) })
	}
	for n := range missing {
		g.Go(func() error {
			return fault.New(fault.StateBroken, "table %s.%s is not on the target any more, and the stream did not drop it", n.Schema, n.Table)
		})
	}
	return g.Wait()
}

// loadForeignKeys reads the target's foreign keys, which are the source's at the stream's position.
func (c *catalog) loadForeignKeys(ctx context.Context) error {
	if c.r.cascadesLogged {
		return nil
	}
	actions, err := loadCascades(ctx, c.r.dst, c.r.opts.Databases, c.r.inScope)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.actions = actions
	return nil
}

func (c *catalog) foreignKeys() *cascades {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.actions
}

func (c *catalog) loadTable(ctx context.Context, def *row.Table, ids *schema.IDs, records map[uint64]state.Table) error {
	n := schedule.Name{Schema: def.Schema, Table: def.Name}
	def.UseWeights(c.r.mixed())
	id, err := ids.Of(n.Schema, n.Table)
	if err != nil {
		return err
	}
	record, known := records[id]
	if !known || record.Schema != n.Schema || record.Name != n.Table {
		return fault.New(fault.StateBroken, "table %s.%s (TABLE_ID %d) on the target was made, rebuilt or renamed by somebody else", n.Schema, n.Table, id)
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
		if r.Low, err = c.r.weigher.weigh(ctx, def, r.Low); err != nil {
			return nil, 0, err
		}
		if r.High, err = c.r.weigher.weigh(ctx, def, r.High); err != nil {
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
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, c.r.opts.CopyWorkers))
	for _, n := range c.names() {
		complete := false
		c.r.flow.With(func(s *schedule.Scheduler) { complete = s.Complete(n) })
		if complete {
			g.Go(func() error { return c.finish(ctx, n) })
		}
	}
	return g.Wait()
}

// complete tells whether every table has all its rows and indexes.
func (c *catalog) complete() bool {
	all := true
	c.r.flow.With(func(s *schedule.Scheduler) {
		for _, n := range c.names() {
			all = all && s.Complete(n)
		}
	})
	return all
}

// finish builds what was left for after the rows. A crash in it needs no record: what is missing is
// the source's definition less the target's.
func (c *catalog) finish(ctx context.Context, n schedule.Name) error {
	for {
		e := c.entry(n)
		if e == nil {
			return nil
		}
		e.building.Lock()
		if c.entry(n) == e {
			defer e.building.Unlock()
			complete := false
			c.r.flow.With(func(s *schedule.Scheduler) { complete = s.Complete(n) })
			if !complete { // a DDL was faster, and under this name is a table that is not all there
				return nil
			}
			return c.finishHeld(ctx, n, e)
		}
		e.building.Unlock() // a DDL was faster
	}
}

func (c *catalog) finishHeld(ctx context.Context, n schedule.Name, e *entry) error {
	if e.state == state.Complete {
		return nil
	}
	if err := c.r.store.SetTableState(ctx, e.id, state.Indexing); err != nil {
		return err
	}
	c.setState(e, state.Indexing)
	// The copier's goroutines come here too: without room the table waits for it, like a chunk.
	if err := c.r.patiently(ctx, indexWaits, func() error { return c.build(ctx, n) }); err != nil {
		return err
	}
	if err := c.r.store.SetTableState(ctx, e.id, state.Complete); err != nil {
		return err
	}
	c.setState(e, state.Complete)
	c.r.log.Info().Str("table", n.Schema+"."+n.Table).Msg("table copied")
	return nil
}

// holdIndexes builds what is deferred of the tables that a DDL touches, and of those that its text
// names (a foreign key needs the other table's index), and keeps others from building until release.
func (c *catalog) holdIndexes(ctx context.Context, touches map[schedule.Name]bool, text string) (release func(), err error) {
	var held []*entry
	release = func() {
		for _, e := range held {
			e.building.Unlock()
		}
	}
	refers := strings.Contains(strings.ToUpper(text), "REFERENCES")
	for _, n := range c.names() {
		if !touches[n] && !(refers && strings.Contains(text, n.Table)) {
			continue
		}
		e := c.entry(n)
		e.building.Lock()
		held = append(held, e)
		complete := false
		c.r.flow.With(func(s *schedule.Scheduler) { complete = s.Complete(n) })
		switch {
		case complete:
			err = c.finishHeld(ctx, n, e)
		case e.state != state.Complete:
			err = c.build(ctx, n)
		}
		if err != nil {
			release()
			return nil, err
		}
	}
	return release, nil
}

// names lists the tables, in an order that is always the same.
func (c *catalog) names() []schedule.Name {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(c.by), func(a, b schedule.Name) int {
		return cmp.Or(strings.Compare(a.Schema, b.Schema), strings.Compare(a.Table, b.Table))
	})
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

// past is a table before a DDL.
type past struct {
	Schema, Name string
	ID           uint64
	Key          string // what names its rows, as keyText has it
	Numbered     string // the AUTO_INCREMENT column
	Columns      map[string]row.Shape
}

// outcome is what a DDL made of one table.
type outcome struct {
	name schedule.Name // now
	was  *past         // nil: it was not there
	def  *row.Table    // nil: it is gone
	id   uint64
	over bool // it starts over
	// exchanged: partitions changed places with a table, so the ids did too.
	exchanged bool
}

// named are the tables that a statement touches, those of a database that it is about among them.
func (c *catalog) named(class source.Class) map[schedule.Name]bool {
	out := map[schedule.Name]bool{}
	for _, t := range class.Tables {
		out[schedule.Name{Schema: t.Schema, Table: t.Table}] = true
	}
	for _, n := range c.names() {
		if class.Kind == source.DatabaseDDL && n.Schema == class.Database {
			out[n] = true
		}
	}
	return out
}

// past is how tables are now, before a DDL changes them.
func (c *catalog) past(names map[schedule.Name]bool) (out []past) {
	for _, n := range c.names() {
		if names[n] {
			e := c.entry(n)
			out = append(out, past{Schema: n.Schema, Name: n.Table, ID: e.id, Key: keyText(e.def), Numbered: numbered(e.def), Columns: e.def.Shapes()})
		}
	}
	return out
}

// keyText says by which columns, of which types, a table's rows are named; empty if by none.
func keyText(t *row.Table) string {
	if !keyed(t) {
		return ""
	}
	var b strings.Builder
	for _, p := range t.Keys[t.RowKey].Parts {
		c := &t.Columns[p.Column]
		fmt.Fprintf(&b, "%s %v %s %d %d %t %q %d,", c.Name, c.Kind, c.Collation, c.Length, c.Decimals, c.Unsigned, c.Members, p.Prefix)
	}
	return b.String()
}

// numbered is the name of a table's AUTO_INCREMENT column.
func numbered(t *row.Table) string {
	for i := range t.Columns {
		if t.Columns[i].AutoIncrement {
			return t.Columns[i].Name
		}
	}
	return ""
}

// outcomes looks at what a DDL, which has run, made of the tables that it names. It may be asked
// again after a crash, also when write was through.
func (c *catalog) outcomes(ctx context.Context, class source.Class, session source.SessionVars, before []past) ([]outcome, error) {
	at := map[schedule.Name]*past{} // what is under a name now
	for i := range before {
		at[schedule.Name{Schema: before[i].Schema, Table: before[i].Name}] = &before[i]
	}
	for _, t := range class.Tables {
		if n := (schedule.Name{Schema: t.Schema, Table: t.Table}); at[n] == nil {
			at[n] = nil
		}
	}
	for _, rn := range class.Renames { // one after the other, as the server does
		old, now := schedule.Name{Schema: rn.From.Schema, Table: rn.From.Table}, schedule.Name{Schema: rn.To.Schema, Table: rn.To.Table}
		at[now], at[old] = at[old], nil
	}
	complete, err := c.completeTables(ctx)
	if err != nil {
		return nil, err
	}
	exchanged := class.Verb == "ALTER TABLE" && len(class.Tables) > 1 && len(class.Renames) == 0
	var out []outcome
	whole := true
	for n, was := range at {
		if !c.r.inScope(n.Schema, n.Table) {
			continue
		}
		o := outcome{name: n, was: was, exchanged: exchanged}
		o.def, err = row.Load(ctx, c.r.dst, n.Schema, n.Table)
		if err != nil && !errors.Is(err, row.ErrNoTable) {
			return nil, err
		}
		if o.def != nil {
			o.def.UseWeights(c.r.mixed())
			if o.id, err = schema.TableID(ctx, c.r.dst, n.Schema, n.Table); err != nil {
				return nil, err
			}
		}
		if o.def != nil || was != nil {
			out = append(out, o)
			whole = whole && was != nil && wasComplete(complete, was.ID, o.id)
		}
	}
	for i := range out {
		if out[i].over, err = c.startsOver(ctx, class, session, &out[i], complete, whole); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// startsOver tells whether a table must be copied again: what its rows hold is the server's own
// doing; or it is not wholly copied, and a key by which it was cut is not what it was. Rows that are
// all there changed here as they did on the source, another key is nothing to them.
func (c *catalog) startsOver(ctx context.Context, class source.Class, session source.SessionVars, o *outcome, complete map[uint64]bool, whole bool) (bool, error) {
	if o.was == nil || o.def == nil {
		return false, nil
	}
	over := class.Computes || class.Numbers && o.was.Numbered != numbered(o.def)
	if c.r.mixed() == server.MariaDB && !o.exchanged && row.Converted(o.was.Columns, o.def.Shapes()) {
		over = true // MariaDB makes other values of some than MySQL does: 'x' as a number, text that is not of the charset, -0
	}
	over = over || c.r.mixed() == server.MariaDB && class.FillsJSON
	if !over && c.r.flavor == server.MySQL && bendsDates(class, session) {
		var err error
		if over, err = c.holdsInvalidDates(ctx, o.def); err != nil {
			return false, err
		}
	}
	if complete[o.was.ID] || complete[o.id] {
		if over {
			var err error
			if over, err = c.holdsRows(ctx, o.def); err != nil {
				return false, err
			}
		}
	} else if o.was.Key != keyText(o.def) {
		over = true
	}
	over = over || o.exchanged && !whole
	if over && c.foreignKeys().involves(o.name) {
		return false, fault.New(fault.StreamDDL, "table %s.%s would have to be copied again, and a foreign key with an action ties it to another: what it changes is not in this source's binlog", o.name.Schema, o.name.Table)
	}
	if over && !keyed(o.def) {
		return false, fault.New(fault.StreamDDL, "table %s.%s has no key, so it can't be copied again while the stream runs", o.name.Schema, o.name.Table)
	}
	return over, nil
}

// holdsInvalidDates tells whether the target's table holds days that their months have not.
func (c *catalog) holdsInvalidDates(ctx context.Context, t *row.Table) (any bool, err error) {
	for i := range t.Columns {
		if col := &t.Columns[i]; !any && err == nil && !col.Generated && (col.Kind == row.Date || col.Kind == row.DateTime) {
			day := "SUBSTR(" + server.Name(col.Name) + ", 9, 2)"
			err = c.r.dst.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+server.Name(t.Schema, t.Name)+" WHERE "+day+" > 28 AND "+
				day+" > COALESCE(DAY(LAST_DAY(CONCAT(SUBSTR("+server.Name(col.Name)+", 1, 8), '01'))), 0))").Scan(&any)
		}
	}
	return any, err
}

func (c *catalog) holdsRows(ctx context.Context, t *row.Table) (any bool, err error) {
	err = c.r.dst.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+server.Name(t.Schema, t.Name)+")").Scan(&any)
	return any, err
}

// wasComplete tells whether a table whose partitions changed places was wholly copied before. Its
// record is the one of its id then, while there is one: now that id may be the other table's.
func wasComplete(complete map[uint64]bool, then, now uint64) bool {
	if c, known := complete[then]; known {
		return c
	}
	return complete[now]
}

// completeTables are the ids of the tables that are wholly copied.
func (c *catalog) completeTables(ctx context.Context) (map[uint64]bool, error) {
	records, err := c.r.store.Tables(ctx)
	out := map[uint64]bool{}
	for _, t := range records {
		out[t.ID] = t.State == state.Complete
	}
	return out, err
}

// write records what became of tables. It may be repeated.
func (c *catalog) write(ctx context.Context, made []outcome) error {
	there := map[uint64]bool{}
	for _, o := range made {
		there[o.id] = true
	}
	for _, o := range made {
		if o.def == nil {
			continue
		}
		now := state.Table{ID: o.id, Schema: o.name.Schema, Name: o.name.Table, State: state.Complete}
		put := c.r.store.PutTable
		if o.was != nil && o.was.ID != o.id && !o.exchanged {
			put = func(ctx context.Context, t state.Table) error { return c.r.store.MoveTable(ctx, o.was.ID, t) }
		}
		if err := put(ctx, now); err != nil {
			return err
		}
		if o.over {
			if err := c.r.store.SetTableState(ctx, o.id, state.Planned); err != nil {
				return err
			}
		}
	}
	for _, o := range made {
		if o.was != nil && !there[o.was.ID] {
			if err := c.r.store.DeleteTable(ctx, o.was.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// take tells the scheduler and the copier what became of tables, all at once: names may be swapped.
func (c *catalog) take(ctx context.Context, made []outcome) error {
	moves := map[schedule.Name]*row.Table{} // old name → new definition
	var born []outcome
	for _, o := range made {
		switch {
		case o.def == nil:
			n := o.name
			c.r.flow.With(func(s *schedule.Scheduler) { s.Forget(n) })
			c.r.copier.Remove(n)
		case o.was == nil:
			born = append(born, o)
		default:
			moves[schedule.Name{Schema: o.was.Schema, Table: o.was.Name}] = o.def
		}
	}
	c.replace(made)
	if err := c.r.patiently(ctx, ddlWorker, func() error { return c.loadForeignKeys(ctx) }); err != nil {
		return err
	}
	c.r.flow.With(func(s *schedule.Scheduler) { s.Rename(moves) })
	c.r.copier.Rename(moves)
	for _, o := range born {
		var err error
		c.r.flow.With(func(s *schedule.Scheduler) { err = s.SetTable(o.def, []row.Range{{}}) })
		if err != nil {
			return err
		}
		c.r.copier.Add(o.def, 0, 0, 0)
	}
	for _, o := range made {
		if o.over {
			if err := c.startOver(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// replace puts the entries of changed tables in the place of the old ones.
func (c *catalog) replace(made []outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := map[uint64]*entry{}
	for _, o := range made {
		if o.was == nil {
			continue
		}
		n := schedule.Name{Schema: o.was.Schema, Table: o.was.Name}
		old[o.was.ID] = c.by[n]
		delete(c.by, n)
	}
	for _, o := range made {
		if o.def == nil {
			continue
		}
		e := &entry{def: o.def, id: o.id, state: state.Complete}
		if o.was != nil {
			if before := old[o.was.ID]; before != nil {
				e.state, e.rowsBefore, e.rowsExpected = before.state, before.rowsBefore, before.rowsExpected
			}
		}
		if o.over {
			e.state, e.rowsBefore = state.Planned, 0
		}
		c.by[o.name] = e
	}
}

// startOver empties a table whose rows can't be relied on any more, and copies it again.
func (c *catalog) startOver(ctx context.Context, o outcome) error {
	c.r.log.Warn().Str("table", o.name.Schema+"."+o.name.Table).Msg("the table starts over: its key, or what its rows hold, depends on the server that ran the DDL")
	if err := c.r.target.deleteRange(ctx, o.def, row.Range{}); err != nil {
		return err
	}
	var err error
	c.r.flow.With(func(s *schedule.Scheduler) { err = s.SetTable(o.def, nil) })
	c.r.copier.Add(o.def, 0, 0, 0)
	c.r.copyAgain()
	return err
}
