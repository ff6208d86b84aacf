package journeys

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"changeover/platform/browser"
)

// away are the problems of a page whose server is away: they are the point of these tests.
const away = `net::ERR_|\(50[234]\)|Failed to load resource`

// toldUnsaved waits until the page says that a write is not saved yet.
func toldUnsaved(page *browser.Page) {
	page.WaitFor("#saved[data-state=waiting]")
	page.WaitText("#saved", "Not saved yet")
}

func TestARunWithoutAServerIsSavedOnceItIsBack(t *testing.T) {
	s := newSchool(t)
	visitor := s.visitor(t, browser.Desktop, "en")
	visitor.Allow(away)
	page := visitor.Open("/s/otter/1")
	straightOn(t, page)
	s.stop(t)
	page.Click("#run")
	page.WaitFor("#says[data-mood=best]") // the student can go on playing
	toldUnsaved(page)
	page.Screenshot("not-saved-yet")
	page.Close() // nothing in memory can help any more
	s.want(t, 0, "SELECT COUNT(*) FROM activities")

	s.start(t)
	later := visitor.Open("/")
	later.Wait(answered + " === 1")
	once(t, s, 1)
	later.Go("/s/otter/1")
	later.WaitFor("#levels [data-level='1'][data-state=best]")
}

func TestAReloadWhileTheServerIsAwayLosesNothing(t *testing.T) {
	s := newSite(t)
	visitor := s.visitor(t, browser.Tablet, "en")
	visitor.Allow(away)
	page := visitor.Open("/s/maze/1")
	straightOn(t, page)
	s.stop(t)
	page.Click("#run")
	toldUnsaved(page)
	s.start(t)
	page.Reload()
	page.WaitFor("#saved[data-state=saved]")
	once(t, s, 1)
}

func TestTwoTabsSendWhatTheyHaveOnce(t *testing.T) {
	s := newSite(t)
	visitor := s.visitor(t, browser.Desktop, "en")
	visitor.Allow(away)
	first, second := visitor.Open("/s/maze/1"), visitor.Open("/s/maze/2")
	straightOn(t, first)
	straightOn(t, second)
	s.stop(t)
	for _, tab := range []*browser.Page{first, second} {
		tab.Click("#run")
		tab.WaitFor("#says[data-mood=best]")
		toldUnsaved(tab)
	}
	s.start(t)
	first.WaitFor("#saved[data-state=saved]")
	second.WaitFor("#saved[data-state=saved]")
	once(t, s, 2)
}

func TestAnAnswerThatIsLostIsAskedForAgain(t *testing.T) {
	s := newSite(t)
	var deaf atomic.Bool
	var lost, replayed atomic.Int32
	deaf.Store(true)
	inner := s.handler
	s.stop(t)
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/run" {
			inner.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		inner.ServeHTTP(answer, r)
		if deaf.Load() { // it is in the database; nobody hears of it
			lost.Add(1)
			panic(http.ErrAbortHandler)
		}
		if answer.Header().Get("Replayed") == "1" {
			replayed.Add(1)
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
	s.start(t)
	visitor := s.visitor(t, browser.Desktop, "en")
	visitor.Allow(away)
	page := visitor.Open("/s/maze/1")
	straightOn(t, page)
	page.Click("#run")
	toldUnsaved(page)
	s.want(t, 1, "SELECT COUNT(*) FROM activities")
	deaf.Store(false)
	page.WaitFor("#saved[data-state=saved]")
	once(t, s, 1)
	if lost.Load() < 1 || replayed.Load() != 1 {
		t.Errorf("lost %d answers and gave %d as replays; want some and 1", lost.Load(), replayed.Load())
	}
}

// once fails unless n attempts of one person are in the database, with their effects, each once.
func once(t *testing.T, s *site, n int) {
	t.Helper()
	s.want(t, 1, "SELECT COUNT(*) FROM users")
	s.want(t, n, "SELECT COUNT(*) FROM activities")
	s.want(t, n, "SELECT SUM(attempts) FROM user_levels")
	s.want(t, 2*n, "SELECT total_lines FROM users")
	s.want(t, 1, "SELECT COUNT(*) FROM hoc_activity")
}
