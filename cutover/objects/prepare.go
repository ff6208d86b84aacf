package objects

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"changeover/cdc/schema"
	"changeover/internal/fault"
	"changeover/internal/server"
)

// Prepared is what the new writer needs, and what of it is not there yet. It is not safe for
// concurrent use.
type Prepared struct {
	Estimate time.Duration // of Arm: by what each kind of thing took last time on this server, else by what it took elsewhere
	Todo     Work          // of Arm
	Done     Work          // by the last Arm
	Took     time.Duration // the last Arm
	Problems []Problem     // all that preflight has to say

	o           Options
	old         *sql.DB
	oldFlavor   server.Flavor
	fingerprint string // of the old writer's objects

	wants  []want
	drop   []schema.Object // on the new writer
	tables []table         // those with AUTO_INCREMENT
	raises []raise         // as of now
	took   map[string][]sample
}

// Prepare looks at both servers before the hold, and decides what Arm does. old gives the writer role
// away; it is asked once more by Arm, so the pool stays open until then. Nothing is written.
func Prepare(ctx context.Context, old, new *sql.DB, o Options) (*Prepared, error) {
	p := &Prepared{o: o, old: old}
	if len(o.Databases) == 0 {
		return p, nil
	}
	if err := p.look(ctx, new); err != nil {
		return nil, fmt.Errorf("prepare triggers, events, views and routines: %w", err)
	}
	return p, nil
}

// changesSeen is how often Prepare begins again since somebody deploys.
const changesSeen = 3

func (p *Prepared) look(ctx context.Context, new *sql.DB) error {
	for try := 0; ; try++ {
		before, err := fingerprint(ctx, p.old, p.o.Databases)
		if err != nil {
			return err
		}
		from, err := schema.ReadObjects(ctx, p.old, p.o.Databases, p.o.InScope)
		if err != nil {
			return err
		}
		if p.fingerprint, err = fingerprint(ctx, p.old, p.o.Databases); err != nil {
			return err
		}
		if before == p.fingerprint {
			p.oldFlavor = from.Flavor
			return p.compare(ctx, new, from)
		}
		if try == changesSeen {
			return fault.New(fault.ObjectsChanged, "they change again and again")
		}
	}
}

func (p *Prepared) compare(ctx context.Context, new *sql.DB, from *schema.Schema) error {
	to, err := schema.ReadObjects(ctx, new, p.o.Databases, p.o.InScope)
	if err != nil {
		return err
	}
	target, err := schema.Inspect(ctx, new)
	if err != nil {
		return err
	}
	before, here := side{objects: all(from)}, side{objects: all(to)}
	if before.row, err = readRow(ctx, p.old, p.o.Migration); err != nil {
		return err
	}
	if here.row, err = readRow(ctx, new, p.o.Migration); err != nil {
		return err
	}
	definers := p.definers(all(from), target)
	p.wants, p.drop, err = decide(before, here, func(o schema.Object) (schema.Object, error) {
		made, notes, err := schema.TranslateObject(o, from.Flavor, target)
		if err != nil {
			p.problem(fault.SchemaUnsupported, true, "%s", detail(err))
		}
		for _, n := range notes {
			p.o.Log.Debug().Str("object", n.Schema+"."+n.Name).Msg(n.Text)
		}
		return made.As(definers[made.Definer]), nil
	})
	if err != nil {
		return err
	}
	p.took = here.row.Took
	p.refusals(here.row)
	p.leftovers(before, here)
	if err := p.settings(ctx, new, target, here); err != nil {
		return err
	}
	if err := p.wayBack(ctx, before); err != nil {
		return err
	}
	if err := p.counters(ctx, new, target.Flavor); err != nil {
		return err
	}
	p.count()
	return nil
}

// all lists a schema's objects in the order in which they are made.
func all(s *schema.Schema) []schema.Object {
	var out []schema.Object
	for _, pick := range []func(schema.Database) []schema.Object{
		func(d schema.Database) []schema.Object { return d.Routines },
		func(d schema.Database) []schema.Object { return d.Views },
		func(d schema.Database) []schema.Object { return d.Events },
		func(d schema.Database) []schema.Object { return d.Triggers },
	} {
		for _, d := range s.Databases {
			out = append(out, pick(d)...)
		}
	}
	return out
}

// definers says who is the definer on the new writer, for each on the old one.
func (p *Prepared) definers(objects []schema.Object, target *schema.Target) map[string]string {
	use := map[string]string{}
	decided, err := (&schema.Schema{Databases: []schema.Database{{Views: objects}}}).Definers(target, p.o.Definers)
	if err != nil {
		p.problem(fault.SchemaDefiner, true, "%s", detail(err))
	}
	for _, d := range decided {
		use[d.Account] = d.Use
		if d.Note != "" && err == nil {
			p.problem(fault.ObjectsDefiner, false, "%s (of %s)", d.Note, some(d.Objects))
		}
	}
	return use
}

