package report

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/browser"
)

func TestMain(m *testing.M) { sandboxtest.Main(m, browser.Close) }

// The page is looked at as people will: whatever the browser complains of fails the test, and so does a
// page that is wider than its screen.
func TestThePageInABrowser(t *testing.T) {
	text := made(t, example())
	dark := strings.Replace(text, "@media (prefers-color-scheme: dark)", "@media all", 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/dark" {
			_, _ = w.Write([]byte(dark))
			return
		}
		_, _ = w.Write([]byte(text))
	}))
	defer server.Close()
	whole := browser.Size{Name: "whole", Width: 1280, Height: 5200}
	phone := browser.Size{Name: "phone", Width: 390, Height: 3000, Touch: true}
	for _, size := range []browser.Size{browser.Desktop, browser.Tablet, whole, phone} {
		t.Run(size.Name, func(t *testing.T) {
			v := browser.NewVisitor(t, server.URL, size, "en")
			page := v.Open("/")
			page.WaitText("h1", "The school moves")
			page.WaitText("h2", "Audit: clean")
			page.Screenshot("report")
			if size == browser.Desktop {
				night := v.Open("/dark")
				night.WaitText("h2", "Audit: clean")
				night.Screenshot("report-dark")
			}
			if n := len(slices.DeleteFunc(v.Requests(), func(r browser.Request) bool { return !strings.HasPrefix(r.URL, "http") })); n > 2 {
				t.Errorf("the page asked for %v", v.Requests())
			}
			if n := browser.Eval[int](page, overlaps); n > 0 {
				t.Errorf("%d labels of the charts lie on each other", n)
			}
			if n := browser.Eval[int](page, "document.querySelectorAll('svg .bar').length"); n == 0 {
				t.Error("no timeline")
			}
		})
	}
}

// overlaps counts texts of a chart that lie on one another.
const overlaps = `[...document.querySelectorAll("svg")].reduce((n, svg) => {
	const boxes = [...svg.querySelectorAll("text")].map(t => t.getBoundingClientRect());
	boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => {
		if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) n++;
	}));
	return n;
}, 0)`
