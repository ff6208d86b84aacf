package students

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/google/uuid"

	"changeover/platform/students/ledger"
)

// project is an app, as its author's browser knows it.
type project struct {
	id      uuid.UUID
	title   string
	version int64
	last    uuid.UUID // the operation that made the version
	source  ledger.Digest
	records map[int64]record
	pairs   map[string]pair
}

type record struct {
	version int64
	value   ledger.Digest
	last    uuid.UUID // the operation that made the version
}

type pair = record

const dataTable = "scores"

// app is whatever an author does. An author whose project was refused makes it first.
func (s *seat) app(ctx context.Context, k ledger.Kind) error {
	if k == ledger.Project || s.person.project == nil {
		if err := s.newProject(ctx); err != nil || k == ledger.Project {
			return err
		}
	}
	switch k {
	case ledger.Save:
		return s.save(ctx)
	case ledger.RecordSave, ledger.RecordDelete:
		if len(s.person.project.records) > 0 {
			return s.changeRecord(ctx, k)
		}
		return s.newRecord(ctx)
	case ledger.Record:
		return s.newRecord(ctx)
	case ledger.Pair:
		return s.setPair(ctx)
	case ledger.ReadProject:
		return s.readProject(ctx)
	case ledger.ReadRecords:
		return s.readRecords(ctx)
	case ledger.ReadPairs:
		return s.readPairs(ctx)
	}
	return nil
}

// encoded is a value with the digest that an audit will make of it.
func encoded(v any) (json.RawMessage, ledger.Digest) {
	text, _ := json.Marshal(v) // what is made in content.go always can
	d, _ := ledger.DigestOfJSON(text)
	return text, d
}

func (s *seat) newProject(ctx context.Context) error {
	p := project{id: uuid.New(), title: oneOf(s.random, words), version: 1, records: map[int64]record{}, pairs: map[string]pair{}}
	source, digest := encoded(appSource(s.random, 1))
	c := &call{Intent: ledger.Intent{Kind: ledger.Project, Object: p.id, Name: p.title, Digest: digest}, method: "POST", path: "/api/projects",
		body: map[string]any{"uuid": p.id.String(), "kind": "applab", "title": p.title, "source": source}}
	var a struct {
		Project struct {
			Version int64 `json:"version"`
		} `json:"project"`
	}
	err := s.do(ctx, c, &a, func(o *ledger.Outcome) { o.Version = a.Project.Version })
	if err == nil {
		p.source, p.last = digest, c.Op
		s.person.project = &p
	}
	return err
}

func (p *project) path(rest string) string { return "/api/projects/" + p.id.String() + rest }

type versionAnswer struct {
	ID      int64 `json:"id"`
	Version int64 `json:"version"`
}

// save is the editor's autosave: it names the version that it replaces.
func (s *seat) save(ctx context.Context) error {
	p := s.person.project
	source, digest := encoded(appSource(s.random, p.version+1))
	c := &call{Intent: ledger.Intent{Kind: ledger.Save, Object: p.id, Name: p.title, Digest: digest, Prior: p.version}, method: "PUT", path: p.path(""),
		body: map[string]any{"version": p.version, "title": p.title, "source": source, "shared": false}}
	var a versionAnswer
	err := s.do(ctx, c, &a, func(o *ledger.Outcome) { o.Version = a.Version })
	if err == nil {
		p.version, p.source, p.last = a.Version, digest, c.Op
	}
	return err
}

func (s *seat) newRecord(ctx context.Context) error {
	p := s.person.project
	value, digest := encoded(recordValue(s.random))
	c := &call{Intent: ledger.Intent{Kind: ledger.Record, Object: p.id, Name: dataTable, Digest: digest}, method: "POST",
		path: p.path("/tables/" + dataTable), body: map[string]any{"value": value}}
	var a versionAnswer
	err := s.do(ctx, c, &a, func(o *ledger.Outcome) { o.ID, o.Version = a.ID, a.Version })
	if err == nil {
		p.records[a.ID] = record{1, digest, c.Op}
	}
	return err
}

