package cdc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"changeover/cdc/row"
	"changeover/cdc/schedule"
	"changeover/cdc/schema"
	"changeover/cdc/source"
	"changeover/cdc/state"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// phasePrepared: a stream may be made to start here, but where has not been written down.
const phasePrepared = "prepared"

// Return is the way back, made ready while the writer role is still where it was: a stream that will read
// the server that gets the role (Options.Source) and write to the one that gives it away
// (Options.Target). It has no snapshot: when it starts, both have the same rows.
//
//	NewReturn ─→ prepared ─ Arm ─→ armed ─ Close, New(Options{Return: true}).Run ─→ streaming
//	                 ↑─── Disarm ────┘
//
// What is slow is done by NewReturn: the state on the other server, its lease, the records of its tables.
// Arm is one short transaction, for the moment at which both servers are fenced.
type Return struct {
	r      *Runner
	tables []state.Table // as they are recorded
	stop   context.CancelFunc
	kept   chan struct{} // closed when nobody keeps the lease any more

	mu   sync.Mutex
	lost error // why the lease is not ours
}

// NewReturn prepares the way back, and holds the lease on that server until Close. Nothing else may
// stream to it meanwhile. It may be called again after any end of an earlier one; fault.ReturnTables:
// the two servers have not the same tables.
func NewReturn(ctx context.Context, o Options) (_ *Return, err error) {
	o.Return, o.Held, o.Companion = true, nil, nil
	p := &Return{r: New(o), kept: make(chan struct{})}
	defer func() {
		if err != nil {
			p.r.letGo(err)
			p.r.disconnect()
			err = p.r.told(err)
		}
	}()
	if err := p.r.connect(ctx); err != nil {
		return nil, err
	}
	if err := p.r.takeLease(ctx); err != nil {
		return nil, err
	}
	if err := p.prepare(ctx); err != nil {
		return nil, fmt.Errorf("prepare the way back to %s: %w", o.Target.Addr(), err)
	}
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	go p.keep(ctx)
	return p, nil
}

// keep keeps the lease until Close.
func (p *Return) keep(ctx context.Context) {
	defer close(p.kept)
	if err := p.r.lease.Keep(ctx); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lost = err
	}
}

func (p *Return) prepare(ctx context.Context) error {
	store := p.r.store
	identity, err := p.r.sourceIdentity(ctx)
	if err != nil {
		return err
	}
	m, err := store.Begin(ctx, identity, phasePrepared, p.r.databases())
	if err != nil {
		return err
	}
	if err := p.r.sameDatabases(m); err != nil {
		return err
	}
	// First of all: were a run started now, or after a crash in here, it would have nothing to go by.
	if err := store.SetPhase(ctx, phasePrepared); err != nil {
		return err
	}
	if err := p.sameTables(ctx); err != nil {
		return err
	}
	if p.tables, err = p.r.completeTables(ctx); err != nil {
		return err
	}
	return store.ReplaceTables(ctx, p.tables)
}

// sourceIdentity is who the source is, as the migration's record has it.
func (r *Runner) sourceIdentity(ctx context.Context) (string, error) {
	id, err := server.Identify(ctx, r.src)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(id)
	return string(text), err
}

// completeTables are the records of the target's tables as they are now, all of them wholly there.
func (r *Runner) completeTables(ctx context.Context) ([]state.Table, error) {
	defs, err := row.LoadAll(ctx, r.dst, r.opts.Databases)
	if err != nil {
		return nil, err
	}
	ids, err := schema.TableIDs(ctx, r.dst, r.opts.Databases)
	if err != nil {
		return nil, err
	}
	all := []state.Table{}
	for _, t := range defs {
		if !r.inScope(t.Schema, t.Name) {
			continue
		}
		if err := t.Supported(); err != nil {
			return nil, err
		}
		id, err := ids.Of(t.Schema, t.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, state.Table{ID: id, Schema: t.Schema, Name: t.Name, State: state.Complete})
	}
	return all, nil
}