func (p *Prepared) problem(code fault.Code, blocks bool, format string, args ...any) {
	p.Problems = append(p.Problems, Problem{code, fmt.Sprintf(format, args...), blocks})
}

// detail is what a fault says of this time.
func detail(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Detail
	}
	return err.Error()
}

// some names a few.
func some(names []string) string {
	const few = 5
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

// label names an object for people.
func label(o schema.Object) string {
	return strings.ToLower(string(o.Kind)) + " " + o.Schema + "." + o.Name
}

// refusals are triggers that this server has refused before, and would again.
func (p *Prepared) refusals(r *row) {
	for _, w := range p.wants {
		for _, no := range r.Refused {
			if no.Object.object() == w.to && !w.there {
				p.problem(fault.SchemaObject, true, "the new writer refused %s: %s", label(w.to), no.Why)
			}
		}
	}
}

func (p *Prepared) leftovers(old, new side) {
	for _, o := range left(old, new, p.drop) {
		switch {
		case o.Kind != schema.KindTrigger:
			p.problem(fault.ObjectsLeft, false, "the new writer has the %s, the old one has not", label(o))
		case new.row.stage != arming && new.row.stage != armed:
			p.problem(fault.ObjectsLeft, false, "the new writer has the %s, which may have changed rows that the stream wrote", label(o))
		}
	}
}

// settings looks whether the new writer lets triggers and events work.
func (p *Prepared) settings(ctx context.Context, new *sql.DB, target *schema.Target, here side) error {
	var binlog, trust, scheduler, oldScheduler string
	if err := new.QueryRowContext(ctx, "SELECT @@GLOBAL.log_bin, @@GLOBAL.log_bin_trust_function_creators, @@GLOBAL.event_scheduler").Scan(&binlog, &trust, &scheduler); err != nil {
		return err
	}
	if err := p.old.QueryRowContext(ctx, "SELECT @@GLOBAL.event_scheduler").Scan(&oldScheduler); err != nil {
		return err
	}
	var functions []string
	events := 0
	for _, w := range p.wants {
		if !w.there && (w.to.Kind == schema.KindTrigger || w.to.Kind == schema.KindFunction) {
			functions = append(functions, label(w.to))
		}
		if w.runs {
			events++
		}
	}
	if len(functions) > 0 && isOn(binlog) && !isOn(trust) && !target.Super {
		p.problem(fault.TrustFunctions, true, "log_bin_trust_function_creators is OFF on the new writer, and the account has no SUPER: %s can't be made", some(functions))
	}
	if events > 0 && isOn(oldScheduler) && !isOn(scheduler) {
		p.problem(fault.ObjectsScheduler, false, "event_scheduler is %s on the new writer, and %d events are to run there", scheduler, events)
	}
	return nil
}

func isOn(value string) bool { return value == "1" || strings.EqualFold(value, "ON") }

// wayBack looks whether the old writer's triggers can be made there again, as a rollback must.
func (p *Prepared) wayBack(ctx context.Context, old side) error {
	triggers := slices.DeleteFunc(slices.Clone(old.objects), func(o schema.Object) bool { return o.Kind != schema.KindTrigger })
	if len(triggers) == 0 {
		return nil
	}
	at, err := schema.Inspect(ctx, p.old)
	if err != nil {
		return err
	}
	decided, err := (&schema.Schema{Databases: []schema.Database{{Triggers: triggers}}}).Definers(at, p.o.Definers)
	if err != nil {
		p.problem(fault.ObjectsDefiner, false, "a rollback could not put the old writer's triggers back: %s", detail(err))
		return nil
	}
	for _, d := range decided {
		if d.Use != d.Account {
			p.problem(fault.ObjectsDefiner, false, "a rollback would put %s back with the definer %s: Changeover's account there may not name %s", some(d.Objects), d.Use, d.Account)
		}
	}
	return nil
}

// counters compares AUTO_INCREMENT of all tables.
func (p *Prepared) counters(ctx context.Context, new *sql.DB, flavor server.Flavor) (err error) {
	if p.tables, err = counted(ctx, p.old, p.o); err != nil {
		return err
	}
	here, end, err := fresh(ctx, new, flavor)
	if err != nil {
		return err
	}
	defer end()
	values, err := next(ctx, here, p.tables)
	if err != nil {
		return err
	}
	were, err := p.oldNext(ctx, p.tables)
	if err != nil {
		return err
	}
	p.raises = raises(p.tables, were, values)
	return nil
}

// oldNext reads the old writer's next values.
func (p *Prepared) oldNext(ctx context.Context, tables []table) (map[table]uint64, error) {
	conn, end, err := fresh(ctx, p.old, p.oldFlavor)
	if err != nil {
		return nil, err
	}
	defer end()
	return next(ctx, conn, tables)
}
