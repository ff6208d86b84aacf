package browser

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// Visitor is a person with a browser: cookies, storage and languages of their own, shared by the
// pages that they open. A visitor and its pages belong to one test, and to one goroutine.
type Visitor struct {
	Size   Size
	Locale string // a language tag

	t        testing.TB
	base     string
	journal  *journal
	identity cdp.BrowserContextID // what keeps cookies and storage apart from other visitors'
}

// NewVisitor returns a visitor of the server at base ("http://127.0.0.1:8080"), whose browser
// prefers the language locale. Their pages are closed when the test ends; then whatever the pages
// complained of fails the test.
func NewVisitor(t testing.TB, base string, size Size, locale string) *Visitor {
	t.Helper()
	v := &Visitor{Size: size, Locale: locale, t: t, base: strings.TrimSuffix(base, "/"),
		journal: &journal{requests: map[network.RequestID]*Request{}}}
	made, err := chromedp.CallBrowser(running(t), target.CreateBrowserContext, target.CreateBrowserContextParams{})
	if err != nil {
		t.Fatalf("a new visitor: %v", err)
	}
	v.identity = made.BrowserContextID
	t.Cleanup(func() {
		if _, err := chromedp.CallBrowser(running(t), target.DisposeBrowserContext,
			target.DisposeBrowserContextParams{BrowserContextID: v.identity}); err != nil {
			t.Errorf("a visitor who is gone: %v", err)
		}
		for _, problem := range v.journal.unexpected() {
			t.Errorf("%s in %s: %s", size.Name, locale, problem)
		}
	})
	return v
}

// Allow says that problems that match are expected: a server that is stopped, a refusal that the
// page shows.
func (v *Visitor) Allow(pattern string) {
	v.t.Helper()
	r, err := regexp.Compile(pattern)
	if err != nil {
		v.t.Fatal(err)
	}
	v.journal.mu.Lock()
	defer v.journal.mu.Unlock()
	v.journal.allowed = append(v.journal.allowed, r)
}

// Requests are all that the visitor's pages have asked for, in order.
func (v *Visitor) Requests() []Request {
	v.journal.mu.Lock()
	defer v.journal.mu.Unlock()
	all := make([]Request, len(v.journal.order))
	for i, r := range v.journal.order {
		all[i] = *r
	}
	return all
}

// Open shows path in a new tab.
func (v *Visitor) Open(path string) *Page {
	v.t.Helper()
	p := v.newPage()
	p.Go(path)
	return p
}

func (v *Visitor) newPage() *Page {
	v.t.Helper()
	ctx, cancel := chromedp.NewContext(running(v.t), chromedp.WithExistingBrowserContext(v.identity),
		chromedp.WithListener(v.journal.hear))
	p := &Page{v: v, t: v.t, ctx: ctx, close: cancel}
	v.t.Cleanup(p.Close)
	// This first call opens the tab, which lives as long as the call's context: no deadline here.
	if err := chromedp.Do(ctx, v.emulate()); err != nil {
		v.t.Fatalf("open a tab: %v", err)
	}
	if err := p.acceptDialogs(); err != nil {
		v.t.Fatalf("open a tab: %v", err)
	}
	return p
}

// emulate makes the tab the visitor's machine. Nothing moves for its own sake, so that a
// screenshot does not depend on when it was taken.
func (v *Visitor) emulate() chromedp.Action[chromedp.Void] {
	viewport := []chromedp.EmulateViewportOption{chromedp.EmulateLandscape}
	if v.Size.Touch {
		viewport = []chromedp.EmulateViewportOption{chromedp.EmulatePortrait, chromedp.EmulateMobile, chromedp.EmulateTouch}
	}
	return chromedp.Steps(
		chromedp.EmulateViewport(v.Size.Width, v.Size.Height, viewport...),
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			agent, err := chromedp.Evaluate[string]("navigator.userAgent")(ctx, t)
			if err != nil {
				return err
			}
			if err := call(ctx, t, emulation.SetUserAgentOverride,
				emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: v.Locale}); err != nil {
				return err
			}
			if err := call(ctx, t, emulation.SetTimezoneOverride,
				emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"}); err != nil {
				return err
			}
			return call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}})
		}))
}

// acceptDialogs answers every dialog with yes, since a page stands still until it is answered.
// The goroutine ends with the tab's context.
func (p *Page) acceptDialogs() error {
	dialogs := chromedp.Events(p.ctx, page.JavascriptDialogOpening)
	go func() {
		for _, err := range dialogs {
			if err != nil {
				return
			}
			// It fails only when the tab is gone, and the dialog with it.
			_, _ = chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}
	}()
	return nil
}

func (v *Visitor) String() string { return fmt.Sprintf("%s, %s", v.Size, v.Locale) }
