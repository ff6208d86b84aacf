package objects

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"changeover/cdc/schema"
	"changeover/cdc/state"
	"changeover/internal/fault"
)

// Ahead makes what the new writer may have before the hold, as the application can't see it there:
// routines, views, events that don't run, AUTO_INCREMENT values. That of a table which somebody has is
// left to Arm; what the server refuses is a fault.SchemaObject that names all of it, and a Problem.
func (p *Prepared) Ahead(ctx context.Context, s Session, side *sql.DB) (err error) {
	if len(p.o.Databases) == 0 {
		return nil
	}
	m, err := open(ctx, s, side, p.o, Limit)
	if err != nil {
		return fmt.Errorf("make views, routines and events: %w", err)
	}
	defer func() { err = errors.Join(err, m.close()) }()
	defer p.count()
	watch := stopwatch{}
	p.Done = Work{}
	no := m.objects(ctx, p, watch, func(w *want) bool { return w.to.Kind != schema.KindTrigger })
	if no != nil && !refusedObject(no) {
		return no
	}
	if err := p.raise(ctx, m, watch, p.raises, soft); err != nil {
		return err
	}
	if p.Done == (Work{}) && m.row.exists && !p.unpaired() {
		return no // also of the row there is nothing to say
	}
	m.pairKnown(p.wants)
	if m.row.stage == none {
		return errors.Join(no, m.save(ctx, ahead))
	}
	return errors.Join(no, m.save(ctx, ""))
}

// refusedObject tells whether the server has refused something, and nothing else is wrong.
func refusedObject(err error) bool { return fault.Is(err, fault.SchemaObject) }

// unpaired tells whether something is on both servers of which that is not written down yet.
func (p *Prepared) unpaired() bool {
	return slices.ContainsFunc(p.wants, func(w want) bool { return w.there && !w.native })
}

// pairKnown writes down which of the objects that are there are the same.
func (m *maker) pairKnown(wants []want) {
	for _, w := range wants {
		if w.there && !w.native {
			m.row.paired(w.to, w.from)
		}
	}
}

// Arm gives the new writer what is left to give, while writes are held and nothing streams there:
// triggers, what was changed since Prepare, and AUTO_INCREMENT values of tables that touched names
// (nil: all). Each DDL statement is ended after Limit: fault.ObjectsBlocked, with a *Blocked that says
// who was in the way. If the old writer's objects are not those that Prepare saw: fault.ObjectsChanged.
//
// It may be called again, also after a crash, by a new Prepared. On an error the caller calls Disarm.
func (p *Prepared) Arm(ctx context.Context, s Session, side *sql.DB, touched func(schema, table string) bool) (err error) {
	p.Done, p.Took = Work{}, 0
	if len(p.o.Databases) == 0 {
		return nil
	}
	began, watch := time.Now(), stopwatch{}
	m, err := open(ctx, s, side, p.o, Limit)
	if err != nil {
		return fmt.Errorf("arm the new writer: %w", err)
	}
	defer func() { err = errors.Join(err, m.close()) }()
	ctx, stop := context.WithCancelCause(ctx)
	asked := p.ask(ctx, touched, stop) // ends with ctx
	defer func() {
		stop(nil)
		<-asked.done
	}()
	if err := m.arm(ctx, p, watch); err != nil {
		return cause(ctx, err)
	}
	<-asked.done
	if asked.err != nil {
		return asked.err
	}
	if err := p.raiseTouched(ctx, m, watch, asked); err != nil {
		return cause(ctx, err)
	}
	if err := m.finish(ctx, p, began, watch); err != nil {
		return cause(ctx, err)
	}
	p.Took = time.Since(began)
	return nil
}

// cause is why ctx has ended, where err came of that.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil && errors.Is(err, context.Canceled) {
		return why
	}
	return err
}

// answer is what the old writer says in the hold.
type answer struct {
	done   chan struct{} // closed when the rest is there
	tables []table       // of which values are
	values map[table]uint64
	err    error
}

