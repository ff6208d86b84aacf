package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"changeover/platform/lang"
	"changeover/platform/store"
)

func (s *Server) pageRoutes(mux *http.ServeMux) {
	mux.Handle("GET /static/", s.static())
	page := func(pattern string, fn handler) { mux.HandleFunc(pattern, s.page(fn)) }
	still := func(pattern string, v view) {
		page(pattern, func(w http.ResponseWriter, r *http.Request) error { return s.show(w, r, v) })
	}
	still("GET /{$}", view{name: "home", entry: "home.js", strings: []string{"home"}})
	page("GET /hoc", s.hourPage)
	page("GET /s/{script}", s.firstLevel)
	page("GET /s/{script}/{level}", s.puzzlePage)
	page("GET /hoc/finish/{script}", s.finishPage)
	page("GET /certificate/{uuid}", s.certificatePage)
	still("GET /join", view{name: "join", entry: "join.js", strings: []string{"student", "account"}})
	still("GET /sign-in", view{name: "signin", entry: "signin.js", strings: []string{"account"}})
	still("GET /sign-up", view{name: "signup", entry: "signup.js", strings: []string{"account", "hoc"}})
	page("GET /me", s.withScripts(view{name: "me", entry: "me.js", strings: []string{"student", "project", "teach", "puzzle"}}))
	page("GET /teach", s.withScripts(view{name: "teach", entry: "teach.js", strings: []string{"teach"}}))
	page("GET /teach/{section}", s.sectionPage)
	page("GET /teach/attempt/{activity}", s.attemptPage)
	page("GET /dance", s.newProjectPage("dance"))
	page("GET /applab", s.newProjectPage("applab"))
	page("GET /p/{uuid}", s.projectPage)
	still("GET /libraries", view{name: "libraries", entry: "libraries.js", strings: []string{"libraries"}})
	page("GET /events", s.eventsPage)
	still("GET /events/new", view{name: "event", entry: "event.js", strings: []string{"events"}, script: map[string]any{"event": nil}})
	page("GET /events/{event}/edit", s.eventPage)
	still("GET /admin", view{name: "admin", entry: "admin.js", strings: []string{"admin"}})
	page("GET /languages", s.languagesPage)
	page("/", func(http.ResponseWriter, *http.Request) error {
		return &store.Refusal{Code: store.NotFound, Message: "there is no such page"}
	})
}

// page makes an error a page of its own.
func (s *Server) page(fn handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Patience)
		defer cancel()
		out := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(ctx)
		if err := fn(out, r); err != nil {
			s.failPage(out, r, err)
		}
		s.metrics.requests.WithLabelValues("page", number(uint32(out.status))).Observe(time.Since(start).Seconds())
	}
}

func (s *Server) failPage(w http.ResponseWriter, r *http.Request, err error) {
	status, key := http.StatusInternalServerError, "error.internal"
	var refusal *store.Refusal
	switch {
	case errors.As(err, &refusal):
		status, key = statuses[refusal.Code], "error.not_yours"
		switch refusal.Code {
		case store.NotFound, store.BadValue:
			status, key = http.StatusNotFound, "error.not_found"
		case store.NoSession:
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
			return
		}
	case errors.Is(err, store.ErrUnavailable), r.Context().Err() != nil:
		w.Header().Set("Retry-After", "1")
		status, key = http.StatusServiceUnavailable, "error.unavailable"
	default:
		s.cfg.Log.Error().Err(err).Str("path", r.URL.Path).Msg("a page failed")
	}
	data := struct {
		Status  int
		Message string
	}{status, lang.For(s.locale(w, r).Tag).T(key)}
	if err := s.show(w, r, view{name: "error", status: status, data: data}); err != nil {
		s.cfg.Log.Error().Err(err).Str("path", r.URL.Path).Msg("the page that tells of an error failed")
		http.Error(w, http.StatusText(status), status)
	}
}

// static serves the bundle. What has a hash in its name never changes.
func (s *Server) static() http.Handler {
	files := http.StripPrefix("/static/", http.FileServerFS(s.pages.dist))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/static/")
		if name == "" || strings.HasSuffix(name, "/") {
			http.NotFound(w, r)
			return
		}
		if name != "manifest.json" && name != "LICENSES.txt" {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		files.ServeHTTP(w, r)
	})
}

// scriptLine is a course as a page lists it.
type scriptLine struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	Kind   string `json:"kind"`
	Levels int    `json:"levels"`
}

func (s *Server) scriptLines(r *http.Request) ([]scriptLine, error) {
	scripts, err := s.cfg.Store.Scripts(r.Context())
	if err != nil {
		return nil, err
	}
	lines := []scriptLine{}
	for _, x := range scripts {
		lines = append(lines, scriptLine{x.Name, texts(r).Course(x.Title), x.Kind, len(x.Levels)})
	}
	return lines, nil
}

func (s *Server) withScripts(v view) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		scripts, err := s.scriptLines(r)
		if err != nil {
			return err
		}
		v := v
		v.script = map[string]any{"scripts": scripts}
		return s.show(w, r, v)
	}
}

