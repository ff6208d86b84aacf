package students

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"changeover/platform/students/ledger"
)

type userAnswer struct {
	User struct {
		ID         int64 `json:"id"`
		TotalLines int64 `json:"totalLines"`
	} `json:"user"`
}

// guest makes somebody who plays without an account.
func (s *seat) guest(ctx context.Context) error {
	p := s.person
	text, raw := token()
	var a userAnswer
	err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Guest, Digest: ledger.DigestOf(raw[:])},
		method: "POST", path: "/api/guest", body: map[string]any{"session": text, "locale": p.browser.locale}},
		&a, func(o *ledger.Outcome) { o.User = a.User.ID })
	if err == nil {
		p.id = a.User.ID
	}
	return err
}

// account signs up, or claims a guest's work.
func (s *seat) account(ctx context.Context) error {
	p := s.person
	text, raw := token()
	login, _ := token()
	login = "u" + strings.ToLower(alphanumeric(login[:20]))
	password, _ := token()
	kind := map[Role]string{Teacher: "teacher", Organiser: "organiser"}[s.plan.role]
	if kind == "" {
		kind = "student"
	}
	var a userAnswer
	err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Account, Digest: ledger.DigestOf(raw[:]), Name: login},
		method: "POST", path: "/api/account", body: map[string]any{"session": text, "kind": kind, "login": login,
			"password": password[:20], "name": p.name, "locale": p.browser.locale}},
		&a, func(o *ledger.Outcome) { o.User = a.User.ID })
	if err == nil {
		p.id = a.User.ID
	}
	return err
}

// page opens the puzzle's page, as a browser does before it plays.
func (s *seat) page(ctx context.Context) error {
	return s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Page}, method: "GET",
		path: "/s/" + url.PathEscape(s.person.script.Name) + "/1"}, nil, nil)
}

func (s *seat) hocStart(ctx context.Context) error {
	p := s.person
	var a struct {
		Hoc int64 `json:"hoc"`
	}
	err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.HocStart, Script: p.script.Name},
		method: "POST", path: "/api/hoc/start", body: map[string]any{"script": p.script.Name, "country": oneOf(s.random, countries)}},
		&a, func(o *ledger.Outcome) { o.ID = a.Hoc })
	if err == nil {
		p.hoc = a.Hoc
	}
	return err
}

// claims is how many of a hundred who have finished sign up and keep their work.
const claims = 5

func (s *seat) hocFinish(ctx context.Context) error {
	p := s.person
	if p.hoc == 0 { // its start was refused, which has been counted
		if err := s.hocStart(ctx); err != nil {
			return err
		}
	}
	var a struct {
		Certificate string `json:"certificate"`
	}
	err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.HocFinish, Number: p.hoc, Name: p.name},
		method: "POST", path: "/api/hoc/finish", body: map[string]any{"hoc": p.hoc, "name": p.name}},
		&a, func(o *ledger.Outcome) { _ = o.Object.UnmarshalText([]byte(a.Certificate)) })
	p.hoc = 0
	if err == nil && s.random.IntN(100) < claims {
		return s.account(ctx)
	}
	return err
}

// run is a click on Run.
func (s *seat) run(ctx context.Context, t tick) error {
	p := s.person
	level := t.level
	text := program(s.random, level, t.passed)
	result := 0
	if t.passed {
		result = []int{20, 20, 30}[s.random.IntN(3)]
	}
	c := &call{Intent: ledger.Intent{Kind: ledger.Run, Script: p.script.Name, Level: level, Digest: ledger.DigestOf([]byte(text)),
		Result: result, TimeMs: 1000 + s.random.IntN(120_000), Lines: 3 + s.random.IntN(15)}, method: "POST", path: "/api/run"}
	c.body = map[string]any{"script": c.Script, "level": level, "program": text, "result": result, "timeMs": c.TimeMs, "lines": c.Lines}
	if s.random.IntN(3) == 0 {
		c.body["state"] = map[string]any{"zoom": s.random.IntN(5), "note": oneOf(s.random, words)}
	}
	if s.load.programs.isNew(level, c.Digest) {
		c.statements = 1
	}
	var a struct {
		Activity   int64 `json:"activity"`
		Attempts   int   `json:"attempts"`
		TotalLines int64 `json:"totalLines"`
	}
	err := s.do(ctx, c, &a, func(o *ledger.Outcome) { o.ID, o.Attempts, o.Lines = a.Activity, a.Attempts, a.TotalLines })
	if err == nil {
		p.attempts[level]++
		p.last[level] = c.Op
		p.lines += int64(c.Lines)
		p.lastOp = c.Op
	}
	return err
}

// progress reads what this student has done, and compares it with what they were told is saved.
func (s *seat) progress(ctx context.Context) error {
	p := s.person
	var a struct {
		Levels []struct {
			Level    int `json:"level"`
			Attempts int `json:"attempts"`
		} `json:"levels"`
		TotalLines int64 `json:"totalLines"`
	}
	err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Progress}, method: "GET",
		path: "/api/progress?script=" + url.QueryEscape(p.script.Name)}, &a, nil)
	if err != nil {
		return err
	}
	got := map[int]int{}
	for _, l := range a.Levels {
		got[l.Level] = l.Attempts
	}
	for level, want := range p.attempts {
		switch has := got[level]; {
		case has < want:
			s.stale(ledger.Progress, p.last[level], fmt.Sprintf("%s %d: %d attempts are acknowledged, the progress has %d", p.script.Name, level, want, has))
		case has > want:
			s.ahead()
		}
	}
	if a.TotalLines < p.lines {
		s.stale(ledger.Progress, p.lastOp, fmt.Sprintf("%d lines are acknowledged, the progress has %d", p.lines, a.TotalLines))
	}
	return nil
}

// join goes into the section that belongs to this seat.
func (s *seat) join(ctx context.Context) error {
	sec := s.load.sectionFor(s.plan.index)
	if sec == nil {
		return nil
	}
	return s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Join, Number: sec.id, Name: sec.code},
		method: "POST", path: "/api/join", body: map[string]any{"code": sec.code}}, nil, nil)
}

// feedbacks reads what the teacher said, and so has seen it.
func (s *seat) feedbacks(ctx context.Context) error {
	var a struct {
		Feedback []struct {
			ID     int64      `json:"id"`
			SeenAt *time.Time `json:"seenAt"`
		} `json:"feedback"`
	}
	if err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.Feedbacks}, method: "GET", path: "/api/feedback"}, &a, nil); err != nil {
		return err
	}
	for _, f := range a.Feedback {
		if f.SeenAt != nil {
			continue
		}
		if err := s.do(ctx, &call{Intent: ledger.Intent{Kind: ledger.FeedbackSeen, Number: f.ID}, method: "POST",
			path: fmt.Sprintf("/api/feedback/%d/seen", f.ID)}, nil, nil); err != nil {
			return err
		}
	}
	return nil
}
