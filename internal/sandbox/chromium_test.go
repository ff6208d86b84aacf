package sandbox_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheBrowserShowsEveryScript lets a page compare what it draws with the box that is drawn for
// a character that no font has.
func TestTheBrowserShowsEveryScript(t *testing.T) {
	const page = `<!doctype html><meta charset="utf-8"><p></p><script>
const c = document.createElement("canvas").getContext("2d", {willReadFrequently: true})
c.canvas.width = c.canvas.height = 48
function drawn(text) {
	c.clearRect(0, 0, 48, 48)
	c.font = "32px sans-serif"
	c.fillText(text, 4, 38)
	return c.getImageData(0, 0, 48, 48).data.join()
}
const missing = drawn("\u{10FFFD}"), nothing = drawn("")
const boxes = [..."aЖΩԱქአعעچहதతకമগਪસอລမខབ中語한😀🎉"].filter(s => [missing, nothing].includes(drawn(s)))
document.querySelector("p").textContent = boxes.length ? "no font for " + boxes : "every script"
</script>`
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := tool(t, "chromium").Command(t.Context(), "--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+path)
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "<p>every script</p>") {
		t.Errorf("%v: %s", err, out)
	}
}
