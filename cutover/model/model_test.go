package model

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"changeover/internal/sandbox"
)

const source = "../../docs/model/cutover.pml"

func TestTheProtocolHolds(t *testing.T) {
	c := newChecker(t)
	for _, r := range append(append([]room(nil), rooms...), weakenings...) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			v := c.check(t, r, quickToRun)
			if v.property != "" {
				t.Fatalf("violated: %s\n%s", v.property, v.trail)
			}
			t.Logf("%d states", v.states)
		})
	}
}

func TestEachBrokenRuleIsRefuted(t *testing.T) {
	c := newChecker(t)
	for _, m := range mutations {
		t.Run(m.rule, func(t *testing.T) {
			t.Parallel()
			v := c.check(t, room{bounds: m.bounds}, quickToCompile)
			if v.property != m.property {
				t.Fatalf("violated is %q, want %q (%d states)\n%s", v.property, m.property, v.states, v.trail)
			}
		})
	}
}

// Each switch of the model that breaks a rule is in the tables above.
func TestNoMutationIsForgotten(t *testing.T) {
	text := read(t, source)
	tried := map[string]bool{}
	for _, m := range mutations {
		tried[m.bounds[0]] = true
	}
	for _, w := range weakenings {
		tried[w.bounds[0]] = true
	}
	for _, name := range regexp.MustCompile(`\b(MUT|WEAK)_[A-Z][A-Z_]+`).FindAllString(text, -1) {
		if !tried[name] {
			t.Errorf("%s is in the model, and nothing tries it", name)
		}
	}
	for _, m := range propertyPattern.FindAllStringSubmatch(text, -1) {
		if property := m[1]; !violated(property) {
			t.Errorf("no mutation violates %q", property)
		}
	}
}

// violated tells whether some mutation shows that the property says something.
func violated(property string) bool {
	return slices.ContainsFunc(mutations, func(m mutation) bool { return m.property == property })
}

// checker runs spin, a C compiler and what they make.
type checker struct {
	spin sandbox.Tool
	cc   string
}

func newChecker(t *testing.T) checker {
	t.Helper()
	cc, err := compiler()
	if err != nil {
		t.Skipf("the model is not checked here: spin's verifier is a C program, and %v", err)
	}
	spin, err := sandbox.FindTool(t.Context(), "spin", nil)
	if err != nil {
		t.Fatal(err)
	}
	return checker{spin: spin, cc: cc}
}

func compiler() (string, error) {
	for _, name := range []string{os.Getenv("CC"), "gcc", "cc"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no C compiler (apt-get install gcc)")
}

// verdict is what the checker found: property is empty if the model holds.
type verdict struct {
	states   int
	property string
	trail    string // what led there, shortened
}

// Two run at the same time, and the larger takes 1 GiB.
const memory = "-DMEMLIM=2000"

// How the verifier is compiled: a refutation is found at once, so it is the compiling that takes time.
const (
	quickToCompile = "-O0"
	quickToRun     = "-O2"
)

func (c checker) check(t *testing.T, r room, optimize string) verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cutover.pml"), []byte(read(t, source)), 0o600); err != nil {
		t.Fatal(err)
	}
	var defines []string
	for _, b := range r.bounds {
		defines = append(defines, "-D"+b)
	}
	in := func(cmd *exec.Cmd) string {
		t.Helper()
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
		}
		return string(out)
	}
	in(c.spin.Command(ctx, append(defines, "-a", "cutover.pml")...))
	in(exec.CommandContext(ctx, c.cc, optimize, "-w", memory, "-DSAFETY", "-o", "pan", "pan.c"))
	v := verdictOf(t, in(exec.CommandContext(ctx, filepath.Join(dir, "pan"), "-m20000", "-w22")))
	if v.property == "?" {
		v.property, v.trail = property(t, in(c.spin.Command(ctx, append(defines, "-t", "-p", "cutover.pml")...)))
	}
	if r.endless && v.property == "" {
		in(exec.CommandContext(ctx, c.cc, optimize, "-w", memory, "-DNP", "-o", "pan", "pan.c"))
		if verdictOf(t, in(exec.CommandContext(ctx, filepath.Join(dir, "pan"), "-l", "-m20000", "-w22"))).property != "" {
			v.property = "every run ends"
		}
	}
	return v
}

var (
	errorsPattern   = regexp.MustCompile(`(?m)errors: (\d+)$`)
	statesPattern   = regexp.MustCompile(`(?m)^\s*(\d+) states, stored`)
	propertyPattern = regexp.MustCompile(`/\* property: ([a-z ]+?) \*/`)
	macroPattern    = regexp.MustCompile(`^#define ([A-Z_]+) assert`)
	linePattern     = regexp.MustCompile(`spin: cutover\.pml:(\d+), Error: assertion violated`)
)

// verdictOf reads what the verifier says. One that gave up early says so among much else.
func verdictOf(t *testing.T, out string) verdict {
	t.Helper()
	found, states := errorsPattern.FindStringSubmatch(out), statesPattern.FindStringSubmatch(out)
	if found == nil || states == nil {
		t.Fatalf("the verifier did not come to an end:\n%s", out)
	}
	v := verdict{}
	v.states, _ = strconv.Atoi(states[1])
	if found[1] != "0" {
		v.property = "?"
	} else if strings.Contains(out, "Search not completed") || strings.Contains(out, "max search depth too small") {
		t.Fatalf("the verifier has not seen everything:\n%s", out)
	}
	return v
}

// property finds in a replayed trail which assertion it violates, and by the model's comment what for.
func property(t *testing.T, replay string) (name, trail string) {
	t.Helper()
	lines := strings.Split(replay, "\n")
	trail = strings.Join(lines[max(0, len(lines)-120):], "\n")
	m := linePattern.FindStringSubmatch(replay)
	if m == nil {
		return "no assertion: somebody waits for ever", trail
	}
	n, _ := strconv.Atoi(m[1])
	model := strings.Split(read(t, source), "\n")
	text := model[n-1]
	for _, line := range model { // where the assertion is a macro's, the line is that of its use
		if macro := macroPattern.FindStringSubmatch(line); macro != nil && strings.Contains(text, macro[1]) {
			text = line
		}
	}
	found := propertyPattern.FindStringSubmatch(text)
	if found == nil {
		return fmt.Sprintf("line %d: %s", n, text), trail
	}
	return found[1], trail
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
