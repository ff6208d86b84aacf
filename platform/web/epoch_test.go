package web_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"testing"
	"time"

	"changeover/cutover/gate"
	"changeover/platform/platformtest"
)

// Somebody is answered by whichever server the load balancer picks, and one of them has not heard of the flip.
func TestABrowserFindsWhatItWasToldIsSavedWhicheverServerAnswers(t *testing.T) {
	t.Parallel()
	p := platformtest.NewPair(t)
	p.Replicate(t)
	_, flipped := p.Serve(t)
	_, behind := p.Serve(t, func(c *gate.Config) { c.Bus, c.Follow = nil, time.Hour })
	p.Flip(t, platformtest.Held)
	p.Stale(t, p.Source())

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar} // its cookies are the host's, whatever the port
	post(t, browser, flipped+"/api/guest", body{"op": newOp(), "session": newToken(), "locale": "en"})
	ran := post(t, browser, flipped+"/api/run", body{"op": newOp(), "script": "maze", "level": 1, "program": "{}", "result": 20, "timeMs": 1, "lines": 3})
	if _, status := me(t, &http.Client{Jar: without(t, jar, flipped, "epoch")}, behind); status != http.StatusUnauthorized {
		t.Fatalf("the server that has heard nothing answers %d: this test shows nothing", status)
	}
	lines, status := me(t, browser, behind)
	if status != http.StatusOK || lines != 3 {
		t.Errorf("the other server answers %d, with %d lines; acknowledged: %v", status, lines, ran)
	}
}

func post(t *testing.T, c *http.Client, url string, in body) body {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	out := body{}
	if err != nil || res.StatusCode != http.StatusOK || json.Unmarshal(raw, &out) != nil || res.Header.Get("Epoch") != "2" {
		t.Fatalf("%s: %d, epoch %s: %s", url, res.StatusCode, res.Header.Get("Epoch"), raw)
	}
	return out
}

func me(t *testing.T, c *http.Client, url string) (lines, status int) {
	t.Helper()
	res, err := c.Get(url + "/api/me")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var out struct {
		User struct {
			TotalLines int `json:"totalLines"`
		} `json:"user"`
	}
	_ = json.NewDecoder(res.Body).Decode(&out)
	return out.User.TotalLines, res.StatusCode
}

// without is the jar without a cookie that must be in it.
func without(t *testing.T, jar http.CookieJar, url, name string) http.CookieJar {
	t.Helper()
	less, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	var kept []*http.Cookie
	found := ""
	for _, c := range jar.Cookies(r.URL) {
		if found += fmt.Sprint(c.Name, "=", c.Value, " "); c.Name != name {
			kept = append(kept, c)
		}
	}
	if less.SetCookies(r.URL, kept); len(kept) != 1 {
		t.Fatalf("the browser has the cookies %s", found)
	}
	return less
}