// sameTables refuses tables that are on one side only, or have other columns there.
func (p *Return) sameTables(ctx context.Context) error {
	var here, there map[string]string
	g, asking := errgroup.WithContext(ctx)
	g.Go(func() (err error) { here, err = p.r.columnsOf(asking, p.r.src); return err })
	g.Go(func() (err error) { there, err = p.r.columnsOf(asking, p.r.dst); return err })
	if err := g.Wait(); err != nil {
		return err
	}
	var wrong []string
	for name, columns := range here {
		if other, ok := there[name]; !ok {
			wrong = append(wrong, name+" is not on "+p.r.opts.Target.Addr())
		} else if !strings.EqualFold(columns, other) {
			wrong = append(wrong, name+" has the columns "+columns+" on one and "+other+" on the other")
		}
	}
	for name := range there {
		if _, ok := here[name]; !ok {
			wrong = append(wrong, name+" is not on "+p.r.opts.Source.Addr())
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fault.New(fault.ReturnTables, "%s", strings.Join(wrong, "; "))
}

// columnsOf lists the columns of the migration's tables on a server.
func (r *Runner) columnsOf(ctx context.Context, db row.Queryer) (map[string]string, error) {
	defs, err := row.LoadAll(ctx, db, r.opts.Databases)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, t := range defs {
		if !r.inScope(t.Schema, t.Name) {
			continue
		}
		var names []string
		for _, c := range t.Columns {
			names = append(names, c.Name)
		}
		out[t.Schema+"."+t.Name] = strings.Join(names, ",")
	}
	return out, nil
}

// Arm writes down that the way back starts where the server that gets the role is now, which must be
// fenced: what is written there afterwards is carried back, whenever the stream starts. It returns that
// position. It may be repeated, and ends with ctx; after an error nothing is armed, or Disarm sees to it.
//
// Tables of which Options.Proven says that they are equal need not be compared again.
func (p *Return) Arm(ctx context.Context) (position string, err error) {
	if err := p.Lost(); err != nil {
		return "", err
	}
	var at source.Position
	var tables []state.Table
	var identity string
	g, asking := errgroup.WithContext(ctx)
	g.Go(func() (err error) { at, err = source.Current(asking, p.r.src, p.r.flavor); return err })
	g.Go(func() (err error) { identity, err = p.r.sourceIdentity(asking); return err })
	g.Go(func() (err error) { tables, err = p.changedTables(asking); return err })
	if err := g.Wait(); err != nil {
		return "", fmt.Errorf("arm the way back: %w", err)
	}
	t := state.Turn{Position: state.Position{Text: at.String()}, Source: identity, Phase: phaseStreaming, Tables: tables}
	if tables != nil {
		p.tables = tables
	}
	if p.r.opts.Proven != nil {
		t.Proofs = proofsOf(p.tables, p.r.opts.Proven())
	}
	if err := p.r.store.Turn(ctx, t); err != nil {
		return "", fmt.Errorf("arm the way back: %w", err)
	}
	return at.String(), nil
}

// changedTables are the records of the tables if a DDL of the stream has made others of them since they
// were written; nil if not.
func (p *Return) changedTables(ctx context.Context) ([]state.Table, error) {
	var ids *schema.IDs
	here := map[schedule.Name]bool{}
	g, asking := errgroup.WithContext(ctx)
	g.Go(func() (err error) { ids, err = schema.TableIDs(asking, p.r.dst, p.r.opts.Databases); return err })
	g.Go(func() error { return p.r.tableNames(asking, here) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	same := len(here) == len(p.tables)
	for _, t := range p.tables {
		id, err := ids.Of(t.Schema, t.Name)
		same = same && err == nil && id == t.ID && here[schedule.Name{Schema: t.Schema, Table: t.Name}]
	}
	if same {
		return nil, nil
	}
	return p.r.completeTables(ctx)
}

// tableNames lists the migration's tables on the target.
func (r *Runner) tableNames(ctx context.Context, into map[schedule.Name]bool) error {
	for _, database := range r.opts.Databases {
		rows, err := r.dst.QueryContext(ctx, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'BASE TABLE'", database)
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				_ = rows.Close()
				return err
			}
			if r.inScope(database, name) {
				into[schedule.Name{Schema: database, Table: name}] = true
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	return nil
}

// proofsOf are the proofs of tables, by their records.
func proofsOf(tables []state.Table, proven map[schedule.Name][]byte) (out []state.Proof) {
	for _, t := range tables {
		if text, ok := proven[schedule.Name{Schema: t.Schema, Table: t.Name}]; ok {
			out = append(out, state.Proof{Table: t.ID, Text: text})
		}
	}
	return out
}

// Disarm takes Arm back: no run can start from there. It may be called whether or not Arm was through.
func (p *Return) Disarm(ctx context.Context) error {
	if err := p.Lost(); err != nil {
		return err
	}
	return p.r.store.SetPhase(ctx, phasePrepared)
}

// Lost says why the lease is another's by now; nil while it is ours.
func (p *Return) Lost() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

// Close gives the lease back, so that a Runner takes it at once. What was armed stays so.
func (p *Return) Close() error {
	p.stop()
	<-p.kept
	defer p.r.disconnect()
	if p.Lost() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return p.r.lease.Release(ctx)
}

// armed tells what is recorded of a migration whose stream goes back, or has gone back and forth. One
// that nobody has armed can't be run.
func (r *Runner) armed(m state.Migration, known bool) error {
	if known && m.Phase != phasePrepared && (!r.opts.Return || m.Phase == phaseStreaming) {
		return nil
	}
	if !known && !r.opts.Return {
		return nil
	}
	return fault.New(fault.ReturnNotArmed, "the stream from %s to %s", r.opts.Source.Addr(), r.opts.Target.Addr())
}

// errEnded says that the stream has come to an end while somebody waited for it.
var errEnded = errors.New("the stream has ended")
