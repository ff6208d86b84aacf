package journeys

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"changeover/platform/browser"
)

// tabTo presses Tab until what has the keyboard contains want, as somebody without a mouse does.
func tabTo(t *testing.T, page *browser.Page, want string) {
	t.Helper()
	var been []string
	for range 40 {
		page.Press(kb.Tab)
		at := page.Focused()
		if strings.Contains(at, want) {
			return
		}
		been = append(been, at)
	}
	t.Fatalf("Tab does not come to %s:\n%s", want, strings.Join(been, "\n"))
}

func TestAPuzzleIsSolvedWithTheKeyboardAlone(t *testing.T) {
	s := newSchool(t)
	page := s.visitor(t, browser.Desktop, "en").Open("/hoc")
	page.Press(kb.Tab)
	if at := page.Focused(); !strings.Contains(at, `href="#main"`) {
		t.Errorf("the first stop is not the way past the menu, but %s", at)
	}
	tabTo(t, page, `data-script="otter"`)
	page.Press(kb.Enter)
	page.WaitPath("/s/otter/1")
	page.Wait(`!document.querySelector("#run").disabled`)

	tabTo(t, page, "blocklyWorkspace")
	page.Press(kb.ArrowDown)
	page.Wait(`document.activeElement.closest(".when_run") !== null`)
	addMove(page, 1)
	addMove(page, 2)
	page.Screenshot("puzzle-keyboard")
	tabBackTo(t, page, `id="run"`)
	page.Press(kb.Enter)
	page.WaitFor("#says[data-mood=best]")
	page.WaitFor("#saved[data-state=saved]")
	// What comes next has the keyboard already.
	page.Wait(`document.activeElement === document.querySelector("#next")`)
	page.Press(kb.Enter)
	page.WaitPath("/s/otter/2")
}

// addMove hangs the n-th move block under the one that has the keyboard, with Blockly's own keys: t goes
// to the toolbox, Enter takes the block that is there, Enter again lets go of it where it fits.
func addMove(page *browser.Page, n int) {
	page.Press("t")
	page.Wait(`document.activeElement.closest(".blocklyFlyout .move") !== null`)
	page.Press(kb.Enter)
	page.Wait(`document.activeElement.closest(".blocklyBlockDragSurface") !== null`)
	page.Press(kb.Enter)
	page.Wait(`document.querySelectorAll("` + workspace("when_run .move") + `").length === ` + number(n))
}

// tabBackTo presses Shift+Tab until what has the keyboard contains want.
func tabBackTo(t *testing.T, page *browser.Page, want string) {
	t.Helper()
	var been []string
	for range 40 {
		page.Press(kb.Tab, chromedp.ModifierShift)
		at := page.Focused()
		if strings.Contains(at, want) {
			return
		}
		been = append(been, at)
	}
	t.Fatalf("Shift+Tab does not come to %s:\n%s", want, strings.Join(been, "\n"))
}
