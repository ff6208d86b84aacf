package journeys

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"changeover/platform/browser"
	"changeover/platform/platformtest"
)

func TestAnAdminSeesTheWriterAtWork(t *testing.T) {
	onEverySize(t, func(t *testing.T, s *site, size browser.Size) {
		visitor := s.visitor(t, size, "en")
		visitor.Allow(`GET .*/api/admin \(40[13]\)`) // it asks for the token only when it has to
		page := visitor.Open("/admin")
		page.Fill("#token", "a guess")
		page.Click("#token-form button")
		page.WaitFor("#token-form")
		page.Fill("#token", platformtest.AdminToken)
		page.Click("#token-form button")
		page.WaitText("#server", s.At.Addr())

		maker := s.visitor(t, size, "en").Open("/applab")
		maker.Fill("#project-title", "Something to write")
		maker.WaitText("#project-saved", "✓")
		page.Wait(`parseInt(document.querySelector("#total").textContent) >= 2`) // a guest and a project
		page.Wait(`document.querySelectorAll(".chart canvas").length === 2`)
		before := browser.Eval[int](page, `parseInt(document.querySelector("#total").textContent)`)
		guests(t, s, 200)
		page.Wait(`parseInt(document.querySelector("#total").textContent) >= ` + number(before+200))
		page.Screenshot("admin")
	})
}

// guests makes n people arrive, one after another.
func guests(t *testing.T, s *site, n int) {
	t.Helper()
	for range n {
		session := make([]byte, 32)
		_, _ = rand.Read(session) // never fails
		body, err := json.Marshal(map[string]string{"op": uuid.Must(uuid.NewV7()).String(),
			"session": base64.RawURLEncoding.EncodeToString(session), "locale": "en"})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.Post(s.URL+"/api/guest", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("a guest is answered with %s", answer.Status)
		}
	}
}
