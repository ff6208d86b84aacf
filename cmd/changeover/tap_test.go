package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// What an operator runs can't be told to die: the hook for that is in no binary that is built without its tag.
func TestNoOperatorsBinaryHasTheTestsHook(t *testing.T) {
	source, err := os.ReadFile("tap_chaos.go")
	if err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`chaosVariable = "(\w+)"`).FindSubmatch(source)
	if variable == nil {
		t.Fatal("tap_chaos.go does not say which variable it reads")
	}
	file := filepath.Join(t.TempDir(), "changeover")
	if out, err := exec.Command("go", "build", "-o", file, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(program, variable[1]) {
		t.Errorf("the binary knows %s", variable[1])
	}
}
