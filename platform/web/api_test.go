package web_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/platformtest"
)

func TestMain(m *testing.M) { sandboxtest.Main(m) }

// browser is one person's: it keeps the session.
type browser struct {
	t       *testing.T
	url     string
	session string
}

type body map[string]any

// newToken is 32 random bytes as the API takes them.
func newToken() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func newOp() string { return uuid.Must(uuid.NewV7()).String() }

// answer is what came back.
type answer struct {
	status   int
	body     body
	replayed bool
}

func (b *browser) do(method, path string, in any, headers ...string) answer {
	b.t.Helper()
	var text []byte
	switch v := in.(type) {
	case nil:
	case []byte:
		text = v
	case string:
		text = []byte(v)
	default:
		var err error
		if text, err = json.Marshal(v); err != nil {
			b.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, bytes.NewReader(text))
	if err != nil {
		b.t.Fatal(err)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if b.session != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: b.session})
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, replayed: res.Header.Get("Replayed") == "1"}
	if json.Unmarshal(raw, &a.body) != nil {
		a.body = body{"raw": string(raw)}
	}
	return a
}

// must does what has to succeed.
func (b *browser) must(method, path string, in any) body {
	b.t.Helper()
	a := b.do(method, path, in)
	if a.status != http.StatusOK {
		b.t.Fatalf("%s %s: %d %v", method, path, a.status, a.body)
	}
	return a.body
}

func guest(t *testing.T, url string) *browser {
	t.Helper()
	b := &browser{t: t, url: url}
	token := newToken()
	b.must("POST", "/api/guest", body{"op": newOp(), "session": token, "locale": "en"})
	b.session = token
	return b
}

func account(t *testing.T, url, kind, login string) *browser {
	t.Helper()
	b := &browser{t: t, url: url}
	token := newToken()
	b.must("POST", "/api/account", body{"op": newOp(), "session": token, "kind": kind, "login": login, "password": "correct horse", "name": "Ünal 🦊"})
	b.session = token
	return b
}

func at(v any, keys ...string) any {
	for _, k := range keys {
		switch x := v.(type) {
		case body:
			v = x[k]
		case map[string]any:
			v = x[k]
		default:
			return nil
		}
	}
	return v
}

// route is a write of the API with a body that it takes.
type route struct {
	method, path string
	body         body
	as           *browser // who may
	not          *browser // who may not, if anybody
	open         bool     // no session is needed
	free         bool     // a body is not tied to its operation: doing it twice is doing it once
}

func (r route) String() string { return r.method + " " + r.path }

// school is people and things for requests to be about.
type school struct {
	teacher, other, student, stranger *browser
	routes                            []route
}

