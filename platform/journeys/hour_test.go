package journeys

import (
	"testing"

	"changeover/platform/browser"
	"changeover/platform/curriculum"
)

// straightOn is the solution of the test's mazes: two steps.
func straightOn(t *testing.T, page *browser.Page) {
	t.Helper()
	page.Wait(`!document.querySelector("#run").disabled`)
	dragBlock(t, page, "move", under("when_run"))
	dragBlock(t, page, "move", under("move"))
}

// solve runs what is in the workspace, and waits until it has been seen to work and is saved.
func solve(page *browser.Page) {
	before := browser.Eval[int](page, answered)
	page.Click("#run")
	page.WaitFor("#says[data-mood=best]")
	page.WaitFor("#next")
	page.Wait(answered + " > " + number(before)) // else the page may still say what it said of an earlier run
	page.WaitFor("#saved[data-state=saved]")
}

// solution is the program that solves a level, as the page keeps it.
func solution(t *testing.T, script string, level int) string {
	t.Helper()
	for _, course := range curriculum.Scripts() {
		if course.Name != script {
			continue
		}
		program, err := curriculum.Parse(course.Levels[level-1].Solution)
		if err != nil {
			t.Fatal(err)
		}
		return program.Text()
	}
	t.Fatalf("no course %s", script)
	return ""
}

// answered is how many attempts of this page the server has answered.
const answered = `performance.getEntriesByName(location.origin + "/api/run").length`

func TestAnHourOfCodeIsPlayedByAStranger(t *testing.T) {
	onEverySize(t, func(t *testing.T, s *site, size browser.Size) {
		page := s.visitor(t, size, "en").Open("/")
		page.Screenshot("home")
		page.Click("#start")
		page.WaitPath("/hoc")
		page.WaitFor("[data-script=otter]")
		page.Screenshot("choose")
		page.Click("[data-script=otter]")
		page.WaitPath("/s/otter/1")
		straightOn(t, page)
		page.Screenshot("puzzle")
		solve(page)
		page.Screenshot("puzzle-solved")
		page.Click("#next")
		page.WaitPath("/s/otter/2")
		for _, last := range []string{"when_run", "move", "move .move", "move .move .move"} {
			page.Wait(`!document.querySelector("#run").disabled`)
			dragBlock(t, page, "move", under(last))
		}
		solve(page)
		page.Click("#levels [data-level='12']") // somebody who has done the others before
		page.WaitPath("/s/otter/12")
		browser.Eval[bool](page, `(localStorage.setItem("draft:otter/12", `+quote(solution(t, "otter", 12))+`), true)`)
		page.Reload()
		page.WaitFor(workspace("when_run") + " .move")
		solve(page)
		page.Click("#next")
		page.WaitPath("/hoc/finish/otter")
		page.Fill("#name", "Zoë 🦊 ﺷﻤﺲ")
		page.Screenshot("finish")
		page.Click("form button")
		page.WaitPath("/certificate/")
		page.WaitText(".certificate .name", "Zoë 🦊")
		page.Screenshot("certificate")
		s.want(t, 1, "SELECT COUNT(*) FROM users WHERE kind = 'guest' AND total_lines >= 7")
		s.want(t, 3, "SELECT COUNT(*) FROM activities WHERE result = 30")
		s.want(t, 3, "SELECT COUNT(*) FROM user_levels WHERE attempts = 1 AND best_result = 30")
		s.want(t, 1, "SELECT COUNT(*) FROM hoc_activity WHERE finished_at IS NOT NULL")

		// The certificate is a page that can be shown to others.
		path := page.Path()
		s.visitor(t, size, "en").Open(path).WaitText(".certificate .name", "Zoë 🦊")

		// What was done without an account can be kept with one.
		page.Click(`main a[href="/sign-up"]`)
		page.WaitPath("/sign-up")
		signUp(page, "student", "zoe", "Zoë")
		s.want(t, 1, "SELECT COUNT(*) FROM users WHERE kind = 'student' AND login = 'zoe' AND total_lines >= 7")
		s.want(t, 1, "SELECT COUNT(*) FROM users")
		page.Go("/me")
		page.Wait(`document.querySelectorAll("#progress [data-state=best]").length === 3`)
	})
}

func TestAProgramIsSteppedThroughStoppedAndTriedAgain(t *testing.T) {
	s := newSite(t)
	page := s.visitor(t, browser.Desktop, "en").Open("/s/maze/1")
	page.Wait(`!document.querySelector("#run").disabled`)
	page.Click("#run") // nothing there yet
	page.WaitFor("#says[data-mood=sad]")
	s.want(t, 0, "SELECT COUNT(*) FROM activities")

	dragBlock(t, page, "move", under("when_run"))
	page.Click("#run")
	page.WaitFor("#says[data-mood=sad]")
	page.WaitFor("#saved[data-state=saved]")
	s.want(t, 1, "SELECT COUNT(*) FROM activities WHERE result = 0")

	dragBlock(t, page, "move", under("move"))
	robot := `document.querySelector("#stage .robot").getAttribute("transform")`
	page.Click("#reset")
	start := browser.Eval[string](page, robot)
	shown := `document.querySelector(".blocklyHighlighted, .blocklyPath[filter]")`
	page.Click("#step")
	page.Wait(shown + `?.closest(".when_run") !== null`)
	page.Click("#step")
	page.Wait(shown + `?.closest(".blocklyDraggable").classList.contains("move")`)
	page.Click("#step")
	page.Wait(robot + " !== " + quote(start))
	page.Screenshot("puzzle-step")
	page.Click("#reset")
	page.Wait(robot + " === " + quote(start))
	solve(page)
	s.want(t, 2, "SELECT attempts FROM user_levels WHERE best_result = 30")

	// Another day, the program is still there.
	page.Reload()
	page.WaitFor(workspace("move"))
	page.Wait(`document.querySelectorAll("` + workspace("move") + `").length === 2`)
}

func TestAProgramWithoutAnEndIsStopped(t *testing.T) {
	s := newSchool(t)
	page := s.visitor(t, browser.Desktop, "en").Open("/s/comet/1")
	load := func(program string) {
		t.Helper()
		parsed, err := curriculum.Parse(program)
		if err != nil {
			t.Fatal(err)
		}
		browser.Eval[bool](page, `(localStorage.setItem("draft:comet/1", `+quote(parsed.Text())+`), true)`)
		page.Reload()
		page.WaitFor(workspace("while_goal"))
	}
	// One that does nothing is ended by its limit of steps, and counts as an attempt.
	load("while_goal { }")
	page.Click("#run")
	page.WaitFor("#says[data-mood=sad]")
	page.WaitFor("#saved[data-state=saved]")
	s.want(t, 1, "SELECT COUNT(*) FROM activities WHERE result = 0")

	// One that walks in a circle can be watched, and stopped by whoever has seen enough.
	load("while_goal { left }")
	page.Click("#run")
	page.WaitFor("#run.stop")
	page.Click("#run")
	page.WaitFor("#run:not(.stop)")
	s.want(t, 1, "SELECT COUNT(*) FROM activities")
}

// signUp fills the form of a new account and waits until the visitor is known by its name.
func signUp(page *browser.Page, kind, login, name string) {
	page.Click("form [name=kind][value=" + kind + "]")
	page.Fill("form [name=name]", name)
	page.Fill("form [name=login]", login)
	page.Fill("form [name=password]", "correct horse 🐴")
	page.Click("form [type=submit]")
	page.Wait(`!location.pathname.startsWith("/sign-up")`)
	page.WaitText("#who", name)
}