func (s *Server) hourPage(w http.ResponseWriter, r *http.Request) error {
	scripts, err := s.scriptLines(r)
	if err != nil {
		return err
	}
	return s.show(w, r, view{name: "hoc", entry: "hoc.js", strings: []string{"hoc"}, data: struct{ Scripts []scriptLine }{scripts}})
}

func (s *Server) firstLevel(w http.ResponseWriter, r *http.Request) error {
	script, err := s.cfg.Store.Script(r.Context(), r.PathValue("script"))
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/s/"+script.Name+"/1", http.StatusSeeOther)
	return nil
}

func (s *Server) puzzlePage(w http.ResponseWriter, r *http.Request) error {
	n, err := pathNumber(r, "level", 16)
	if err != nil {
		return err
	}
	script, err := s.cfg.Store.Script(r.Context(), r.PathValue("script"))
	if err != nil {
		return err
	}
	level, ok := script.Level(int(n))
	if !ok {
		return &store.Refusal{Code: store.NotFound, Message: "the course has no such level"}
	}
	in := texts(r)
	type course struct{ Name, Title, Kind string }
	type puzzle struct {
		Number              int
		Title, Instructions string
	}
	data := struct {
		Script course
		Level  puzzle
		Levels int
	}{course{script.Name, in.Course(script.Title), script.Kind}, puzzle{level.Number, in.Course(level.Title), in.Course(level.Instructions)}, len(script.Levels)}
	return s.show(w, r, view{name: "puzzle", entry: "puzzle.js", strings: []string{"puzzle", "hoc"}, data: data,
		script: map[string]any{"script": script.Name, "level": level.Number, "levels": len(script.Levels), "kind": script.Kind, "definition": level.Definition}})
}

func (s *Server) finishPage(w http.ResponseWriter, r *http.Request) error {
	script, err := s.cfg.Store.Script(r.Context(), r.PathValue("script"))
	if err != nil {
		return err
	}
	data := struct{ Script struct{ Name, Title string } }{struct{ Name, Title string }{script.Name, texts(r).Course(script.Title)}}
	return s.show(w, r, view{name: "finish", entry: "finish.js", strings: []string{"hoc"}, data: data, script: map[string]any{"script": script.Name}})
}

func (s *Server) certificatePage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathUUID(r)
	if err != nil {
		return err
	}
	c, err := s.cfg.Store.Certificate(r.Context(), id)
	if err != nil {
		return err
	}
	data := struct {
		Name, ScriptTitle string
		FinishedAt        time.Time
	}{c.Name, texts(r).Course(c.Title), c.FinishedAt}
	return s.show(w, r, view{name: "certificate", entry: "certificate.js", strings: []string{"hoc"}, data: data})
}

func (s *Server) sectionPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathNumber(r, "section", 32)
	if err != nil {
		return err
	}
	return s.show(w, r, view{name: "section", entry: "section.js", strings: []string{"teach", "puzzle"}, script: map[string]any{"section": id}})
}

func (s *Server) attemptPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathNumber(r, "activity", 63)
	if err != nil {
		return err
	}
	return s.show(w, r, view{name: "attempt", entry: "attempt.js", strings: []string{"teach", "puzzle"}, script: map[string]any{"activity": id}})
}

var projectStrings = map[string][]string{"dance": {"dance", "project"}, "applab": {"applab", "project", "libraries"}}

func (s *Server) newProjectPage(kind string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return s.show(w, r, view{name: kind, entry: kind + ".js", strings: projectStrings[kind],
			script: map[string]any{"project": nil, "mine": true, "run": false}})
	}
}

func (s *Server) projectPage(w http.ResponseWriter, r *http.Request) error {
	user, id, err := s.visitor(r)
	if err != nil {
		return err
	}
	p, err := s.cfg.Store.Project(r.Context(), user, id)
	if err != nil {
		return err
	}
	return s.show(w, r, view{name: p.Kind, entry: p.Kind + ".js", strings: projectStrings[p.Kind],
		script: map[string]any{"project": p, "mine": p.Owner.ID == user.ID, "run": r.URL.Query().Get("run") == "1"}})
}

func (s *Server) eventsPage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	country := strings.ToUpper(q.Get("country"))
	all, err := s.cfg.Store.Events(r.Context(), q.Get("q"), country, q.Get("from"))
	var refusal *store.Refusal
	if errors.As(err, &refusal) { // a search for nonsense finds nothing
		all, err = nil, nil
	}
	if err != nil {
		return err
	}
	data := struct {
		Events         []store.Event
		Query, Country string
	}{all, q.Get("q"), country}
	return s.show(w, r, view{name: "events", entry: "events.js", strings: []string{"events"}, data: data})
}

func (s *Server) eventPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathNumber(r, "event", 32)
	if err != nil {
		return err
	}
	event, err := s.cfg.Store.Event(r.Context(), uint32(id))
	if err != nil {
		return err
	}
	return s.show(w, r, view{name: "event", entry: "event.js", strings: []string{"events"}, script: map[string]any{"event": event}})
}

func (s *Server) languagesPage(w http.ResponseWriter, r *http.Request) error {
	data := struct{ Rows []lang.Row }{lang.Coverage()}
	return s.show(w, r, view{name: "languages", data: data})
}