func newSchool(t *testing.T, url string) school {
	s := school{teacher: account(t, url, "teacher", "teacher"), other: account(t, url, "teacher", "other"),
		student: account(t, url, "student", "student"), stranger: guest(t, url)}
	section := s.teacher.must("POST", "/api/sections", body{"op": newOp(), "name": "5b", "script": "maze"})
	s.student.must("POST", "/api/join", body{"op": newOp(), "code": at(section, "section", "code")})
	student := at(s.student.must("GET", "/api/me", nil), "user", "id")
	run := s.student.must("POST", "/api/run", aRun())
	hour := s.student.must("POST", "/api/hoc/start", body{"op": newOp(), "script": "maze"})
	feedback := s.teacher.must("POST", "/api/feedback", body{"op": newOp(), "student": student, "script": "maze", "level": 1, "comment": "Good!", "rating": "there"})
	app, gone := uuid.NewString(), uuid.NewString()
	for _, id := range []string{app, gone} {
		s.student.must("POST", "/api/projects", body{"op": newOp(), "uuid": id, "kind": "applab", "title": "App", "source": body{}})
	}
	record := s.student.must("POST", "/api/projects/"+app+"/tables/scores", body{"op": newOp(), "value": body{"n": 1}})
	s.student.must("PUT", "/api/projects/"+app+"/kv/old", body{"op": newOp(), "value": 1})
	secret := newToken()
	event := s.stranger.must("POST", "/api/events", anEvent(secret))
	change := anEvent(secret)
	change["version"] = 1
	sectionPath := fmt.Sprintf("/api/sections/%v", at(section, "section", "id"))
	s.routes = []route{
		{method: "POST", path: "/api/guest", body: body{"session": newToken(), "locale": "en"}, as: &browser{t: t, url: url}, open: true},
		{method: "POST", path: "/api/account", body: body{"session": newToken(), "kind": "student", "login": "fresh", "password": "long enough", "name": "F", "email": "f@example.org", "birthYear": 2014, "locale": "de"},
			as: &browser{t: t, url: url}, open: true},
		{method: "POST", path: "/api/sign-in", body: body{"session": newToken(), "login": "teacher", "password": "correct horse"}, as: &browser{t: t, url: url}, open: true, free: true},
		{method: "POST", path: "/api/run", body: aRun(), as: s.student},
		{method: "POST", path: "/api/hoc/start", body: body{"script": "maze", "country": "IS"}, as: s.stranger},
		{method: "POST", path: "/api/hoc/finish", body: body{"hoc": hour["hoc"], "name": "Zoë 🦊"}, as: s.student, not: s.stranger, free: true},
		{method: "POST", path: "/api/join", body: body{"code": at(section, "section", "code"), "name": "Zoë 🦊"}, as: s.stranger, free: true},
		{method: "POST", path: "/api/sections", body: body{"name": "6a", "script": "course"}, as: s.teacher},
		{method: "POST", path: "/api/feedback", body: body{"student": student, "script": "maze", "level": 2, "activity": run["activity"], "comment": "Better 👍", "rating": "nearly"}, as: s.teacher, not: s.other},
		{method: "POST", path: fmt.Sprintf("/api/feedback/%v/seen", feedback["feedback"]), body: body{}, as: s.student, free: true},
		{method: "POST", path: "/api/projects", body: body{"uuid": uuid.NewString(), "kind": "dance", "title": "D 💃", "source": body{"blocks": []int{1}}}, as: s.stranger},
		{method: "PUT", path: "/api/projects/" + app, body: body{"version": 1, "title": "App 2", "source": body{"a": "é"}, "shared": false}, as: s.student, not: s.other},
		{method: "POST", path: "/api/projects/" + app + "/remix", body: body{"uuid": uuid.NewString(), "title": "Mine"}, as: s.student, not: s.other},
		{method: "POST", path: "/api/projects/" + app + "/libraries", body: body{"name": "Lib", "description": "of mine", "source": "function f() {}", "functions": []string{"f"}}, as: s.student, not: s.other},
		{method: "POST", path: "/api/projects/" + app + "/tables/scores", body: body{"value": body{"n": 2}}, as: s.student, not: s.other},
		{method: "PUT", path: fmt.Sprintf("/api/projects/%s/tables/scores/%v", app, record["id"]), body: body{"version": 1, "value": body{"n": 3}}, as: s.student, not: s.other},
		{method: "DELETE", path: fmt.Sprintf("/api/projects/%s/tables/scores/%v", app, record["id"]), body: body{}, as: s.student, not: s.other, free: true},
		{method: "PUT", path: "/api/projects/" + app + "/kv/high", body: body{"value": "9"}, as: s.student, not: s.other},
		{method: "DELETE", path: "/api/projects/" + app + "/kv/old", body: body{}, as: s.student, not: s.other, free: true},
		{method: "DELETE", path: "/api/projects/" + gone, body: body{}, as: s.student, not: s.other, free: true},
		{method: "POST", path: "/api/events", body: anEvent(newToken()), as: s.stranger, open: true},
		{method: "PUT", path: fmt.Sprintf("/api/events/%v", at(event, "event", "id")), body: change, as: s.stranger, open: true},
		{method: "DELETE", path: sectionPath + fmt.Sprintf("/students/%v", student), body: body{}, as: s.teacher, not: s.other, free: true},
		{method: "POST", path: "/api/sign-out", body: body{}, as: guest(t, url), open: true, free: true},
	}
	return s
}

