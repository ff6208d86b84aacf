package journeys

import (
	"fmt"
	"testing"

	"changeover/platform/browser"
)

// place is where a block may be let go: inside the first mouth of a block, or under it.
type place struct {
	block  string // a selector
	inside bool
}

func under(kind string) place  { return place{workspace(kind), false} }
func inside(kind string) place { return place{workspace(kind), true} }

// workspace is the selector of a block in the program, toolbox that of one to be taken.
func workspace(kind string) string { return ".blocklySvg .blocklyBlockCanvas ." + kind }

func toolbox(kind string) string { return ".blocklyFlyout ." + kind }

// grip is how far from a block's inner upper corner a hand takes it, in pixels.
const grip = 7

// corner is a point of a block's outline on the screen: its inner corner, upper or lower, where
// inner is where reading begins.
func corner(t *testing.T, page *browser.Page, block string, lower bool) (x, y float64) {
	t.Helper()
	path := fmt.Sprintf("document.querySelector(%s)", quote(block+" > .blocklyPath"))
	page.Wait(path + "?.getBoundingClientRect().width > 0")
	at := browser.Eval[[]float64](page, fmt.Sprintf(`(e => {
		e.closest(".injectionDiv").scrollIntoView({block: "center", behavior: "instant"})
		const r = e.getBoundingClientRect()
		return [document.dir === "rtl" ? r.right : r.left, %t ? r.bottom : r.top]
	})(%s)`, lower, path))
	return at[0], at[1]
}

// category opens the n-th drawer of the toolbox, 0 the first, and waits until it has the block.
func category(page *browser.Page, n int, kind string) {
	page.Click(fmt.Sprintf(".blocklyToolboxCategoryContainer:nth-child(%d) .blocklyToolboxCategory", n+1))
	page.WaitFor(toolbox(kind))
}

const countBlocks = `[...document.querySelectorAll(".blocklySvg .blocklyBlockCanvas .blocklyDraggable")].length`

// dragBlock takes a block of the toolbox and lets go of it at a place, where it snaps in.
func dragBlock(t *testing.T, page *browser.Page, kind string, to place) {
	t.Helper()
	inward := float64(grip)
	if browser.Eval[string](page, "document.dir") == "rtl" {
		inward = -grip
	}
	toX, toY := corner(t, page, to.block, !to.inside)
	if to.inside {
		toX, toY = toX+3*inward, toY+40
	}
	fromX, fromY := corner(t, page, toolbox(kind), false)
	before := browser.Eval[int](page, countBlocks)
	page.Drag(fromX+inward, fromY+grip, toX+inward, toY+grip)
	page.Wait(fmt.Sprintf("%s > %d && !document.querySelector('.blocklyDragging')", countBlocks, before))
	page.Wait(fmt.Sprintf("document.querySelector(%s) !== null", quote(to.block+" ."+kind)))
}
