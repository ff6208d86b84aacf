package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/browser"
)

func TestMain(m *testing.M) { sandboxtest.Main(m, browser.Close) }

// serve is a small site; every page greets in the language that the browser asks for.
func serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	gone := httptest.NewServer(nil)
	gone.Close()
	pages := map[string]string{
		"/{$}": `<p>Hello</p><a href="/form">on</a>`,
		"/form": `<form action="/thanks"><label>Name <input id="name" name="name" value="nobody"></label>
			<input id="day" type="date" name="day"><select id="colour" name="colour"><option value="r">red</option><option value="g">green</option></select>
			<button disabled>send</button></form><script>
			name1 = document.querySelector("#name")
			name1.oninput = () => setTimeout(() => document.querySelector("button").disabled = false, 50)</script>`,
		"/thanks": `<p id="got" style="overflow-wrap: anywhere"></p><script>got.textContent = location.search</script>`,
		"/drag": `<style>body { margin: 0 } #a { position: absolute; width: 60px; height: 60px; background: teal; touch-action: none }</style><div id="a"></div><script>
			let held; a.onpointerdown = e => { held = true; a.setPointerCapture(e.pointerId); a.dataset.kind = e.pointerType }
			a.onpointermove = e => { if (held) { a.style.left = e.clientX - 30 + "px"; a.style.top = e.clientY - 30 + "px" } }
			a.onpointerup = () => held = false</script>`,
		"/covered": `<button>press</button><div style="position: fixed; inset: 0"></div>`,
		"/bad": `<script>console.error("oh", {no: 1}); fetch("/missing"); setTimeout(() => undefined.x)</script>
			<script>window.done = false; fetch("` + gone.URL + `").catch(() => done = true)</script>`,
		"/store": `<p></p><script>document.querySelector("p").textContent = localStorage.n = 1 + +(localStorage.n ?? 0)</script>`,
		"/wide":  `<div style="width: 900px">wide</div>`,
		"/alert": `<script>setTimeout(() => { alert("stop"); document.body.textContent = confirm("go on?") })</script>`,
	}
	for path, body := range pages {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			lang, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
			dir := "ltr"
			if lang == "ar" {
				dir = "rtl"
			}
			fmt.Fprintf(w, `<!doctype html><html lang=%q dir=%q><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><body>%s`, lang, dir, body)
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func sizes() []browser.Size { return []browser.Size{browser.Desktop, browser.Tablet} }

func TestAVisitorFillsAFormOnEverySize(t *testing.T) {
	base := serve(t)
	for _, size := range sizes() {
		t.Run(size.Name, func(t *testing.T) {
			p := browser.NewVisitor(t, base, size, "en").Open("/")
			p.Click("a")
			p.WaitPath("/form")
			p.Fill("#name", "Åse 🎉 नमस्ते")
			p.Fill("#day", "2026-12-07")
			p.Fill("#colour", "g")
			p.Click("button")
			p.WaitPath("/thanks")
			p.WaitText("#got", "day=2026-12-07&colour=g")
			if got := browser.Eval[string](p, `new URLSearchParams(location.search).get("name")`); got != "Åse 🎉 नमस्ते" {
				t.Errorf("the form sent %q", got)
			}
			if w := browser.Eval[int64](p, "innerWidth"); w != size.Width {
				t.Errorf("the page is %d wide, want %d", w, size.Width)
			}
		})
	}
}

func TestADragIsAMouseOrAFinger(t *testing.T) {
	base := serve(t)
	for _, size := range sizes() {
		t.Run(size.Name, func(t *testing.T) {
			p := browser.NewVisitor(t, base, size, "en").Open("/drag")
			p.Drag(30, 30, 330, 230)
			want := map[bool]string{true: "touch", false: "mouse"}[size.Touch]
			if got := browser.Eval[string](p, `a.dataset.kind + " " + a.offsetLeft + " " + a.offsetTop`); got != want+" 300 200" {
				t.Errorf("dragged: %s", got)
			}
		})
	}
}

func TestAVisitorHasTheirOwnStorageAndLanguage(t *testing.T) {
	base := serve(t)
	first := browser.NewVisitor(t, base, browser.Desktop, "ar")
	first.Open("/store").WaitText("p", "1")
	tab := first.Open("/store") // the same person's second tab
	tab.WaitText("p", "2")
	other := browser.NewVisitor(t, base, browser.Desktop, "hi").Open("/store")
	other.WaitText("p", "1")
	if got := browser.Eval[string](tab, "document.documentElement.lang + document.documentElement.dir + navigator.language"); got != "arrtlar" {
		t.Errorf("the first visitor's page is %s", got)
	}
}

func TestTheKeyboardMovesAndPresses(t *testing.T) {
	p := browser.NewVisitor(t, serve(t), browser.Desktop, "en").Open("/")
	p.Press(kb.Tab)
	if got := p.Focused(); !strings.Contains(got, `href="/form"`) {
		t.Errorf("the keyboard is at %s", got)
	}
	p.Press(kb.Enter)
	p.WaitPath("/form")
}

func TestADialogIsAnsweredWithYes(t *testing.T) {
	browser.NewVisitor(t, serve(t), browser.Desktop, "en").Open("/alert").WaitText("body", "true")
}

func TestAScreenshotIsNamedAfterSizeAndLanguage(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CHANGEOVER_SCREENSHOTS", dir)
	browser.NewVisitor(t, serve(t), browser.Tablet, "ar").Open("/").Screenshot("home")
	if info, err := os.Stat(filepath.Join(dir, "home-tablet-ar.png")); err != nil || info.Size() < 1000 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestAPageThatIsWiderThanTheScreenFailsItsScreenshot(t *testing.T) {
	base := serve(t)
	for size, want := range map[browser.Size]int{browser.Desktop: 0, browser.Tablet: 1} {
		r := &recorder{TB: t}
		if got := r.run(func() { browser.NewVisitor(r, base, size, "en").Open("/wide").Screenshot("wide") }); len(got) != want {
			t.Errorf("%s: %q", size, got)
		}
	}
}

// recorder is a test that is allowed to fail.
type recorder struct {
	testing.TB
	errors  []string
	cleanup []func()
}

func (r *recorder) Helper()                   {}
func (r *recorder) Cleanup(f func())          { r.cleanup = append(r.cleanup, f) }
func (r *recorder) Errorf(f string, a ...any) { r.errors = append(r.errors, fmt.Sprintf(f, a...)) }
func (r *recorder) Fatalf(f string, a ...any) { r.Errorf(f, a...); panic(r) }
func (r *recorder) run(f func()) (errors []string) {
	defer func() {
		if p := recover(); p != nil && p != any(r) {
			panic(p)
		}
		for _, f := range slices.Backward(r.cleanup) {
			f()
		}
		errors = r.errors
	}()
	f()
	return nil
}

func TestAPageThatComplainsFailsTheTest(t *testing.T) {
	base := serve(t)
	visit := func(allow string) []string {
		r := &recorder{TB: t}
		return r.run(func() {
			v := browser.NewVisitor(r, base, browser.Desktop, "en")
			if allow != "" {
				v.Allow(allow)
			}
			p := v.Open("/bad")
			p.Wait("done")
			for _, asked := range v.Requests() {
				if strings.HasSuffix(asked.URL, "/missing") && asked.Status != 0 {
					return
				}
			}
			p.Wait("performance.getEntriesByName(location.origin + '/missing').length")
		})
	}
	got := strings.Join(visit(""), "\n")
	for _, want := range []string{"console: oh", "GET " + base + "/missing (404)", "TypeError", "net::ERR_CONNECTION_REFUSED"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if got := visit("."); len(got) > 0 {
		t.Errorf("allowed, but: %s", got)
	}
}
