package journeys

import (
	"fmt"
	"testing"

	"changeover/platform/browser"
)

func TestAClassWorksWithItsTeacher(t *testing.T) {
	onEverySize(t, func(t *testing.T, s *site, size browser.Size) {
		teacher := s.visitor(t, size, "en").Open("/sign-up?kind=teacher")
		teacher.Screenshot("sign-up")
		signUp(teacher, "teacher", "teacher", "Ms Özgür")
		teacher.Go("/teach")
		teacher.Fill("#new-class [name=name]", "Class 4b नमस्ते")
		teacher.Fill("#new-class [name=script]", "thread")
		teacher.Click("#new-class button")
		teacher.WaitPath("/teach/")
		teacher.Wait(`document.querySelector("#code").textContent.length === 6`)
		code := browser.Eval[string](teacher, `document.querySelector("#code").textContent`)
		teacher.WaitFor("#nobody")

		student := s.visitor(t, size, "en").Open("/sign-up")
		signUp(student, "student", "aisha", "Aïsha 🌟")
		student.Go("/join")
		student.Fill("form [name=code]", "QQQQQQ")
		student.Visitor().Allow(`POST .*/api/join \(404\)`)
		student.Click("form button")
		student.Wait(`document.querySelector("form .problem").textContent !== ""`)
		student.Fill("form [name=code]", code)
		student.Screenshot("join")
		student.Click("form button")
		student.WaitText("#done", "Class 4b नमस्ते")
		student.Click("#done a")
		student.WaitPath("/s/thread/1")
		student.Wait(`!document.querySelector("#run").disabled`)
		dragBlock(t, student, "forward", under("when_run"))
		solve(student)
		student.Click("#next")
		student.WaitPath("/s/thread/2")
		student.Wait(`!document.querySelector("#run").disabled`)
		dragBlock(t, student, "forward", under("when_run"))
		student.Click("#run")
		student.WaitFor("#says[data-mood=sad]")
		student.WaitFor("#saved[data-state=saved]")

		// The grid comes to know of it by itself.
		cell := func(n int) string { return fmt.Sprintf("#grid tbody tr td:nth-of-type(%d) .cell", n) }
		teacher.WaitText("#grid th", "Aïsha 🌟")
		teacher.WaitFor(cell(1) + "[data-state=best]")
		teacher.WaitFor(cell(2) + "[data-state=tried]")
		teacher.Screenshot("class")
		teacher.Click(cell(2))
		teacher.WaitFor("#attempt-list a")
		teacher.Screenshot("class-attempts")
		teacher.Click("#attempt-list a")
		teacher.WaitPath("/teach/attempt/")
		teacher.WaitFor("#program .forward")
		teacher.Fill("form [name=comment]", "One step is missing. Count again! 👀")
		teacher.Click("form [name=rating][value=nearly]")
		teacher.Screenshot("attempt")
		teacher.Click("form [type=submit]")
		teacher.WaitFor("#saved[data-state=saved]")
		s.want(t, 1, "SELECT COUNT(*) FROM teacher_feedbacks WHERE rating = 'nearly' AND activity_id IS NOT NULL AND seen_at IS NULL")

		student.Go("/me")
		student.WaitText("#feedback", "One step is missing. Count again! 👀")
		student.WaitFor("#progress [data-state=best]")
		student.Screenshot("my-work")
		student.Wait("fetch('/api/feedback').then(r => r.json()).then(f => window.seen = f.feedback[0].seenAt), window.seen")
		s.want(t, 0, "SELECT COUNT(*) FROM teacher_feedbacks WHERE seen_at IS NULL")

		teacher.Click("#back")
		teacher.WaitFor("#grid .remove")
		teacher.Click("#grid .remove")
		teacher.WaitFor("#nobody")
		s.want(t, 0, "SELECT COUNT(*) FROM section_students")
		s.want(t, 2, "SELECT COUNT(*) FROM activities")
	})
}

func TestSomebodySignsOutAndInAgain(t *testing.T) {
	s := newSite(t)
	page := s.visitor(t, browser.Desktop, "en").Open("/sign-up")
	signUp(page, "student", "sam", "Sam")
	// The page may still be asking for what is Sam's when he signs out: nobody is told then.
	page.Visitor().Allow(`GET .*/api/[^ ]+ \(401\)`)
	page.Click("#who")
	page.Click("#sign-out")
	page.WaitFor(`header a[href^="/sign-in"]`)
	s.want(t, 0, "SELECT COUNT(*) FROM sessions")

	page.Visitor().Allow(`POST .*/api/sign-in \(403\)`)
	page.Go("/sign-in")
	page.Fill("[name=login]", "sam")
	page.Fill("[name=password]", "wrong horse")
	page.Click("form [type=submit]")
	page.Wait(`document.querySelector("form .problem").textContent !== ""`)
	page.Fill("[name=password]", "correct horse 🐴")
	page.Click("form [type=submit]")
	page.WaitText("#who", "Sam")

	page.Visitor().Allow(`POST .*/api/account \(409\)`)
	other := s.visitor(t, browser.Desktop, "en")
	other.Allow(`POST .*/api/account \(409\)`)
	taken := other.Open("/sign-up")
	taken.Fill("form [name=name]", "Sam too")
	taken.Fill("form [name=login]", "SAM")
	taken.Fill("form [name=password]", "correct horse")
	taken.Click("form [type=submit]")
	taken.Wait(`document.querySelector("form .problem").textContent !== ""`)
	s.want(t, 1, "SELECT COUNT(*) FROM users")
}
