package browser

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// patience is how long a step may take before the test fails: far more than any needs, since the
// machine may have a lot to do.
const patience = 30 * time.Second

//go:embed page.js
var pageJS string

// Page is a tab. A step that can't be done fails the test, with a picture of the page.
type Page struct {
	v     *Visitor
	t     testing.TB
	ctx   context.Context
	close func()
}

// Visitor is whose page it is.
func (p *Page) Visitor() *Visitor { return p.v }

// For is the same tab, for a subtest: what can't be done fails t and not the test that opened it.
func (p *Page) For(t testing.TB) *Page { return &Page{v: p.v, t: t, ctx: p.ctx, close: p.close} }

// Close closes the tab.
func (p *Page) Close() { p.close() }

// Go shows another path in this tab.
func (p *Page) Go(path string) {
	p.t.Helper()
	p.do("open "+path, chromedp.Navigate(p.v.base+path))
}

// Reload loads the page again.
func (p *Page) Reload() {
	p.t.Helper()
	p.do("reload", chromedp.Reload())
}

// Path is the address without the server: path, query and fragment.
func (p *Page) Path() string {
	p.t.Helper()
	return Eval[string](p, "location.pathname + location.search + location.hash")
}

// Click presses the first visible element that selector finds, with a finger where the screen is
// touched. It waits for the element to be there, enabled and not covered.
func (p *Page) Click(selector string) {
	p.t.Helper()
	x, y := p.locate(selector)
	if !p.v.Size.Touch {
		p.do("press "+selector, chromedp.MouseClickXY(x, y))
		return
	}
	for try := 1; ; try++ {
		Eval[bool](p, script("expectClick"))
		p.do("tap "+selector, tap(x, y))
		if p.clicked() {
			return
		}
		// A browser takes a touch that follows another one closely for a part of that. Then a person
		// taps again.
		if try == 3 {
			p.fail("tap "+selector, errors.New("the page gets no click"))
		}
		x, y = p.locate(selector)
	}
}

// clicked waits a moment for the click that expectClick expects. A page that is gone has had it.
func (p *Page) clicked() bool {
	_, err := chromedp.Run(p.ctx, chromedp.Poll[bool]("window.clickSeen", chromedp.WithPollingTimeout(2*time.Second)))
	return err == nil || pageIsGone(err)
}

// touchTime is how long a finger that taps is down. After half a second it would be a long press.
const touchTime = 40 * time.Millisecond

// tap puts a finger down and lifts it. It does not wait for the page's answer to the first before the
// second: a page that is busy would make a long press of it.
func tap(x, y float64) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		down := make(chan error, 1)
		go func() {
			down <- call(ctx, t, input.DispatchTouchEvent, input.DispatchTouchEventParams{
				Type: input.DispatchTouchEventTypeTouchStart, TouchPoints: []*input.TouchPoint{{X: x, Y: y}}})
		}()
		if _, err := chromedp.Sleep(touchTime)(ctx, t); err != nil {
			return err
		}
		err := call(ctx, t, input.DispatchTouchEvent, input.DispatchTouchEventParams{
			Type: input.DispatchTouchEventTypeTouchEnd, TouchPoints: []*input.TouchPoint{}})
		return errors.Join(err, <-down)
	})
}

// locate waits until selector can be pressed, and returns where.
func (p *Page) locate(selector string) (x, y float64) {
	p.t.Helper()
	found := p.wait("press "+selector, "(() => { const at = "+script("locate", selector)+"; return at.why ? null : [at.x, at.y] })()",
		script("locate", selector))
	var at [2]float64
	if err := json.Unmarshal(found, &at); err != nil {
		p.fail("press "+selector, err)
	}
	return at[0], at[1]
}

// Fill replaces what is in a field: by typing, or by picking where the browser has a picker.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.Click(selector)
	if Eval[bool](p, script("hasPicker", selector)) {
		if !Eval[bool](p, script("pick", selector, text)) {
			p.fail("fill "+selector, fmt.Errorf("it does not take %q", text))
		}
		return
	}
	Eval[bool](p, script("selectAll", selector))
	p.Type(text)
}

// Type writes text where the keyboard is, as an input method does: all scripts.
func (p *Page) Type(text string) {
	p.t.Helper()
	p.do("type "+text, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		return call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
	}))
}

// Press presses and releases keys, one after another: "a", kb.Enter, kb.Tab.
func (p *Page) Press(keys string, modifiers ...chromedp.Modifier) {
	p.t.Helper()
	p.do(fmt.Sprintf("press the key %q", keys), chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// Focused is the element that has the keyboard, as HTML; empty if none has.
func (p *Page) Focused() string {
	p.t.Helper()
	return Eval[string](p, script("focused"))
}

// Upload puts files into a file field.
func (p *Page) Upload(selector string, paths ...string) {
	p.t.Helper()
	p.do("upload to "+selector, chromedp.SetUploadFiles(chromedp.CSS(selector), paths))
}

// Drag moves what is at from to to, with the mouse or a finger, in steps as a hand does: a page
// that takes a movement for a drag only after some pixels sees those pixels.
func (p *Page) Drag(fromX, fromY, toX, toY float64) {
	p.t.Helper()
	const steps = 12
	p.do("drag", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for i := range steps + 1 {
			part := float64(i) / steps
			if err := p.point(ctx, t, i, fromX+(toX-fromX)*part, fromY+(toY-fromY)*part); err != nil {
				return err
			}
		}
		// A hand holds still before it lets go; the page has shown by then what it would do.
		if _, err := chromedp.Evaluate[bool](script("frames"), chromedp.EvalAwaitPromise)(ctx, t); err != nil {
			return err
		}
		return p.point(ctx, t, -1, toX, toY)
	}))
	Eval[bool](p, script("frames"))
}

