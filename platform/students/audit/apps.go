package audit

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"changeover/platform/students/ledger"
)

// projects compares the apps: version is one more than the saves, the source is the last one's.
func (a *auditor) projects(ctx context.Context) error {
	chains := a.chains(func(o *operation) string { return o.Object.String() }, ledger.None, ledger.Project, ledger.Save)
	seen := map[string]bool{}
	take := func(scan func(...any) error) error {
		var id op
		var v version
		var owner int64
		var title string
		var source []byte
		if err := scan(&id, &v.op, &v.last, &owner, &title, &source, &v.number); err != nil || seen[id.String()] {
			return err
		}
		seen[id.String()] = true
		a.report.Rows["projects"]++
		c := chains[id.String()]
		if c == nil {
			a.find(Unexpected, "projects", v.op.UUID, owner, "project %s was made by an operation that no client knows", id)
			return nil
		}
		v.digest, _ = ledger.DigestOfJSON(source) // what isn't JSON is none of the digests
		a.report.Effects["projects.version"]++
		a.check("projects", "project "+id.String(), c, v)
		if last := a.ops[v.last.UUID]; last != nil && last.Name != title {
			a.find(Wrong, "projects.title", last.Op, last.User, "project %s is called %q, not %q", id, title, last.Name)
		}
		if c.user() != owner {
			a.find(Wrong, "projects.owner_id", v.op.UUID, c.user(), "project %s is user %d's", id, owner)
		}
		return nil
	}
	const query = "SELECT uuid, op_id, last_op, owner_id, title, source, version FROM projects WHERE "
	if err := a.own(ctx, take, query+"owner_id IN", ""); err != nil {
		return err
	}
	if err := a.during(ctx, take, query+"created_at"); err != nil {
		return err
	}
	for id, c := range chains {
		if !seen[id] {
			a.gone("projects", "project "+id, c)
		}
	}
	return nil
}

func recordName(project uuid.UUID, table string, id int64) string {
	return fmt.Sprintf("record %d of %s in project %s", id, table, project)
}

// records compares the rows of apps' tables, and that each table has given as many numbers as it was
// asked for.
func (a *auditor) records(ctx context.Context) error {
	// A record that was not acknowledged has no number yet; its row tells it.
	unnumbered := map[uuid.UUID]*operation{}
	chains := a.chains(func(o *operation) string {
		id := o.Number
		if o.Kind == ledger.Record {
			if id = o.Outcome.ID; id == 0 {
				unnumbered[o.Op] = o
			}
		}
		return recordName(o.Object, o.Name, id)
	}, ledger.RecordDelete, ledger.Record, ledger.RecordSave)
	seen := map[string]bool{}
	err := a.own(ctx, func(scan func(...any) error) error {
		var project op
		var table string
		var id, owner int64
		var v version
		var value []byte
		if err := scan(&project, &table, &id, &v.op, &v.last, &v.number, &value, &owner); err != nil {
			return err
		}
		a.report.Rows["data_records"]++
		name := recordName(project.UUID, table, id)
		seen[name] = true
		c := chains[name]
		if made := unnumbered[v.op.UUID]; made != nil && c == nil {
			c = &chain{links: []*operation{made}}
		}
		v.digest, _ = ledger.DigestOfJSON(value)
		if c == nil {
			a.strangeRecord(name, owner, project.UUID, v)
			return nil
		}
		a.check("data_records", name, c, v)
		return nil
	}, "SELECT p.uuid, r.table_name, r.id, r.op_id, r.last_op, r.version, r.value, p.owner_id FROM data_records r JOIN projects p ON p.id = r.project_id WHERE p.owner_id IN", "")
	if err != nil {
		return err
	}
	for name, c := range chains {
		if !seen[name] {
			a.gone("data_records", name, c)
		}
	}
	return a.numbers(ctx)
}

// strangeRecord is a row that no client knows: the same value as one that a client does know is that
// one twice.
func (a *auditor) strangeRecord(name string, owner int64, project uuid.UUID, v version) {
	for _, op := range a.ofKinds(ledger.Record, ledger.RecordSave) {
		if op.Object == project && op.Digest == v.digest {
			a.find(Doubled, "data_records", v.op.UUID, owner, "%s is operation %s once more", name, op.Op)
			return
		}
	}
	a.find(Unexpected, "data_records", v.op.UUID, owner, "%s is of an operation that no client knows", name)
}

