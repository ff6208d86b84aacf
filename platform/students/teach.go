package students

import (
	"context"
	"fmt"
	"net/url"

	"changeover/platform/students/ledger"
)

// section is a teacher's class.
type section struct {
	id     int64
	code   string
	name   string
	script string
}

// student is a line of the grid that can be given feedback.
type student struct {
	id    int64
	level int
}

// newSection makes the class that students will join.
func (s *seat) newSection(ctx context.Context) error {
	p := s.person
	name := oneOf(s.random, sectionNames)
	var a struct {
		Section struct {
			ID   int64  `json:"id"`
			Code string `json:"code"`
		} `json:"section"`
	}
	err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Section, Script: p.script.Name, Name: name}, method: "POST", path: "/api/sections",
		body: map[string]any{"name": name, "script": p.script.Name}}, &a, func(o *ledger.Outcome) { o.ID, o.Text = a.Section.ID, a.Section.Code })
	if err == nil {
		p.section = &section{a.Section.ID, a.Section.Code, name, p.script.Name}
	}
	return err
}

// sections reads the teacher's list: the own section must be on it.
func (s *seat) sections(ctx context.Context) error {
	var a struct {
		Sections []struct {
			ID int64 `json:"id"`
		} `json:"sections"`
	}
	if err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Sections}, method: "GET", path: "/api/sections"}, &a, nil); err != nil {
		return err
	}
	if sec := s.person.section; sec != nil {
		for _, x := range a.Sections {
			if x.ID == sec.id {
				return nil
			}
		}
		s.stale(ledger.Sections, [16]byte{}, fmt.Sprintf("section %d is not in its teacher's list", sec.id))
	}
	return nil
}

// grid is the teacher's live view.
func (s *seat) grid(ctx context.Context) error {
	p := s.person
	if p.section == nil {
		return s.newSection(ctx)
	}
	var a struct {
		Students []struct {
			ID     int64 `json:"id"`
			Levels []struct {
				Level int `json:"level"`
			} `json:"levels"`
		} `json:"students"`
	}
	if err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Grid}, method: "GET",
		path: fmt.Sprintf("/api/sections/%d/progress", p.section.id)}, &a, nil); err != nil {
		return err
	}
	p.students = p.students[:0]
	for _, x := range a.Students {
		if len(x.Levels) > 0 {
			p.students = append(p.students, student{x.ID, oneOf(s.random, x.Levels).Level})
		}
	}
	return nil
}

// feedback is a word for one of the students of the grid; without any yet the grid is looked at.
func (s *seat) feedback(ctx context.Context) error {
	p := s.person
	if len(p.students) == 0 {
		return s.grid(ctx)
	}
	to := oneOf(s.random, p.students)
	comment := fmt.Sprintf("%s %s %d", oneOf(s.random, words), oneOf(s.random, names), s.random.IntN(1000))
	rating := oneOf(s.random, []string{"begun", "nearly", "there", "beyond"})
	var a struct {
		Feedback int64 `json:"feedback"`
	}
	return s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Feedback, Script: p.section.script, Level: to.level, Number: to.id, Name: rating,
		Digest: ledger.DigestOf([]byte(comment))}, method: "POST", path: "/api/feedback",
		body: map[string]any{"student": to.id, "script": p.section.script, "level": to.level, "comment": comment, "rating": rating}},
		&a, func(o *ledger.Outcome) { o.ID = a.Feedback })
}

// ownEvent is an event with what lets it be edited.
type ownEvent struct {
	event
	id, version int64
	secret      string
}

func (e event) body(secret string) map[string]any {
	return map[string]any{"secret": secret, "name": e.Name, "description": e.Description, "country": e.Country, "city": e.City,
		"latitude": e.Latitude, "longitude": e.Longitude, "date": e.Date, "time": e.Time, "hours": e.Hours, "size": e.Size, "features": e.Features}
}

func (s *seat) event(ctx context.Context) error {
	e := ownEvent{event: newEvent(s.random), version: 1}
	e.secret, _ = token()
	var a struct {
		Event struct {
			ID int64 `json:"id"`
		} `json:"event"`
	}
	err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Event, Digest: e.digest()}, method: "POST", path: "/api/events", body: e.body(e.secret)},
		&a, func(o *ledger.Outcome) { o.ID, o.Version = a.Event.ID, 1 })
	if err == nil {
		e.id = a.Event.ID
		s.person.event = &e
	}
	return err
}

func (s *seat) eventSave(ctx context.Context) error {
	e := s.person.event
	if e == nil {
		return s.event(ctx)
	}
	next := newEvent(s.random)
	c := &call{Intent: ledger.Intent{Kind: ledger.EventSave, Number: e.id, Prior: e.version, Digest: next.digest()}, method: "PUT",
		path: fmt.Sprintf("/api/events/%d", e.id), body: next.body(e.secret)}
	c.body["version"] = e.version
	var a versionAnswer
	err := s.do(ctx, c, &a, func(o *ledger.Outcome) { o.Version = a.Version })
	if err == nil {
		e.event, e.version = next, a.Version
	}
	return err
}

func (s *seat) events(ctx context.Context) error {
	return s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Events}, method: "GET",
		path: "/api/events?country=" + url.QueryEscape(oneOf(s.random, countries))}, nil, nil)
}