// changeRecord saves or deletes the newest of the author's records.
func (s *seat) changeRecord(ctx context.Context, k ledger.Kind) error {
	p := s.person.project
	var id int64
	for n := range p.records {
		id = max(id, n)
	}
	was := p.records[id]
	c := &call{Intent: ledger.Intent{Kind: k, Object: p.id, Name: dataTable, Number: id, Prior: was.version},
		path: p.path(fmt.Sprintf("/tables/%s/%d", dataTable, id))}
	if k == ledger.RecordDelete {
		c.method = "DELETE"
		err := s.do(ctx, c, nil, nil)
		if err == nil {
			delete(p.records, id)
		}
		return err
	}
	value, digest := encoded(recordValue(s.random))
	c.method, c.Digest, c.body = "PUT", digest, map[string]any{"version": was.version, "value": value}
	var a versionAnswer
	err := s.do(ctx, c, &a, func(o *ledger.Outcome) { o.Version = a.Version })
	if err == nil {
		p.records[id] = record{a.Version, digest, c.Op}
	}
	return err
}

func (s *seat) setPair(ctx context.Context) error {
	p := s.person.project
	key := fmt.Sprintf("%s %d", oneOf(s.random, words[:6]), s.random.IntN(3))
	value, digest := encoded(recordValue(s.random))
	c := &call{Intent: ledger.Intent{Kind: ledger.Pair, Object: p.id, Name: key, Digest: digest}, method: "PUT",
		path: p.path("/kv/" + url.PathEscape(key)), body: map[string]any{"value": value}}
	var a versionAnswer
	err := s.do(ctx, c, &a, func(o *ledger.Outcome) { o.Version = a.Version })
	if err == nil {
		p.pairs[key] = pair{a.Version, digest, c.Op}
	}
	return err
}

// readProject opens the app again: it must be what was saved last.
func (s *seat) readProject(ctx context.Context) error {
	p := s.person.project
	var a struct {
		Project struct {
			Version int64           `json:"version"`
			Source  json.RawMessage `json:"source"`
		} `json:"project"`
	}
	if err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.ReadProject}, method: "GET", path: p.path("")}, &a, nil); err != nil {
		return err
	}
	switch got, err := ledger.DigestOfJSON(a.Project.Source); {
	case a.Project.Version < p.version:
		s.stale(ledger.ReadProject, p.last, fmt.Sprintf("project %s: version %d is acknowledged, %d was read", p.id, p.version, a.Project.Version))
	case a.Project.Version > p.version:
		s.ahead()
	case err != nil || got != p.source:
		s.stale(ledger.ReadProject, p.last, fmt.Sprintf("project %s: version %d has another source", p.id, p.version))
	}
	return nil
}

// recordsRead is how many records the platform lists at most; an author with more can't be compared.
const recordsRead = 1000

func (s *seat) readRecords(ctx context.Context) error {
	p := s.person.project
	var a struct {
		Records []struct {
			ID      int64           `json:"id"`
			Version int64           `json:"version"`
			Value   json.RawMessage `json:"value"`
		} `json:"records"`
	}
	if err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.ReadRecords}, method: "GET", path: p.path("/tables/" + dataTable)}, &a, nil); err != nil {
		return err
	}
	got := map[int64]record{}
	for _, r := range a.Records {
		d, _ := ledger.DigestOfJSON(r.Value)
		got[r.ID] = record{version: r.Version, value: d}
	}
	if len(p.records) < recordsRead {
		s.compare(ledger.ReadRecords, "record", p.records, got)
	}
	return nil
}

func (s *seat) readPairs(ctx context.Context) error {
	p := s.person.project
	var a struct {
		Pairs map[string]json.RawMessage `json:"pairs"`
	}
	if err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.ReadPairs}, method: "GET", path: p.path("/kv")}, &a, nil); err != nil {
		return err
	}
	for key, want := range p.pairs {
		if d, err := ledger.DigestOfJSON(a.Pairs[key]); err != nil || d != want.value {
			s.stale(ledger.ReadPairs, want.last, fmt.Sprintf("project %s: key %q doesn't have the value that is acknowledged", p.id, key))
		}
	}
	if len(a.Pairs) > len(p.pairs) {
		s.ahead()
	}
	return nil
}

func (s *seat) compare(k ledger.Kind, what string, want, got map[int64]record) {
	for id, w := range want {
		switch g, there := got[id]; {
		case !there || g.version < w.version:
			s.stale(k, w.last, fmt.Sprintf("project %s: %s %d: version %d is acknowledged, %d was read", s.person.project.id, what, id, w.version, g.version))
		case g.version > w.version:
			s.ahead()
		case g.value != w.value:
			s.stale(k, w.last, fmt.Sprintf("project %s: %s %d: version %d has another value", s.person.project.id, what, id, w.version))
		}
	}
	for id := range got {
		if _, there := want[id]; !there {
			s.stale(k, uuid.UUID{}, fmt.Sprintf("project %s: %s %d is read, and its deletion is acknowledged", s.person.project.id, what, id))
		}
	}
}
