package store_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"changeover/platform/platformtest"
	"changeover/platform/store"
)

func newToken(t testing.TB) (token store.Token) {
	t.Helper()
	if _, err := rand.Read(token[:]); err != nil {
		t.Fatal(err)
	}
	return token
}

// refused asserts the code of a refusal.
func refused(t testing.TB, err error, code store.Code) {
	t.Helper()
	var r *store.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("the answer is %v, not %s", err, code)
	}
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func aRun(program string) store.Run {
	return store.Run{Script: "maze", Level: 2, Program: program, Result: 20, TimeMs: 31_000, Lines: 4, State: json.RawMessage(`{"seen":true}`)}
}

func TestARunCountsOnceHoweverOftenItIsSent(t *testing.T) {
	flavors(t, func(t *testing.T, p *platformtest.Platform) {
		user, _ := somebody(t, p)
		op := platformtest.Op("run")
		first, a, err := p.Store.Run(t.Context(), op, user, aRun("move 🦊"))
		if err != nil || a.Replayed {
			t.Fatal(first, a, err)
		}
		if first.Attempts != 1 || first.BestResult != 20 || first.TotalLines != 4 || !first.Passed {
			t.Fatalf("a first run led to %+v", first)
		}
		again, a, err := p.Store.Run(t.Context(), op, user, aRun("move 🦊"))
		if err != nil || !a.Replayed || again != first {
			t.Fatalf("a replay is answered %+v, %+v, %v; the first one was %+v", again, a, err, first)
		}
		var group sync.WaitGroup
		racing := platformtest.Op("race")
		for range 20 {
			group.Go(func() {
				if _, _, err := p.Store.Run(t.Context(), racing, user, aRun("turn")); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		worse := aRun("x")
		worse.Result = 0
		last := must[store.Ran](t)(second(p.Store.Run(t.Context(), platformtest.Op("worse"), user, worse)))
		if last.Attempts != 3 || last.BestResult != 20 || last.TotalLines != 12 || last.Passed {
			t.Fatalf("after three runs: %+v", last)
		}
		if n := p.Int(t, "SELECT COUNT(*) FROM activities WHERE user_id = ?", user.ID); n != 3 {
			t.Errorf("there are %d activities of three runs", n)
		}
		if n := p.Int(t, "SELECT SUM(`lines`) FROM activities WHERE user_id = ?", user.ID); n != 12 {
			t.Errorf("they have %d lines", n)
		}
		if n := p.Int(t, "SELECT COUNT(*) FROM level_sources WHERE program = 'move 🦊'"); n != 1 {
			t.Errorf("the program is there %d times", n)
		}
	})
}

// second leaves the answer out.
func second[T any](v T, _ store.Answer, err error) (T, error) { return v, err }

func TestAnOperationIdIsOfOneRequestOnly(t *testing.T) {
	flavors(t, func(t *testing.T, p *platformtest.Platform) {
		user, _ := somebody(t, p)
		other, _ := somebody(t, p)
		op := platformtest.Op("run")
		must[store.Ran](t)(second(p.Store.Run(t.Context(), op, user, aRun("a"))))
		_, _, err := p.Store.Run(t.Context(), store.NewOp(op.ID, []byte("another body")), user, aRun("b"))
		refused(t, err, store.OperationReused)
		_, _, err = p.Store.Run(t.Context(), op, other, aRun("a"))
		refused(t, err, store.OperationReused)
		if n := p.Int(t, "SELECT COUNT(*) FROM activities"); n != 1 {
			t.Errorf("there are %d activities", n)
		}
		if n := p.Int(t, "SELECT COUNT(*) FROM user_levels"); n != 1 {
			t.Errorf("there are %d lines of progress", n)
		}
	})
}

// replay is a write that is sent twice, the second time as the first, and then with another body.
type replay struct {
	name string
	send func(op store.Op) (any, store.Answer, error)
	rows string // counts what it makes
}

func any3[T any](v T, a store.Answer, err error) (any, store.Answer, error) { return v, a, err }

func TestEachWriteIsCarriedOutOnceAndAnswersAReplayTheSame(t *testing.T) {
	flavors(t, func(t *testing.T, p *platformtest.Platform) {
		s, ctx := p.Store, t.Context()
		teacher, student := person(t, p, store.Teacher, "teacher"), person(t, p, store.Student, "student")
		section := must[store.Section](t)(second(s.NewSection(ctx, platformtest.Op("s"), teacher, "5b", "maze")))
		must[store.Section](t)(second(s.Join(ctx, student, strings.ToLower(section.Code), "not taken: there is a name")))
		app, dance := uuid.New(), uuid.New()
		must[store.Project](t)(second(s.NewProject(ctx, platformtest.Op("app"), student, app, "applab", "App", json.RawMessage(`{}`))))
		must[store.Project](t)(second(s.NewProject(ctx, platformtest.Op("dance"), student, dance, "dance", "Dance", json.RawMessage(`{}`))))
		hour := must[uint64](t)(second(s.StartHour(ctx, platformtest.Op("h"), student, "maze", "IS", netip.MustParseAddr("::1"), "")))
		record := must[store.DataRecord](t)(second(s.NewRecord(ctx, platformtest.Op("r"), student, app, "scores", json.RawMessage(`{"n":1}`))))
		guestToken, accountToken, secret := newToken(t), newToken(t), newToken(t)
		event := store.Event{Name: "Code 🎉", Country: "IS", City: "Ísafjörður", Date: "2026-12-07", Time: "09:30", Hours: 1, Size: 30}
		made := must[store.Event](t)(second(s.NewEvent(ctx, platformtest.Op("e"), secret, event)))
		changed := made
		changed.Size = 31
		newDance, remixed := uuid.New(), uuid.New()
		for _, c := range []replay{
			{"a guest", func(op store.Op) (any, store.Answer, error) { return any3(s.NewGuest(ctx, op, guestToken, "is")) }, "users"},
			{"an account", func(op store.Op) (any, store.Answer, error) {
				return any3(s.NewAccount(ctx, op, accountToken, store.Account{Kind: store.Student, Login: "new", Password: "long enough", Name: "N", Email: "n@example.org"}, nil))
			}, "users"},
			{"an hour", func(op store.Op) (any, store.Answer, error) {
				return any3(s.StartHour(ctx, op, student, "maze", "IS", netip.MustParseAddr("2001:db8::1"), ""))
			}, "hoc_activity"},
			{"a section", func(op store.Op) (any, store.Answer, error) {
				return any3(s.NewSection(ctx, op, teacher, "6a", "maze"))
			}, "sections"},
			{"feedback", func(op store.Op) (any, store.Answer, error) {
				return any3(s.GiveFeedback(ctx, op, teacher, store.NewFeedback{Student: student.ID, Script: "maze", Level: 1, Comment: "Good 👍", Rating: "there"}))
			}, "teacher_feedbacks"},
			{"a project", func(op store.Op) (any, store.Answer, error) {
				v, a, err := s.NewProject(ctx, op, student, newDance, "dance", "D", json.RawMessage(`{"a":1}`))
				return v.UUID, a, err
			}, "projects"},
			{"a save", func(op store.Op) (any, store.Answer, error) {
				return any3(s.SaveProject(ctx, op, student, dance, 1, "D2", json.RawMessage(`{"a":2}`), true))
			}, ""},
			{"a remix", func(op store.Op) (any, store.Answer, error) {
				v, a, err := s.Remix(ctx, op, teacher, dance, remixed, "")
				return v.UUID, a, err
			}, "projects"},
			{"a library", func(op store.Op) (any, store.Answer, error) {
				return any3(s.Publish(ctx, op, student, app, store.Library{Name: "Lib", Source: "function f() {}"}, []string{"f"}))
			}, "libraries"},
			{"a record", func(op store.Op) (any, store.Answer, error) {
				v, a, err := s.NewRecord(ctx, op, student, app, "scores", json.RawMessage(`{"m":2}`))
				return v.ID, a, err
			}, "data_records"},
			{"a record's change", func(op store.Op) (any, store.Answer, error) {
				return any3(s.SaveRecord(ctx, op, student, app, "scores", record.ID, 1, json.RawMessage(`{"n":2}`)))
			}, ""},
			{"a key", func(op store.Op) (any, store.Answer, error) {
				return any3(s.SetPair(ctx, op, student, app, "high 🏆", json.RawMessage(`"9"`)))
			}, "data_kvs"},
			{"an event", func(op store.Op) (any, store.Answer, error) { return any3(s.NewEvent(ctx, op, secret, event)) }, "hoc_events"},
			{"an event's change", func(op store.Op) (any, store.Answer, error) { return any3(s.SaveEvent(ctx, op, secret, changed)) }, ""},
			{"a finish", func(op store.Op) (any, store.Answer, error) {
				return any3(s.FinishHour(ctx, op, student, hour, "Zoë"))
			}, ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				count := func() int {
					if c.rows == "" {
						return 0
					}
					return p.Int(t, "SELECT COUNT(*) FROM "+c.rows)
				}
				before := count()
				op := platformtest.Op(c.name)
				first, a, err := c.send(op)
				if err != nil || a.Replayed {
					t.Fatalf("at first: %v, %+v, %v", first, a, err)
				}
				after := count()
				if c.rows != "" && after != before+1 {
					t.Errorf("it made %d rows", after-before)
				}
				again, a, err := c.send(op)
				if err != nil || !a.Replayed || fmt.Sprint(again) != fmt.Sprint(first) {
					t.Errorf("again: %v (at first %v), %+v, %v", again, first, a, err)
				}
				if c.name != "a finish" { // there is nothing in it that could differ
					_, _, err = c.send(store.NewOp(op.ID, []byte("another body")))
					refused(t, err, store.OperationReused)
				}
				if n := count(); n != after {
					t.Errorf("sent three times it made %d rows more", n-after)
				}
			})
		}
		_, _, err := s.SaveProject(ctx, platformtest.Op("late"), student, dance, 1, "D3", json.RawMessage(`{}`), true)
		refused(t, err, store.VersionConflict)
		if last := p.Int(t, "SELECT last_id FROM data_tables WHERE name = 'scores'"); last != 2 {
			t.Errorf("two records have numbers up to %d", last)
		}
	})
}

func TestAGuestsWorkIsKeptByTheAccountThatClaimsIt(t *testing.T) {
	flavors(t, func(t *testing.T, p *platformtest.Platform) {
		guest, token := somebody(t, p)
		must[store.Ran](t)(second(p.Store.Run(t.Context(), platformtest.Op("run"), guest, aRun("a"))))
		account := store.Account{Kind: store.Student, Login: "Zoe", Password: "correct horse", Name: "Zoë 🦊", Email: "Zoe@example.org", BirthYear: 2015}
		user, _, err := p.Store.NewAccount(t.Context(), platformtest.Op("claim"), token, account, &guest)
		if err != nil || user.ID != guest.ID || user.TotalLines != 4 || user.Kind != store.Student {
			t.Fatalf("the guest %+v became %+v, %v", guest, user, err)
		}
		_, _, err = p.Store.NewAccount(t.Context(), platformtest.Op("other"), newToken(t), account, nil)
		refused(t, err, store.Taken)
		_, _, err = p.Store.SignIn(t.Context(), newToken(t), "zoe", "wrong horse")
		refused(t, err, store.WrongPassword)
		_, _, err = p.Store.SignIn(t.Context(), newToken(t), "nobody", "wrong horse")
		refused(t, err, store.WrongPassword)
		fresh := newToken(t)
		if in, _, err := p.Store.SignIn(t.Context(), fresh, "ZOE", "correct horse"); err != nil || in.ID != user.ID || in.Name != "Zoë 🦊" {
			t.Fatal(in, err)
		}
		must[store.Answer](t)(p.Store.SignOut(t.Context(), fresh))
		_, err = p.Store.Session(t.Context(), fresh)
		refused(t, err, store.NoSession)
		if late, a, err := p.Store.NewGuest(t.Context(), platformtest.Op("guest"), token, "en"); err != nil || late.ID != user.ID || !a.Replayed {
			t.Errorf("a guest's operation that comes late is answered %+v, %+v, %v", late, a, err)
		}
		if found := must[store.User](t)(p.Store.Session(t.Context(), token)); found.ID != user.ID {
			t.Errorf("the guest's session is of %d", found.ID)
		}
	})
}

func TestWhatIsSomebodyElsesIsRefused(t *testing.T) {
	flavors(t, func(t *testing.T, p *platformtest.Platform) {
		s, ctx := p.Store, t.Context()
		teacher, other := person(t, p, store.Teacher, "teacher"), person(t, p, store.Teacher, "other")
		student := person(t, p, store.Student, "student")
		section := must[store.Section](t)(second(s.NewSection(ctx, platformtest.Op("s"), teacher, "5b", "maze")))
		must[store.Section](t)(second(s.Join(ctx, student, section.Code, "")))
		ran := must[store.Ran](t)(second(s.Run(ctx, platformtest.Op("r"), student, aRun("a"))))
		id := uuid.New()
		must[store.Project](t)(second(s.NewProject(ctx, platformtest.Op("p"), student, id, "applab", "Mine", json.RawMessage(`{}`))))
		_, err := s.Grid(ctx, other, section.ID)
		refused(t, err, store.NotYours)
		_, err = s.Attempt(ctx, other, ran.Activity)
		refused(t, err, store.NotYours)
		_, err = s.Attempts(ctx, other, student.ID, "maze", 2)
		refused(t, err, store.NotYours)
		_, _, err = s.GiveFeedback(ctx, platformtest.Op("f"), other, store.NewFeedback{Student: student.ID, Script: "maze", Level: 1, Comment: "x"})
		refused(t, err, store.NotYours)
		_, err = s.RemoveStudent(ctx, other, section.ID, student.ID)
		refused(t, err, store.NotYours)
		_, err = s.Project(ctx, other, id)
		refused(t, err, store.NotYours)
		_, _, err = s.SaveProject(ctx, platformtest.Op("save"), other, id, 1, "Yours", json.RawMessage(`{}`), true)
		refused(t, err, store.NotYours)
		_, _, err = s.NewRecord(ctx, platformtest.Op("rec"), other, id, "t", json.RawMessage(`{}`))
		refused(t, err, store.NotYours)
		_, _, err = s.NewSection(ctx, platformtest.Op("sec"), student, "mine", "")
		refused(t, err, store.NotAllowed)
		if grid := must[store.Grid](t)(s.Grid(ctx, teacher, section.ID)); len(grid.Students) != 1 || len(grid.Students[0].Levels) != 1 ||
			grid.Students[0].Levels[0].Level != 2 || grid.Students[0].Levels[0].Attempts != 1 {
			t.Errorf("the grid is %+v", grid)
		}
		if a := must[store.Attempt](t)(s.Attempt(ctx, teacher, ran.Activity)); a.Program != "a" || a.Student.ID != student.ID || a.Level != 2 {
			t.Errorf("the attempt is %+v", a)
		}
	})
}