// ask asks the old writer, while the new one is busy: are its objects those that Prepare saw, and what
// are the next values of the tables that were touched? If they are not, stop is told.
func (p *Prepared) ask(ctx context.Context, touched func(schema, table string) bool, stop func(error)) *answer {
	a := &answer{done: make(chan struct{})}
	for _, t := range p.tables {
		if touched == nil || touched(t.database, t.name) {
			a.tables = append(a.tables, t)
		}
	}
	go func() {
		defer close(a.done)
		now, err := fingerprint(ctx, p.old, p.o.Databases)
		if err == nil && now != p.fingerprint {
			err = fault.New(fault.ObjectsChanged, "the old writer's objects, or the list of its tables, changed since they were looked at")
		}
		if err == nil {
			a.values, err = p.oldNext(ctx, a.tables)
		}
		if err != nil {
			a.err = fmt.Errorf("ask the old writer: %w", err)
			if fault.Is(err, fault.ObjectsChanged) {
				a.err = err
			}
			stop(a.err)
		}
	}()
	return a
}

// arm makes everything but AUTO_INCREMENT values. Which events are to run is written down first.
func (m *maker) arm(ctx context.Context, p *Prepared, watch stopwatch) error {
	m.row.Events = nil
	for _, w := range p.wants {
		if w.to.Kind == schema.KindEvent {
			m.row.Events = append(m.row.Events, event{keep(w.to), w.runs})
		}
	}
	if err := m.save(ctx, arming); err != nil {
		return err
	}
	// What is left of an attempt that died, and whatever else would fire beside them.
	if _, err := m.takeAway(ctx, p.o, ""); err != nil {
		return err
	}
	for i := range p.wants {
		if p.wants[i].to.Kind == schema.KindTrigger {
			p.wants[i].there = false
		}
	}
	return m.objects(ctx, p, watch, func(*want) bool { return true })
}

// objects makes those that are chosen and not there, and drops what the old writer has no more.
// Views stand on views: those that fail are tried again for as long as others succeed.
func (m *maker) objects(ctx context.Context, p *Prepared, watch stopwatch, chosen func(*want) bool) error {
	if err := m.dropAll(ctx, p); err != nil {
		return err
	}
	var due []*want
	for i := range p.wants {
		if w := &p.wants[i]; !w.there && chosen(w) {
			due = append(due, w)
		}
	}
	var made []*want
	for len(due) > 0 {
		var failed []*want
		var no []refused
		for _, w := range due {
			began := time.Now()
			err := m.one(ctx, w)
			if refuses(err) {
				failed, no = append(failed, w), append(no, refused{keep(w.to), err.Error(), state.Number(err)})
				continue
			}
			if err != nil {
				return fmt.Errorf("make %s: %w", label(w.to), err)
			}
			watch.add(string(w.to.Kind), began)
			made = append(made, w)
			p.Done.add(w.to.Kind)
		}
		if len(failed) == len(due) {
			m.row.Refused = slices.DeleteFunc(slices.Clone(no), func(r refused) bool { return !r.lasts() })
			return errors.Join(p.refusal(no), m.readBack(ctx, made, watch), m.save(ctx, ""))
		}
		due = failed
	}
	return m.readBack(ctx, made, watch)
}

// one makes one object. Triggers are all gone when they are made.
func (m *maker) one(ctx context.Context, w *want) error {
	if w.to.Kind == schema.KindTrigger {
		return m.make(ctx, w.to)
	}
	return m.remake(ctx, w.to)
}

// readBack notes what both servers call what was made. All at once at the end: the session has other
// settings for that.
func (m *maker) readBack(ctx context.Context, made []*want, watch stopwatch) error {
	for _, w := range made {
		began := time.Now()
		found, err := m.read(ctx, w.to)
		switch {
		case state.Number(err) == erNoSuchEvent: // its one time is over: the server has dropped it at once
			found = w.to
		case err != nil:
			return err
		}
		m.row.paired(found, w.from)
		w.to, w.native, w.there = found, true, true
		watch.longer(string(w.to.Kind), began)
	}
	return nil
}

