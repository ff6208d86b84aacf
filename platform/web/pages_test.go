package web_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/lang"
	"changeover/platform/platformtest"
)

// key is what a text looks like whose translation, and English, are missing.
var key = regexp.MustCompile(`\b(common|home|hoc|puzzle|account|student|teach|languages|error|dance|applab|project|libraries|events)\.[a-z][a-z_]+\b`)

func TestEveryPageIsThereInEveryLanguage(t *testing.T) {
	t.Parallel()
	p := platformtest.New(t, sandboxtest.MySQLSource(t))
	_, url := p.Serve(t)
	student := account(t, url, "student", "student")
	hour := student.must("POST", "/api/hoc/start", body{"op": newOp(), "script": "maze"})
	certificate := student.must("POST", "/api/hoc/finish", body{"op": newOp(), "hoc": hour["hoc"], "name": "</script><b>Zoë & 🦊"})
	app, dance := uuid.NewString(), uuid.NewString()
	student.must("POST", "/api/projects", body{"op": newOp(), "uuid": app, "kind": "applab", "title": "</script><b>", "source": body{"x": "</script><b>"}})
	student.must("POST", "/api/projects", body{"op": newOp(), "uuid": dance, "kind": "dance", "title": "D", "source": body{}})
	student.must("POST", "/api/events", anEvent(newToken()))
	get := func(path string) (int, http.Header, string) {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
		r.AddCookie(&http.Cookie{Name: "session", Value: student.session})
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, string(raw)
	}
	paths := []string{"/", "/hoc", "/s/maze/1", "/s/course/3", "/hoc/finish/maze", "/certificate/" + certificate["certificate"].(string), "/join", "/sign-in", "/sign-up",
		"/me", "/teach", "/teach/1", "/teach/attempt/1", "/dance", "/applab", "/p/" + app, "/p/" + dance, "/libraries", "/events", "/events?q=Hour&country=is", "/events?q=%22",
		"/events/new", "/events/1/edit", "/admin", "/languages"}
	scripts := regexp.MustCompile(`(?s)<script[^>]*>(.*?)</script>`)
	for _, l := range lang.All() {
		for _, path := range paths {
			separator := "?"
			if strings.Contains(path, "?") {
				separator = "&"
			}
			status, header, text := get(path + separator + "lang=" + l.Tag)
			if status != http.StatusOK {
				t.Errorf("%s in %s: %d", path, l.Tag, status)
				continue
			}
			if !strings.Contains(text, `lang="`+l.Tag+`"`) || !strings.Contains(text, `dir="`+string(l.Dir)+`"`) {
				t.Errorf("%s in %s does not say its language and direction", path, l.Tag)
			}
			if strings.Contains(text, "</script><b>") || strings.Contains(text, "<b>Zoë") {
				t.Errorf("%s: what a person wrote is markup", path)
			}
			for _, m := range scripts.FindAllStringSubmatch(text, -1) {
				if strings.TrimSpace(m[1]) != "" && !strings.HasPrefix(strings.TrimSpace(m[1]), "{") {
					t.Errorf("%s has a script in it: %.60s", path, m[1])
				}
			}
			if found := key.FindString(scripts.ReplaceAllString(text, "")); found != "" {
				t.Errorf("%s in %s shows %s", path, l.Tag, found)
			}
			if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self';") {
				t.Errorf("%s: %s", path, csp)
			}
		}
	}
	for path, want := range map[string]int{"/nothing": 404, "/s/nothing/1": 404, "/s/maze/9": 404, "/s/maze/x": 404, "/p/x": 404, "/p/" + uuid.NewString(): 404,
		"/certificate/x": 404, "/certificate/" + uuid.NewString(): 404, "/events/99/edit": 404, "/static/": 404, "/static/nothing.js": 404, "/static/../web.go": 307, "/s/maze": 303} {
		if status, _, _ := get(path); status != want {
			t.Errorf("%s: %d, expected %d", path, status, want)
		}
	}
}

func TestWhatThePageLoadsIsThereAndKept(t *testing.T) {
	t.Parallel()
	p := platformtest.New(t, sandboxtest.MySQLSource(t))
	_, url := p.Serve(t)
	address := regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`)
	seen := map[string]bool{}
	for _, path := range []string{"/", "/s/maze/1", "/dance", "/applab", "/events", "/admin", "/teach"} {
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		for _, m := range address.FindAllStringSubmatch(string(raw), -1) {
			seen[m[1]] = true
		}
	}
	if len(seen) < 5 {
		t.Errorf("the pages load only %v", seen)
	}
	for at := range seen {
		res, err := http.Get(url + at)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %s", at, res.StatusCode, res.Header.Get("Cache-Control"))
		}
	}
}
