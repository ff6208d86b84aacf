package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"strings"
	"sync"

	"changeover/platform/lang"
	"changeover/platform/store"
)

//go:embed templates/*.html
var templateFiles embed.FS

// dist is made by `go run ./platform/web/bundle` and committed, so that a build needs no Node.
//
//go:embed all:dist
var distFiles embed.FS

// pages renders the templates. For each language they are parsed once, when they are first asked
// for in it: the texts are bound at parsing, so that a template says {{t "key"}} and no more.
type pages struct {
	dist     fs.FS
	manifest map[string]string // "puzzle.js" → "puzzle-5XY2.js"
	byLocale sync.Map          // tag → map[string]*template.Template
}

func loadPages() (*pages, error) {
	dist, err := fs.Sub(distFiles, "dist")
	if err != nil {
		return nil, err
	}
	p := &pages{dist: dist}
	raw, err := fs.ReadFile(dist, "manifest.json")
	if err != nil {
		return nil, fmt.Errorf("the bundle of scripts and styles is missing: %w", err)
	}
	if err := json.Unmarshal(raw, &p.manifest); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	_, err = p.in("en") // what is wrong in a template is known at start
	return p, err
}

// in returns the templates in a language, by name.
func (p *pages) in(tag string) (map[string]*template.Template, error) {
	if t, ok := p.byLocale.Load(tag); ok {
		return t.(map[string]*template.Template), nil
	}
	funcs := template.FuncMap{
		"t":       lang.For(tag).T,
		"asset":   p.asset,
		"locales": lang.All,
		"json":    jsonFor,
	}
	layout, err := template.New("layout.html").Funcs(funcs).ParseFS(templateFiles, "templates/layout.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := map[string]*template.Template{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" {
			continue
		}
		page, err := layout.Clone()
		if err != nil {
			return nil, err
		}
		if all[name], err = page.ParseFS(templateFiles, file); err != nil {
			return nil, err
		}
	}
	p.byLocale.Store(tag, all)
	return all, nil
}

// asset is the address of a file of the bundle; its name changes with its bytes.
func (p *pages) asset(name string) (string, error) {
	hashed, ok := p.manifest[name]
	if !ok {
		return "", fmt.Errorf("the bundle has no %s", name)
	}
	return "/static/" + hashed, nil
}

func jsonFor(v any) (template.JS, error) {
	text, err := json.Marshal(v) // escapes < > & too: it can't end its script element
	return template.JS(text), err
}

// page is what a template is given.
type page struct {
	Locale   string
	Dir      string
	Path     string
	User     *store.User
	Entry    string // the module of the page; may be empty
	Data     any
	PageData template.JS
}

// view is what a page's handler gives: a template, and what it and its module are to know.
type view struct {
	name    string
	status  int
	entry   string
	strings []string // areas of texts that the module needs
	data    any
	script  map[string]any
}

func (s *Server) show(w http.ResponseWriter, r *http.Request, v view) error {
	locale := s.locale(w, r)
	templates, err := s.pages.in(locale.Tag)
	if err != nil {
		return err
	}
	p := page{Locale: locale.Tag, Dir: string(locale.Dir), Path: r.URL.Path, Entry: v.entry, Data: v.data}
	if user, err := s.anybody(r); err == nil && user.ID != 0 {
		p.User = &user
	}
	script := map[string]any{"locale": locale.Tag, "blockly": locale.Blockly, "dir": locale.Dir, "user": p.User,
		"strings": lang.For(locale.Tag).Area(append([]string{"common", "error"}, v.strings...)...)}
	if v.entry == "puzzle.js" || v.entry == "attempt.js" || v.entry == "dance.js" {
		script["assets"] = s.blocklyAssets(locale)
	}
	maps.Copy(script, v.script)
	if p.PageData, err = jsonFor(script); err != nil {
		return err
	}
	var out bytes.Buffer // so that an error in the middle is still an error page
	if err := templates[v.name].ExecuteTemplate(&out, "layout", p); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Language", locale.Tag)
	h.Add("Vary", "Accept-Language, Cookie")
	if v.status != 0 {
		w.WriteHeader(v.status)
	}
	_, _ = w.Write(out.Bytes())
	return nil
}

// blocklyAssets are the addresses that Blockly is told: its texts in the page's language, and its media.
func (s *Server) blocklyAssets(l lang.Locale) map[string]string {
	found := map[string]string{}
	if at, err := s.pages.asset("msg/" + l.Blockly + ".json"); err == nil {
		found["messages"] = at
	}
	for name, hashed := range s.pages.manifest {
		if strings.HasPrefix(name, "media/") {
			found["media"] = "/static/" + path.Dir(hashed) + "/"
			break
		}
	}
	return found
}

const langCookie = "lang"

// wanted is the language that a request is to be answered in, and what it says of it.
func wanted(r *http.Request) (locale lang.Locale, query, kept string) {
	query = r.URL.Query().Get("lang")
	if c, err := r.Cookie(langCookie); err == nil {
		kept = c.Value
	}
	return lang.Match(r.Header.Get("Accept-Language"), kept, query), query, kept
}

// texts are those of the request's language.
func texts(r *http.Request) *lang.Strings {
	locale, _, _ := wanted(r)
	return lang.For(locale.Tag)
}

// locale is the page's language: as asked for in the address (and kept), as kept, or as the browser
// would have it.
func (s *Server) locale(w http.ResponseWriter, r *http.Request) lang.Locale {
	locale, query, kept := wanted(r)
	if query != "" && query != kept {
		http.SetCookie(w, &http.Cookie{Name: langCookie, Value: locale.Tag, Path: "/", SameSite: http.SameSiteLaxMode, MaxAge: 365 * 24 * 60 * 60})
	}
	return locale
}
