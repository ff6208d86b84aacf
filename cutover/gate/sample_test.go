package gate_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changeover/cutover/gate"
	"changeover/internal/sandbox"
	"changeover/internal/sandbox/sandboxtest"
)

// golang runs the go command in dir. Nothing is downloaded: what the sample needs, the tests of this module need too.
func golang(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOSUMDB=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestTheGateImportsTheStandardLibraryAlone(t *testing.T) {
	t.Parallel()
	for _, name := range strings.Fields(golang(t, ".", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")) {
		if name != "changeover/cutover/gate" {
			t.Errorf("it imports %s", name)
		}
	}
}

// TestAnApplicationInAModuleOfItsOwn builds the sample outside this module, sees that no server comes along, and runs it.
func TestAnApplicationInAModuleOfItsOwn(t *testing.T) {
	t.Parallel()
	const dir = "testdata/sample"
	program := filepath.Join(t.TempDir(), "sample")
	golang(t, dir, "build", "-o", program, ".") // if it wants updates of go.mod: go mod tidy, there
	for _, name := range strings.Fields(golang(t, dir, "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")) {
		if strings.Contains(name, "nats-server") || strings.HasPrefix(name, "changeover/") && name != "changeover/cutover/gate" && name != "changeover/cutover/bus" && !allowed[name] {
			t.Errorf("%s comes along", name)
		}
	}

	if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err != nil || strings.Contains(string(text), "nats-server") {
		t.Errorf("its go.mod has a server: %v", err)
	}

	source, target := sandboxtest.MySQLSource(t), sandboxtest.Target(t)
	name := source.Database(t)
	const timeouts = "?timeout=3s&readTimeout=10s"
	out, err := exec.CommandContext(soon(t), program, "sample", source.DSN(sandbox.App, name)+timeouts, target.DSN(sandbox.App, "")+timeouts).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "1 notes; the writer is the "+string(gate.Source)+"\n") {
		t.Errorf("the sample: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(soon(t), program, "sample", source.DSN(sandbox.App, name), target.DSN(sandbox.App, "")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "readTimeout") {
		t.Errorf("a DSN without readTimeout: %v\n%s", err, out)
	}
}

// allowed is what cutover/bus needs of this module.
var allowed = map[string]bool{"changeover/internal/fault": true}