// numbers: a table's last id is the number of records that were ever made in it.
func (a *auditor) numbers(ctx context.Context) error {
	type key struct {
		project uuid.UUID
		table   string
	}
	made := map[key]int64{}
	for _, op := range a.ofKinds(ledger.Record) {
		if op.found || op.Acknowledged() {
			made[key{op.Object, op.Name}]++
		}
	}
	return a.own(ctx, func(scan func(...any) error) error {
		var project op
		var table string
		var last, owner int64
		if err := scan(&project, &table, &last, &owner); err != nil {
			return err
		}
		a.report.Effects["data_tables.last_id"]++
		a.effect("data_tables.last_id", owner, fmt.Sprintf("table %s of project %s", table, project), last, made[key{project.UUID, table}], "records made")
		return nil
	}, "SELECT p.uuid, t.name, t.last_id, p.owner_id FROM data_tables t JOIN projects p ON p.id = t.project_id WHERE p.owner_id IN", "")
}

// pairs compares apps' key-values.
func (a *auditor) pairs(ctx context.Context) error {
	name := func(project uuid.UUID, key string) string { return fmt.Sprintf("key %q of project %s", key, project) }
	chains := a.chains(func(o *operation) string { return name(o.Object, o.Name) }, ledger.None, ledger.Pair)
	seen := map[string]bool{}
	err := a.own(ctx, func(scan func(...any) error) error {
		var project op
		var key string
		var owner int64
		var v version
		var value []byte
		if err := scan(&project, &key, &v.last, &v.number, &value, &owner); err != nil {
			return err
		}
		a.report.Rows["data_kvs"]++
		a.report.Effects["data_kvs.version"]++
		is := name(project.UUID, key)
		seen[is] = true
		c := chains[is]
		if c == nil {
			a.find(Unexpected, "data_kvs", v.last.UUID, owner, "%s was set by an operation that no client knows", is)
			return nil
		}
		v.digest, _ = ledger.DigestOfJSON(value)
		a.check("data_kvs", is, c, v)
		return nil
	}, "SELECT p.uuid, k.`key`, k.last_op, k.version, k.value, p.owner_id FROM data_kvs k JOIN projects p ON p.id = k.project_id WHERE p.owner_id IN", "")
	if err != nil {
		return err
	}
	for is, c := range chains {
		if !seen[is] {
			a.gone("data_kvs", is, c)
		}
	}
	return nil
}

// events compares what organisers registered.
func (a *auditor) events(ctx context.Context) error {
	// Only its answer gives an event its number; one without is known by its operation.
	byOp := map[uuid.UUID]*chain{}
	byID := map[int64]*chain{}
	for _, op := range a.ofKinds(ledger.Event, ledger.EventSave) {
		if !op.mayBe() {
			continue
		}
		if op.Kind == ledger.EventSave {
			if c := byID[op.Number]; c != nil {
				c.links = append(c.links, op)
			}
			continue
		}
		c := &chain{links: []*operation{op}}
		byOp[op.Op] = c
		if op.Acknowledged() {
			byID[op.Outcome.ID] = c
		}
	}
	contents := map[ledger.Digest]*operation{}
	for _, op := range a.ofKinds(ledger.Event, ledger.EventSave) {
		contents[op.Digest] = op
	}
	seen := map[uuid.UUID]bool{}
	take := func(scan func(...any) error) error {
		var v version
		var id int64
		var name, description, country, city, date string
		var size int
		if err := scan(&id, &v.op, &v.last, &v.number, &name, &description, &country, &city, &date, &size); err != nil {
			return err
		}
		a.report.Rows["hoc_events"]++
		v.digest = ledger.EventDigest(name, description, country, city, date, size)
		c := byOp[v.op.UUID]
		if c == nil {
			a.strangeEvent(id, v, contents)
			return nil
		}
		seen[v.op.UUID] = true
		a.check("hoc_events", fmt.Sprintf("event %d", id), c, v)
		return nil
	}
	const query = "SELECT id, op_id, last_op, version, name, description, country, city, CAST(on_date AS CHAR), size FROM hoc_events WHERE op_id BETWEEN ? AND ? OR created_at BETWEEN ? AND ?"
	low, high := idAt(a.from), idAt(a.to) // nobody owns an event: the time has to do, the clients' or the servers'
	if err := each(ctx, a.q, take, query, low[:], high[:], stamp(a.from), stamp(a.to)); err != nil {
		return err
	}
	for op, c := range byOp {
		if !seen[op] {
			a.gone("hoc_events", "an event", c)
		}
	}
	return nil
}

func (a *auditor) strangeEvent(id int64, v version, contents map[ledger.Digest]*operation) {
	if twin := contents[v.digest]; twin != nil {
		a.find(Doubled, "hoc_events", v.op.UUID, 0, "event %d is operation %s once more", id, twin.Op)
		return
	}
	if !a.o.OnlyOwn {
		a.find(Unexpected, "hoc_events", v.op.UUID, 0, "event %d is of an operation that no client knows", id)
	}
}
