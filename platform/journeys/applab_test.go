package journeys

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"changeover/platform/browser"
)

// writeProgram replaces what is in the editor.
func writeProgram(t *testing.T, page *browser.Page, program string) {
	t.Helper()
	page.Click("#editor .cm-content")
	page.Press("a", chromedp.ModifierCtrl)
	page.Type(program)
	page.Wait(`[...document.querySelectorAll("#editor .cm-line")].map(l => l.textContent).join("\n") === ` + quote(program))
}

// picture is a PNG file of one colour.
func picture(t *testing.T, name string) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 64, 48))
	for i := range 64 * 48 {
		img.Set(i%64, i/64, color.RGBA{0x20, 0x90, 0x60, 0xff})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const guestbook = `label("title", "Guest book 📖");
input("name", "your name");
button("sign", "Sign");
image("flag", "flag.png");
onEvent("sign", "click", function () {
createRecord("guests", {name: getText("name"), mood: "🎉"});
setKeyValue("last", getText("name"));
readRecords("guests", {}, function (records) {
setText("title", greet(records.length));
});
});
function greet(n) { return "Guests: " + n; }`

func TestAnAppKeepsDataAndSharesItsFunctions(t *testing.T) {
	onEverySize(t, func(t *testing.T, s *site, size browser.Size) {
		page := s.visitor(t, size, "en").Open("/applab")
		page.Click("#tab-files")
		page.Upload("#file-upload", picture(t, "flag.png"))
		page.WaitText("#file-list", "flag.png")
		page.Wait(`document.querySelector("#file-list img").naturalWidth === 64`)
		s.want(t, 1, "SELECT COUNT(*) FROM project_assets WHERE name = 'flag.png' AND content_type = 'image/png'")

		page.Click("#tab-program")
		writeProgram(t, page, guestbook)
		page.Fill("#project-title", "Guest book")
		page.Click("#run")
		page.Fill("#app input", "Åsa नमस्ते")
		page.Click("#app button")
		page.WaitText("#app", "Guests: 1")
		page.Wait(`document.querySelector("#app img").naturalWidth === 64`)
		page.WaitFor("#project-saved[data-state=saved]")
		page.Screenshot("applab")
		s.want(t, 1, `SELECT COUNT(*) FROM data_records WHERE table_name = 'guests' AND value->>'$.name' = 'Åsa नमस्ते' AND value->>'$.mood' = '🎉'`)
		s.want(t, 1, "SELECT COUNT(*) FROM data_kvs WHERE `key` = 'last'")

		page.Click("#tab-data")
		page.Wait(`[...document.querySelectorAll("#table td input")].some(i => i.value === "🎉")`)
		page.Wait(`[...document.querySelectorAll("#pairs input")].some(i => i.value.includes("Åsa"))`)
		page.Fill("#new-pair [name=key]", "open")
		page.Fill("#new-pair [name=value]", "true")
		page.Click("#new-pair button")
		page.WaitText("#pairs", "open")
		page.Screenshot("applab-data")

		page.Click("#tab-libraries")
		page.WaitFor("#publish-functions [value=greet]")
		page.Fill("#publish [name=name]", "Greetings")
		page.Fill("#publish [name=description]", "Counts guests politely.")
		page.Click("#publish > button")
		page.WaitText("#publish-said", "1")
		page.WaitText("#found", "Greetings")
		page.WaitText("#project-saved", "✓")

		importer := s.visitor(t, size, "en").Open("/applab")
		writeProgram(t, importer, `write(Greetings.greet(41) + " and you");`)
		importer.Click("#tab-libraries")
		importer.Fill("#library-search [name=q]", "politely")
		importer.Click("#library-search button")
		importer.WaitText("#found .card", "Greetings")
		importer.Click("#found .card button")
		importer.WaitText("#imported", "Greetings")
		importer.WaitFor("#project-saved[data-state=saved]")
		importer.Screenshot("applab-libraries")
		importer.Click("#run")
		importer.WaitText("#app", "Guests: 41 and you")
		importer.WaitText("#project-saved", "✓")
		importer.Reload()
		importer.WaitFor("#run")
		importer.Click("#run")
		importer.WaitText("#app", "Guests: 41 and you")

		list := s.visitor(t, size, "en").Open("/libraries")
		list.WaitText("#found", "Greetings")
		list.Screenshot("libraries")
	})
}

// TestStudentCodeStaysInItsSandbox runs programs that want out, in the page itself.
func TestStudentCodeStaysInItsSandbox(t *testing.T) {
	s := newSite(t)
	visitor := s.visitor(t, browser.Desktop, "en")
	page := visitor.Open("/applab")
	page.WaitFor("#run")
	for _, c := range []struct{ name, program, shows string }{
		{"fetch", `fetch("/api/sign-out")`, "fetch is not defined"},
		{"XMLHttpRequest", `new XMLHttpRequest()`, "XMLHttpRequest is not defined"},
		{"WebSocket", `new WebSocket("ws://example.org")`, "WebSocket is not defined"},
		{"document", `document.body.innerHTML = ""`, "document is not defined"},
		{"import", `import("/static/x.js")`, ""},
		{"the global object", `var w = this; write("is " + [typeof w.document, typeof w.fetch, typeof w.localStorage, typeof w.parent, typeof w.process])`, "is undefined,undefined,undefined,undefined,undefined"},
		{"window", `write("is " + (typeof window === "undefined" || typeof window.document))`, "is "},
		{"a constructor's constructor", `write("is " + typeof constructor.constructor("return this")().document)`, "undefined"},
		{"the constructor of a page's function", `write("is " + typeof write.constructor("return this")().document)`, "undefined"},
		{"the constructor of an answer", `getKeyValue("x", function (v) { write("is " + typeof ({}).constructor.constructor("return this")().document) })`, "undefined"},
		{"prototypes", `Object.prototype.polluted = 1; Array.prototype.push = null; Function.prototype.call = null; write("done")`, "done"},
		{"values with traps", `write({toString: function () { return document }, toJSON: function () { return document }}); write("done")`, "done"},
		{"a value of its own", `var o = {}; o.o = o; write(o)`, ""},
		{"HTML", `write("<img src=x onerror='document.title=1'><script>document.title=1<" + "/script>"); write("done")`, "done"},
		{"HTML in a label", `label("a", "<iframe src=/me></iframe>"); setText("a", "<svg onload='document.title=1'>"); write("done")`, "done"},
		{"the page's elements", `setText("run", "owned"); write("done")`, "run"},
		{"the page's events", `onEvent("run", "click", function () {}); write("done")`, "run"},
		{"a picture from elsewhere", `image("a", "https://example.org/x.png")`, "example.org"},
		{"a picture of the API", `image("a", "../../../api/me")`, "api/me"},
		{"a style that loads", `label("a", "x"); setProperty("a", "background", "url(https://example.org/x.png)"); write("done")`, "done"},
		{"a style that is none", `label("a", "x"); setProperty("a", "position", "fixed")`, "setProperty"},
		{"a table of the prototype's", `createRecord("__proto__", {polluted: "yes"}); write("done")`, "done"},
		{"a key of the path's", `setKeyValue("../../../sign-out", "x"); write("done")`, "done"},
		{"an endless loop", `while (true) {}`, "too long"},
		{"an endless recursion", `function f() { f() } f()`, ""},
		{"endless timers", `function again() { setTimeout(again, 0) } again(); write("going")`, "going"},
		{"a string without end", `var s = "x"; while (true) s += s`, ""},
		{"a list without end", `var a = []; while (true) a.push("xxxxxxxxxxxxxxxx" + a.length)`, "array length"},
		{"an object without end", `var o = {}, i = 0; while (true) o["key" + i++] = "xxxxxxxxxxxxxxxx" + i`, "too long"},
		{"a huge list", `var a = new Array(4294967295); a.join("x"); write(a.length)`, ""},
		{"a slow pattern", `write("is " + /^(a+)+$/.test("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"))`, ""},
		{"a program that is none", `}{`, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := page.For(t)
			writeProgram(t, page, c.program)
			page.Click("#run")
			said := `(document.querySelector("#app").innerText + "\n" + document.querySelector("#messages").innerText)`
			page.Wait(said + `.trim() !== ""`)
			if c.shows != "" {
				page.Wait(said + `.includes(` + quote(c.shows) + `)`)
			}
			t.Logf("%s", strings.TrimSpace(browser.Eval[string](page, said+".slice(0, 200)")))
			page.Wait(`(document.querySelector("#stop").hidden || document.querySelector("#stop").click(), !document.querySelector("#run").hidden)`)
			if got := browser.Eval[string](page, `[({}).polluted, [].polluted, typeof [].push, typeof (() => 0).call, document.title !== "1", document.querySelectorAll("#app img, #app iframe, #app script, #app svg").length].join()`); got != ",,function,function,true,0" {
				t.Errorf("the page has changed: %s", got)
			}
		})
	}
	for _, r := range visitor.Requests() {
		allowed := strings.HasPrefix(r.URL, s.URL+"/applab") || strings.HasPrefix(r.URL, s.URL+"/static/") || strings.HasPrefix(r.URL, "data:") ||
			strings.HasPrefix(r.URL, s.URL+"/api/projects") || r.URL == s.URL+"/api/guest"
		if !allowed {
			t.Errorf("a program asked for %s", r)
		}
	}
}
