package journeys

import (
	"testing"

	"changeover/platform/browser"
)

// TestThePagesSpeakTheVisitorsLanguage goes through the pages in a language that is written from
// right to left, one of East Asia and one of India, on both sizes.
func TestThePagesSpeakTheVisitorsLanguage(t *testing.T) {
	for _, c := range []struct{ locale, dir, script, name string }{
		{"ar", "rtl", "Arabic", "ليلى 🌙"},
		{"zh-Hans", "ltr", "Han", "小明 🐼"},
		{"hi", "ltr", "Devanagari", "आशा 🪔"},
	} {
		t.Run(c.locale, func(t *testing.T) {
			onEverySize(t, func(t *testing.T, s *site, size browser.Size) {
				speaks := func(page *browser.Page, selector string) {
					t.Helper()
					page.Wait(`document.dir === ` + quote(c.dir) + ` && document.documentElement.lang === ` + quote(c.locale))
					page.Wait(`/\p{Script=` + c.script + `}/u.test(document.querySelector(` + quote(selector) + `)?.textContent)`)
				}
				page := s.visitor(t, size, c.locale).Open("/")
				speaks(page, "h1")
				page.Screenshot("home")
				page.Click("#start")
				page.WaitPath("/hoc")
				speaks(page, "h1")
				page.Screenshot("choose")
				page.Click("[data-script=otter]")
				page.WaitPath("/s/otter/1")
				straightOn(t, page)
				speaks(page, "#run")
				speaks(page, workspace("move"))
				solve(page)
				speaks(page, "#says")
				page.Screenshot("puzzle-solved")

				page.Go("/hoc/finish/otter")
				page.Fill("#name", c.name)
				page.Click("form button")
				page.WaitPath("/certificate/")
				page.WaitText(".certificate .name", c.name)
				page.Screenshot("certificate")
				s.want(t, 1, "SELECT COUNT(*) FROM hoc_activity WHERE CAST(name AS BINARY) = CAST(? AS BINARY)", c.name)

				page.Go("/me")
				page.WaitFor("#progress [data-state=best]")
				page.Screenshot("my-work")

				page.Go("/dance")
				page.WaitFor(workspace("dance_start"))
				speaks(page, workspace("dance_start"))
				category(page, 1, "dance_show")
				dragBlock(t, page, "dance_show", inside("dance_start"))
				page.WaitFor("#project-saved[data-state=saved]")
				page.Screenshot("dance")

				page.Go("/applab")
				page.WaitFor("#editor .cm-content")
				speaks(page, "#tab-program")
				page.Click("#run")
				page.WaitFor("#app button")
				page.Screenshot("applab")

				page.Go("/events/new")
				speaks(page, "h1")
				page.Screenshot("event-new")
				page.Go("/sign-up")
				speaks(page, "h1")
				page.Screenshot("sign-up")
				page.Go("/languages")
				speaks(page, "h1")
				page.Screenshot("languages")
			})
		})
	}
}

func TestALanguageIsChosenAndKept(t *testing.T) {
	s := newSchool(t)
	page := s.visitor(t, browser.Desktop, "en").Open("/hoc")
	page.Click("details.languages summary")
	page.Screenshot("language-menu")
	page.Click("details.languages a[lang=ja]")
	page.Wait(`document.documentElement.lang === "ja"`)
	page.Go("/")
	page.Wait(`document.documentElement.lang === "ja"`)
}
