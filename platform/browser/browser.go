// Package browser gives tests people with browsers.
//
// In: a test, the address of a server, a size of screen, a language. Out: a Visitor, who has
// cookies and storage of their own, and the pages that they have open. All visitors of a test
// process share one Chromium, unpacked by the sandbox, so nothing has to be installed.
//
// The decision that matters: a page that complains fails the test. Whatever is written to the
// console as an error, thrown and not caught, or not loaded is a failure when the test ends,
// unless the test said that it would happen. And nothing here sleeps: every step waits for what
// it needs to be there, with a deadline.
//
//	func TestMain(m *testing.M) { sandboxtest.Main(m, browser.Close) }
//
//	func TestSomebodyReadsThePage(t *testing.T) {
//		page := browser.NewVisitor(t, server.URL, browser.Tablet, "ar").Open("/hoc")
//		page.Click("main a")
//		page.Screenshot("choose")
//	}
package browser

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"changeover/internal/sandbox"
)

// chromium is the browser of this test process. It is the package's one variable: `go test` gives
// the tests of a package no other place to share a process.
var chromium = &process{}

// process is a browser that is being started once, by whoever asks first.
type process struct {
	once   sync.Once
	ctx    context.Context
	cancel func()
	output output
	err    error
}

// output is what the browser writes, for the error message of one that doesn't come up.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < 64<<10 {
		o.text.Write(b)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Close stops the browser, if there is one; it is for the end of TestMain.
func Close() error {
	chromium.once.Do(func() {}) // a start that is under way ends first
	if chromium.cancel == nil {
		return nil
	}
	chromium.cancel()
	return nil
}

// running returns the context of the shared browser.
func running(t testing.TB) context.Context {
	t.Helper()
	chromium.once.Do(func() { chromium.err = chromium.start() })
	if chromium.err != nil {
		t.Fatalf("start a browser: %v\n%s", chromium.err, chromium.output.String())
	}
	return chromium.ctx
}

func (p *process) start() error {
	tool, err := sandbox.FindTool(context.Background(), "chromium", nil)
	if err != nil {
		return err
	}
	// The browser outlives the test that asks for it first, so its context is nobody's. Its profile is
	// a folder of the allocator's, which is gone when release returns.
	allocator, release := chromedp.NewExecAllocator(context.Background(), p.options(tool)...)
	ctx, cancel := chromedp.NewContext(allocator)
	p.ctx, p.cancel = ctx, func() { cancel(); release() }
	if err := chromedp.Do(ctx); err != nil {
		p.cancel()
		p.cancel = nil
		return err
	}
	return nil
}

func (p *process) options(tool sandbox.Tool) []chromedp.ExecAllocatorOption {
	cmd := tool.Command(context.Background())
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(cmd.Path),
		chromedp.NoInheritEnv, // the tool's is complete, and without the host's libraries
		chromedp.Env(cmd.Env...),
		chromedp.CombinedOutput(&p.output),
		chromedp.Flag("mute-audio", true),
		chromedp.Flag("hide-scrollbars", true), // their width would be the machine's, not ours
		chromedp.Flag("lang", "en"),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
	)
	for _, arg := range cmd.Args[1:] {
		name, value, ok := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !ok {
			options = append(options, chromedp.Flag(name, true))
			continue
		}
		options = append(options, chromedp.Flag(name, value))
	}
	return options
}

// Size is a screen, and how its owner points at it.
type Size struct {
	Name          string
	Width, Height int64 // CSS pixels
	Touch         bool
}

// The sizes that a school has.
var (
	Desktop = Size{Name: "desktop", Width: 1280, Height: 800}
	Tablet  = Size{Name: "tablet", Width: 768, Height: 1024, Touch: true}
)

func (s Size) String() string { return fmt.Sprintf("%s %d×%d", s.Name, s.Width, s.Height) }