func aRun() body {
	return body{"op": newOp(), "script": "maze", "level": 1, "program": `{"move":"🦊"}`, "result": 30, "timeMs": 12000, "lines": 3, "state": body{"x": 1}}
}

func anEvent(secret string) body {
	return body{"op": newOp(), "secret": secret, "name": "Hour 🎉", "description": "All day", "country": "IS", "city": "Ísafjörður", "latitude": 66.07, "longitude": -23.13,
		"date": "2026-12-07", "time": "09:30", "hours": 1.5, "size": 30, "features": []string{"school", "public"}}
}

// with is the body with a field set, and an operation of its own.
func (b body) with(key string, value any) body {
	c := maps.Clone(b)
	c["op"] = newOp()
	if key != "" {
		c[key] = value
	}
	return c
}

// spoiled are values that a field of that kind doesn't take.
func spoiled(field string, value any) map[string]any {
	bad := map[string]any{}
	switch value.(type) {
	case string:
		bad["a number"], bad["an object"], bad["NUL"], bad["very long"] = 7, body{}, "a\x00b", strings.Repeat("x", 400_000)
	case int, float64, uint32:
		bad["text"], bad["negative"], bad["huge"] = "seven", -1e6, 1e300
	case body, map[string]any:
		bad["a list"], bad["text"], bad["null"] = []int{1}, "x", nil
	case []string:
		bad["text"], bad["a wrong member"], bad["very many"] = "x", []string{"no such thing!"}, slices.Repeat([]string{"£"}, 300)
	case bool:
		bad["text"] = "yes"
	}
	if field == "state" || field == "value" && bad["null"] == nil { // may be left out, or be anything
		delete(bad, "null")
	}
	return bad
}

// flavors runs a test on both kinds of servers at once.
func flavors(t *testing.T, fn func(t *testing.T, p *platformtest.Platform)) {
	t.Helper()
	t.Parallel()
	for name, on := range map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{
		"MySQL": sandboxtest.MySQLSource, "MariaDB": sandboxtest.MariaDBSource} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, platformtest.New(t, on(t)))
		})
	}
}

func TestEveryWriteRefusesWhatIsWrongAndWritesNothing(t *testing.T) { flavors(t, refusesWrites) }