// refuses tells whether err is the server's no to a definition, and not trouble that passes.
func refuses(err error) bool {
	_, known := fault.CodeOf(err)
	return !known && state.Number(err) != 0 && !state.Passes(err) && !state.Lost(err)
}

// refusal is the fault, and a problem for who asks next.
func (p *Prepared) refusal(no []refused) error {
	all := make([]string, len(no))
	for i, r := range no {
		all[i] = label(r.Object.object()) + ": " + r.Why
		p.problem(fault.SchemaObject, true, "the new writer refuses %s", all[i])
	}
	return fault.New(fault.SchemaObject, "the new writer refuses %s", strings.Join(all, "; "))
}

// dropAll drops what the old writer has no more.
func (m *maker) dropAll(ctx context.Context, p *Prepared) error {
	for len(p.drop) > 0 {
		if err := m.drop(ctx, p.drop[0]); err != nil {
			return fmt.Errorf("drop %s: %w", label(p.drop[0]), err)
		}
		m.row.unpair(p.drop[0])
		p.drop = p.drop[1:]
		p.Done.Dropped++
	}
	return nil
}

// patience says what becomes of a table that somebody has.
type patience bool

const (
	hard patience = false // it is the end
	soft patience = true  // it is left for later
)

// raise raises AUTO_INCREMENT values; those that were raised are no longer in p.raises.
func (p *Prepared) raise(ctx context.Context, m *maker, watch stopwatch, raises []raise, how patience) error {
	done := map[table]bool{}
	defer func() {
		p.raises = slices.DeleteFunc(slices.Clone(p.raises), func(r raise) bool { return done[r.table] })
	}()
	for _, r := range raises {
		began := time.Now()
		err := m.ddl(ctx, schema.Object{Kind: schema.KindTable, Schema: r.database, Name: r.name}, r.statement())
		if how == soft && fault.Is(err, fault.ObjectsBlocked) {
			continue
		}
		if err != nil {
			return fmt.Errorf("raise AUTO_INCREMENT of %s.%s: %w", r.database, r.name, err)
		}
		done[r.table] = true
		watch.add(counter, began)
		p.Done.AutoIncrement++
	}
	return nil
}

// raiseTouched raises what Prepare saw and Ahead left, and what was touched since.
func (p *Prepared) raiseTouched(ctx context.Context, m *maker, watch stopwatch, a *answer) error {
	if err := m.base(ctx); err != nil {
		return err
	}
	values, err := next(ctx, m.s, a.tables)
	if err != nil {
		return err
	}
	now := map[table]raise{}
	for _, r := range p.raises {
		now[r.table] = r
	}
	for _, t := range a.tables {
		delete(now, t)
	}
	for _, r := range raises(a.tables, a.values, values) {
		now[r.table] = r
	}
	due := slices.SortedFunc(maps.Values(now), func(a, b raise) int { return compareTables(a.table, b.table) })
	return p.raise(ctx, m, watch, due, hard)
}

// finish writes down that all is there, and how long it took.
func (m *maker) finish(ctx context.Context, p *Prepared, began time.Time, watch stopwatch) error {
	m.pairKnown(p.wants)
	if m.row.Took == nil {
		m.row.Took = map[string][]sample{}
	}
	now, other := time.Now(), time.Since(began)
	for kind, t := range watch {
		m.row.Took[kind] = measured(m.row.Took[kind], sample{now, t.each()})
		other -= t.Total
	}
	m.row.Took[rest] = measured(m.row.Took[rest], sample{now, other + other/4}) // this very save comes on top
	if err := m.save(ctx, armed); err != nil {
		return err
	}
	p.took = m.row.Took
	return nil
}
