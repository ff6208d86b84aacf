package hook

import (
	"os"
	"strings"
	"testing"
)

// block is the code in docs/hooks.md that begins with this comment: what the document shows is what is
// tested.
func block(t *testing.T, first string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(text), "\n```") {
		_, code, _ := strings.Cut(part, "\n")
		if i%2 == 1 && (strings.HasPrefix(code, first+"\n") || strings.Contains(code, "\n"+first+"\n")) {
			return code + "\n"
		}
	}
	t.Fatalf("docs/hooks.md has no block that begins with %s", first)
	return ""
}
