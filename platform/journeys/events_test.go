package journeys

import (
	"testing"

	"changeover/platform/browser"
)

func TestAnOrganiserRegistersFindsAndChangesAnEvent(t *testing.T) {
	onEverySize(t, func(t *testing.T, s *site, size browser.Size) {
		organiser := s.visitor(t, size, "en")
		page := organiser.Open("/events")
		page.Click(`main a[href="/events/new"]`)
		page.WaitPath("/events/new")
		page.Fill("[name=name]", "Hour of Code in Tromsø 🦌")
		page.Fill("[name=description]", "Bring your own device.")
		page.Fill("[name=country]", "NO")
		page.Fill("[name=city]", "Tromsø")
		page.Fill("[name=date]", "2026-12-07")
		page.Fill("[name=time]", "09:30")
		page.Fill("[name=size]", "40")
		page.Click("[name=features][value=school]")
		page.Screenshot("event-new")
		page.Click("#save")
		page.WaitFor("#secret")
		page.Screenshot("event-registered")
		link := browser.Eval[string](page, `(u => u.pathname + u.hash)(new URL(document.querySelector("#link").value))`)
		s.want(t, 1, "SELECT version FROM hoc_events WHERE city = 'Tromsø' AND on_date = '2026-12-07' AND at_time = '09:30' AND size = 40 AND features = 'school'")

		// Whoever has the link can change it: also in another browser.
		edit := s.visitor(t, size, "en").Open(link)
		edit.Wait(`document.querySelector("[name=city]").value === "Tromsø"`)
		edit.Fill("[name=city]", "Bodø")
		edit.Click("#save")
		edit.WaitFor("#done")
		s.want(t, 2, "SELECT version FROM hoc_events WHERE city = 'Bodø'")

		page = s.visitor(t, size, "en").Open("/events")
		page.Fill("[name=q]", "Bodø")
		page.Click("form[role=search] button")
		page.WaitPath("/events?q=Bod")
		page.WaitText(".event h2", "Tromsø 🦌")
		page.Screenshot("events")
		page.Fill("[name=q]", "nowhere")
		page.Click("form[role=search] button")
		page.WaitPath("/events?q=nowhere")
		page.WaitFor(".none")
	})
}

func TestAnEventCannotBeChangedWithoutItsSecret(t *testing.T) {
	s := newSite(t)
	page := s.visitor(t, browser.Desktop, "en").Open("/events/new")
	for field, value := range map[string]string{"name": "Ours", "country": "NO", "city": "Oslo", "date": "2026-12-07"} {
		page.Fill("[name="+field+"]", value)
	}
	page.Click("#save")
	page.WaitFor("#secret")
	edit := browser.Eval[string](page, `new URL(document.querySelector("#link").value).pathname`)

	stranger := s.visitor(t, browser.Desktop, "en")
	page = stranger.Open(edit)
	page.WaitFor("#problem")
	page.Wait(`document.querySelector("#save").disabled`)

	stranger.Allow(`PUT .* \(403\)`)
	page = stranger.Open(edit + "#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	page.Wait(`document.querySelector("[name=city]").value === "Oslo"`)
	page.Fill("[name=city]", "Elsewhere")
	page.Click("#save")
	page.WaitFor("#problem")
	s.want(t, 1, "SELECT version FROM hoc_events WHERE city = 'Oslo'")
}
