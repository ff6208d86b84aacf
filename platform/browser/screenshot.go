package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/chromedp/chromedp"
)

// screenshotsFolder names the folder that takes the screenshots which the documents show. Without
// it they go to the test's artifacts, which `go test -artifacts` keeps.
const screenshotsFolder = "CHANGEOVER_SCREENSHOTS"

// Screenshot takes a picture of what the visitor sees, named after what it shows, the size and
// the language: "puzzle" becomes puzzle-tablet-ar.png. A page that is wider than the screen fails
// the test: its reader would have to push it to and fro for each line.
func (p *Page) Screenshot(name string) {
	p.t.Helper()
	if width := Eval[int64](p, script("settled")); width > p.v.Size.Width {
		p.t.Errorf("%s: %s is %d pixels wide", p.v, p.Path(), width)
	}
	var png []byte
	p.do("take a screenshot", func(ctx context.Context, t *chromedp.Target) (_ chromedp.Void, err error) {
		png, err = chromedp.CaptureScreenshot()(ctx, t)
		return chromedp.Void{}, err
	})
	dir := os.Getenv(screenshotsFolder)
	if dir == "" {
		dir = p.t.ArtifactDir()
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-%s-%s.png", name, p.v.Size.Name, p.v.Locale))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}