func refusesWrites(t *testing.T, p *platformtest.Platform) {
	_, url := p.Serve(t)
	s := newSchool(t, url)
	nobody := &browser{t: t, url: url}
	before := contents(t, p)
	expect := func(r route, what string, a answer, statuses ...int) {
		t.Helper()
		if !slices.Contains(statuses, a.status) || a.body["error"] == nil || a.body["message"] == nil {
			t.Errorf("%s with %s: %d %v, expected %v", r, what, a.status, a.body, statuses)
		}
	}
	for _, r := range s.routes {
		good := r.body.with("", nil)
		expect(r, "no JSON", r.as.do(r.method, r.path, "not { json"), 400)
		expect(r, "half of it", r.as.do(r.method, r.path, `{"op": "`+newOp()+`"`), 400)
		expect(r, "more after it", r.as.do(r.method, r.path, string(mustJSON(t, good))+"{}"), 400)
		expect(r, "another type", r.as.do(r.method, r.path, good, "Content-Type", "text/plain"), 415)
		expect(r, "a form", r.as.do(r.method, r.path, "op=1", "Content-Type", "application/x-www-form-urlencoded"), 415)
		expect(r, "an unknown field", r.as.do(r.method, r.path, good.with("nonsense", 1)), 400)
		expect(r, "no operation", r.as.do(r.method, r.path, good.with("op", "")), 400)
		expect(r, "a random operation", r.as.do(r.method, r.path, good.with("op", uuid.NewString())), 400)
		expect(r, "a cross-site request", r.as.do(r.method, r.path, good, "Sec-Fetch-Site", "cross-site"), 403)
		expect(r, "another origin", r.as.do(r.method, r.path, good, "Origin", "https://elsewhere.example"), 403)
		expect(r, "too much", r.as.do(r.method, r.path, `{"op":"`+strings.Repeat("x", 2<<20)+`"}`), 413)
		if !r.open {
			expect(r, "no session", nobody.do(r.method, r.path, good), 401)
			expect(r, "a session that nobody has", (&browser{t: t, url: url, session: newToken()}).do(r.method, r.path, good), 401)
		}
		if r.not != nil {
			expect(r, "another's session", r.not.do(r.method, r.path, r.body.with("", nil)), 403)
		}
		for field, value := range r.body {
			if field == "op" {
				continue
			}
			for what, bad := range spoiled(field, value) {
				if r.path == "/api/sign-in" || strings.Contains(r.path, "/kv/") && field == "value" {
					continue // anything may be a password, or a value
				}
				expect(r, field+" = "+what, r.as.do(r.method, r.path, r.body.with(field, bad)), 400, 404, 409, 413)
			}
		}
	}
	if after := contents(t, p); after != before {
		t.Errorf("something was written:\n%s\n%s", before, after)
	}
	// And now that they are right: once, again, and with another body.
	for _, r := range s.routes {
		good := r.body.with("", nil)
		first := r.as.do(r.method, r.path, good)
		if first.status != 200 || first.replayed {
			t.Errorf("%s: %d %v", r, first.status, first.body)
			continue
		}
		if r.path == "/api/sign-out" {
			continue
		}
		again := r.as.do(r.method, r.path, good)
		if again.status != 200 || !r.free && (!again.replayed || fmt.Sprint(again.body) != fmt.Sprint(first.body)) {
			t.Errorf("%s again: %d %v (replayed: %v), at first %v", r, again.status, again.body, again.replayed, first.body)
		}
		if r.free {
			continue
		}
		settled := contents(t, p)
		other := maps.Clone(good)
		for field, value := range map[string]any{"lines": 4, "locale": "fr", "country": "DE", "name": "Other", "comment": "Other", "title": "Other", "value": body{"n": 99}, "size": 77} {
			if _, has := other[field]; has {
				other[field] = value
				break
			}
		}
		expect(r, "an operation that was another's", r.as.do(r.method, r.path, other), 409)
		if after := contents(t, p); after != settled {
			t.Errorf("%s: another body under the same operation has changed something", r)
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// contents are checksums of all tables.
func contents(t *testing.T, p *platformtest.Platform) string {
	t.Helper()
	rows, err := p.DB.Query("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out strings.Builder
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		var table string
		var sum uint64
		if err := p.DB.QueryRow("CHECKSUM TABLE `"+name+"`").Scan(&table, &sum); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s=%d/%d ", name, sum, p.Int(t, "SELECT COUNT(*) FROM `"+name+"`"))
	}
	return out.String()
}

func TestEveryReadRefusesWhatIsNotThereOrNotForThem(t *testing.T) { flavors(t, refusesReads) }

func refusesReads(t *testing.T, p *platformtest.Platform) {
	_, url := p.Serve(t)
	s := newSchool(t, url)
	nobody := &browser{t: t, url: url}
	app := ""
	for _, r := range s.routes {
		if r.method == "PUT" && strings.Count(r.path, "/") == 3 && strings.HasPrefix(r.path, "/api/projects/") {
			app = r.path
		}
	}
	sections := s.teacher.must("GET", "/api/sections", nil)
	section := fmt.Sprint(at(sections["sections"].([]any)[0], "id"))
	attempts := s.student.must("GET", "/api/attempts?script=maze&level=1", nil)
	activity := fmt.Sprint(at(attempts["attempts"].([]any)[0], "activity"))
	for _, c := range []struct {
		who    *browser
		path   string
		status int
	}{
		{nobody, "/api/me", 401}, {s.student, "/api/me", 200},
		{nobody, "/api/curriculum", 200},
		{nobody, "/api/progress?script=maze", 401}, {s.student, "/api/progress?script=maze", 200}, {s.student, "/api/progress?script=nothing", 404}, {s.student, "/api/progress", 404},
		{s.student, "/api/attempts?script=maze&level=x", 400}, {s.student, "/api/attempts?script=maze&level=9", 404}, {s.student, "/api/attempts?script=maze&level=1&student=-1", 400},
		{s.other, "/api/attempts?script=maze&level=1&student=999999", 403},
		{nobody, "/api/attempts/" + activity, 401}, {s.other, "/api/attempts/" + activity, 403}, {s.teacher, "/api/attempts/" + activity, 200}, {s.student, "/api/attempts/" + activity, 200},
		{s.student, "/api/attempts/999999", 404}, {s.student, "/api/attempts/x", 404}, {s.student, "/api/attempts/-1", 404}, {s.student, "/api/attempts/99999999999999999999", 404},
		{nobody, "/api/sections", 401}, {s.student, "/api/sections", 200},
		{s.teacher, "/api/sections/" + section + "/progress", 200}, {s.other, "/api/sections/" + section + "/progress", 403}, {nobody, "/api/sections/" + section + "/progress", 401},
		{s.teacher, "/api/sections/99999/progress", 404}, {s.teacher, "/api/sections/x/progress", 404},
		{nobody, "/api/feedback", 401}, {s.student, "/api/feedback", 200},
		{nobody, "/api/projects", 401}, {s.student, "/api/projects", 200},
		{s.student, app, 200}, {s.other, app, 403}, {nobody, app, 403}, {nobody, "/api/projects/" + uuid.NewString(), 404}, {nobody, "/api/projects/x", 404},
		{s.student, app + "/assets", 200}, {nobody, app + "/assets", 403}, {s.student, app + "/assets/nothing.png", 404},
		{s.student, app + "/tables", 200}, {nobody, app + "/tables", 403}, {s.student, app + "/tables/scores", 200}, {s.other, app + "/tables/scores", 403}, {s.student, app + "/tables/none", 200},
		{s.student, app + "/kv", 200}, {s.other, app + "/kv", 403}, {s.student, app + "/kv/old", 200}, {s.student, app + "/kv/none", 404},
		{nobody, "/api/libraries", 200}, {nobody, "/api/libraries?q=%2B%2B(%22", 200}, {nobody, "/api/libraries?q=" + strings.Repeat("x", 300), 400}, {nobody, "/api/libraries/" + uuid.NewString() + "/1", 404},
		{nobody, "/api/libraries/x/1", 404}, {nobody, "/api/libraries/" + uuid.NewString() + "/99999", 404},
		{nobody, "/api/events", 200}, {nobody, "/api/events?q=%C3%8Dsafj%C3%B6r%C3%B0ur&country=IS&from=2026-01-01", 200}, {nobody, "/api/events?country=island", 400}, {nobody, "/api/events?from=today", 400},
		{nobody, "/api/events/1", 200}, {nobody, "/api/events/99999", 404}, {nobody, "/api/events/x", 404},
		{nobody, "/api/admin", 401}, {s.student, "/api/admin", 403}, {nobody, "/api/nothing", 404},
	} {
		if a := c.who.do("GET", c.path, nil); a.status != c.status {
			t.Errorf("GET %s: %d %v, expected %d", c.path, a.status, a.body, c.status)
		}
	}
	if a := nobody.do("GET", "/api/admin", nil, "Admin-Token", platformtest.AdminToken); a.status != 200 || at(a.body, "writer", "server") != p.At.Addr() {
		t.Errorf("the admin's figures: %d %v", a.status, a.body)
	}
	if a := nobody.do("GET", "/api/admin", nil, "Admin-Token", "another"); a.status != 403 {
		t.Errorf("with a wrong token: %d", a.status)
	}
	if a := nobody.do("GET", "/api/events?q=saf", nil); fmt.Sprint(a.body["events"]) != "[]" {
		t.Errorf("a search in the middle of a word finds %v", a.body)
	}
	if found := nobody.must("GET", "/api/events?q=%C3%8Dsafj", nil); len(found["events"].([]any)) != 1 {
		t.Errorf("a search for the beginning of a word finds %v", found)
	}
}
