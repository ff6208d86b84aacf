package web_test

import (
	"bytes"
	"image"
	"image/png"
	"io"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/platform/platformtest"
)

func TestAProjectsFilesAreKeptOnceAndServedSafely(t *testing.T) {
	t.Parallel()
	p := platformtest.New(t, sandboxtest.MySQLSource(t))
	_, url := p.Serve(t)
	mine, other := guest(t, url), guest(t, url)
	id := uuid.NewString()
	mine.must("POST", "/api/projects", body{"op": newOp(), "uuid": id, "kind": "applab", "title": "App", "source": body{}})
	file := "/api/projects/" + id + "/assets/my%20cat%20%F0%9F%90%88.png"
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 200, 50))); err != nil {
		t.Fatal(err)
	}
	op := newOp()
	for try := range 2 {
		if a := mine.do("PUT", file+"?op="+op, picture.Bytes(), "Content-Type", "image/png"); a.status != 200 || a.replayed != (try == 1) {
			t.Fatal(try, a)
		}
	}
	for what, a := range map[string]answer{
		"another body, same operation": mine.do("PUT", file+"?op="+op, append(picture.Bytes(), 0), "Content-Type", "image/png"),
		"another's project":            other.do("PUT", file+"?op="+newOp(), picture.Bytes(), "Content-Type", "image/png"),
		"no session":                   (&browser{t: t, url: url}).do("PUT", file+"?op="+newOp(), picture.Bytes(), "Content-Type", "image/png"),
		"no picture":                   mine.do("PUT", file+"?op="+newOp(), []byte("<script>"), "Content-Type", "image/png"),
		"a page":                       mine.do("PUT", file+"?op="+newOp(), []byte("<script>"), "Content-Type", "text/html"),
		"too much":                     mine.do("PUT", file+"?op="+newOp(), make([]byte, 9<<20), "Content-Type", "image/png"),
		"no operation":                 mine.do("PUT", file, picture.Bytes(), "Content-Type", "image/png"),
		"another site":                 mine.do("PUT", file+"?op="+newOp(), picture.Bytes(), "Content-Type", "image/png", "Sec-Fetch-Site", "cross-site"),
	} {
		if a.status < 400 || a.status >= 500 {
			t.Errorf("with %s: %d %v", what, a.status, a.body)
		}
	}
	get := func(b *browser, headers ...string) (*http.Response, []byte) {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", url+file, nil)
		r.AddCookie(&http.Cookie{Name: "session", Value: b.session})
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		raw, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, raw
	}
	res, raw := get(mine)
	if res.StatusCode != 200 || !bytes.Equal(raw, picture.Bytes()) || res.Header.Get("Content-Type") != "image/png" ||
		res.Header.Get("Content-Security-Policy") != "default-src 'none'; sandbox" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d, %d bytes, %v", res.StatusCode, len(raw), res.Header)
	}
	if again, _ := get(mine, "If-None-Match", res.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %d", again.StatusCode)
	}
	if theirs, _ := get(other); theirs.StatusCode != http.StatusForbidden {
		t.Errorf("another's: %d", theirs.StatusCode)
	}
	if n := p.Int(t, "SELECT LENGTH(preview) FROM project_assets"); n == 0 {
		t.Error("there is no preview")
	}
	for range 2 {
		mine.must("DELETE", file, body{"op": newOp()})
	}
	if gone, _ := get(mine); gone.StatusCode != http.StatusNotFound {
		t.Errorf("deleted: %d", gone.StatusCode)
	}
}
