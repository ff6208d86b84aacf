package journeys

import (
	"testing"

	"changeover/platform/browser"
)

// drawing is a figure that changes with what is on the dance floor.
const drawing = `(c => c.getContext("2d").getImageData(0, 0, c.width, c.height).data.reduce((sum, v, i) => (sum * 31 + v) | 0, 0))(document.querySelector("#floor"))`

func TestADanceIsMadeSharedAndRemixed(t *testing.T) {
	onEverySize(t, func(t *testing.T, s *site, size browser.Size) {
		page := s.visitor(t, size, "en").Open("/dance")
		page.WaitFor(workspace("dance_start"))
		category(page, 1, "dance_show")
		dragBlock(t, page, "dance_show", inside("dance_start"))
		page.Wait(`document.querySelectorAll("` + workspace("dance_start .dance_show") + `").length === 3`) // two were there
		page.Fill("#project-title", "My dance 💃")
		page.WaitText("#project-saved", "✓")
		page.WaitPath("/p/")

		before := browser.Eval[int](page, drawing)
		page.Click("#run")
		page.Wait(`document.querySelector("#beat").textContent !== ""`)
		page.Wait(`(() => { const was = window.seen ??= new Set([` + number(before) + `]); was.add(` + drawing + `); return was.size > 3 })()`)
		page.Screenshot("dance")
		page.Click("#stop")

		page.Click("#project-share")
		page.WaitFor("#share-link")
		link := browser.Eval[string](page, `new URL(document.querySelector("#share-link").value).pathname`)
		page.Screenshot("dance-share")
		page.Click("#share-close")
		s.want(t, 1, "SELECT shared FROM projects")

		other := s.visitor(t, size, "en").Open(link)
		other.WaitFor("#project-owner")
		other.Click("#run")
		other.Wait(`document.querySelector("#beat").textContent !== ""`)
		other.Click("#stop")
		other.Click("#project-remix")
		other.Wait("location.pathname.startsWith('/p/') && location.pathname !== " + quote(link))
		other.Wait(`document.querySelector("#project-title").value.includes("💃")`)
		other.WaitFor(workspace("dance_start"))
		category(other, 2, "dance_keep")
		dragBlock(t, other, "dance_keep", inside("dance_start"))
		other.WaitText("#project-saved", "✓")
		s.want(t, 2, "SELECT COUNT(*) FROM projects")
		s.want(t, 1, "SELECT COUNT(*) FROM projects AS r JOIN projects AS o ON r.remixed_from = o.id WHERE r.owner_id <> o.owner_id AND r.source <> o.source")
	})
}