// point is a step of a drag: 0 presses, -1 lets go, the others move.
func (p *Page) point(ctx context.Context, t *chromedp.Target, step int, x, y float64) error {
	if p.v.Size.Touch {
		touch := input.DispatchTouchEventParams{Type: input.DispatchTouchEventTypeTouchMove,
			TouchPoints: []*input.TouchPoint{{X: x, Y: y}}}
		switch step {
		case 0:
			touch.Type = input.DispatchTouchEventTypeTouchStart
		case -1:
			touch.Type, touch.TouchPoints = input.DispatchTouchEventTypeTouchEnd, []*input.TouchPoint{}
		}
		return call(ctx, t, input.DispatchTouchEvent, touch)
	}
	mouse := input.DispatchMouseEventParams{Type: chromedp.MouseMoved, X: x, Y: y, Button: input.MouseButtonLeft, Buttons: 1}
	switch step {
	case 0:
		mouse.Type, mouse.ClickCount = chromedp.MousePressed, 1
	case -1:
		mouse.Type, mouse.ClickCount, mouse.Buttons = chromedp.MouseReleased, 1, 0
	}
	return call(ctx, t, input.DispatchMouseEvent, mouse)
}

// Wait waits until a JavaScript expression is true. An expression that throws is not true yet;
// what it throws is told if it never becomes so. It may be true on a page that comes later.
func (p *Page) Wait(expression string) {
	p.t.Helper()
	p.wait("wait for "+expression, expression, expression)
}

// WaitFor waits until selector finds an element that is shown.
func (p *Page) WaitFor(selector string) {
	p.t.Helper()
	visible := fmt.Sprintf("[...document.querySelectorAll(%s)].some(e => e.checkVisibility())", quote(selector))
	p.wait("wait for "+selector, visible, visible)
}

// WaitText waits until the text of an element that selector finds contains text.
func (p *Page) WaitText(selector, text string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("wait for %q in %s", text, selector),
		fmt.Sprintf("[...document.querySelectorAll(%s)].some(e => e.checkVisibility() && (e.innerText ?? e.textContent).includes(%s))", quote(selector), quote(text)),
		fmt.Sprintf("[...document.querySelectorAll(%s)].map(e => e.innerText ?? e.textContent)", quote(selector)))
}

// WaitPath waits until the page whose path and query begin with path has loaded.
func (p *Page) WaitPath(path string) {
	p.t.Helper()
	p.wait("wait for "+path, fmt.Sprintf("(location.pathname + location.search).startsWith(%s) && document.readyState === 'complete'", quote(path)), "location.href")
}

// wait polls expression, through any number of page loads, until it is truthy. When it never is,
// the value of explain tells why.
func (p *Page) wait(what, expression, explain string) json.RawMessage {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	guarded := "(() => { try { return " + expression + " } catch { return null } })()"
	for {
		value, err := chromedp.Run(ctx, chromedp.Poll[[]byte](guarded, chromedp.WithPollingTimeout(patience)))
		if err == nil {
			return value
		}
		if ctx.Err() != nil || !pageIsGone(err) {
			p.fail(what, errors.Join(err, p.explain(explain)))
		}
	}
}

// pageIsGone says that the page that was asked has been left for another.
func pageIsGone(err error) bool {
	for _, told := range []string{"context was destroyed", "Cannot find context", "navigated or closed", "uniqueContextId not found"} {
		if strings.Contains(err.Error(), told) {
			return true
		}
	}
	return false
}

func (p *Page) explain(expression string) error {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression))
	if err != nil {
		return fmt.Errorf("now it fails: %w", err)
	}
	return fmt.Errorf("now it is %s", value)
}

// Eval is the value of a JavaScript expression; a promise is waited for. Where the page is left for
// another meanwhile, it is the value there.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for {
		value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
		if err == nil {
			return value
		}
		if ctx.Err() != nil || !pageIsGone(err) {
			p.fail(strings.TrimPrefix(expression, pageJS), err)
		}
	}
}

// script calls a function of page.js.
func script(name string, args ...string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = quote(a)
	}
	return fmt.Sprintf("%s.%s(%s)", pageJS, name, strings.Join(quoted, ", "))
}

// quote is s as a JavaScript string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always is JSON
	}
	return string(b)
}

func call[P any](ctx context.Context, t *chromedp.Target, command cdp.Command[P, cdp.Empty], params P) error {
	_, err := cdp.Call(ctx, t, command, params)
	return err
}

func (p *Page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.fail(what, err)
	}
}

func last[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

// fail ends the test with what could be seen.
func (p *Page) fail(what string, err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	picture := filepath.Join(p.t.ArtifactDir(), fmt.Sprintf("failed-%s-%s.png", p.v.Size.Name, p.v.Locale))
	if png, shotErr := chromedp.Run(ctx, chromedp.CaptureScreenshot()); shotErr == nil {
		if writeErr := os.WriteFile(picture, png, 0o644); writeErr != nil {
			p.t.Log(writeErr)
		}
	}
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText.slice(0, 700)"))
	p.t.Fatalf("%s: %s: %v\npicture: %s\nproblems: %q\nlast requests: %v\n%s", p.v, what, err, picture,
		p.v.journal.unexpected(), last(p.v.Requests(), 8), text)
}
