package main

import (
	"os/exec"
	"strings"
	"testing"
)

// An application that is moved carries the gate, not the mover: what it links of Changeover is what any other application would.
func TestAnApplicationServerCarriesTheGateAndNothingElseOfChangeover(t *testing.T) {
	for program, may := range map[string][]string{
		"changeover/platform/web":   {"changeover/cutover/gate"},
		"changeover/platform/store": {"changeover/cutover/gate"},
		"changeover/cmd/platform":   {"changeover/cutover/gate", "changeover/cutover/bus"},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", program).Output()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, dep := range strings.Fields(string(out)) {
			for _, room := range []string{"changeover/cutover", "changeover/cdc", "changeover/verify", "changeover/internal/sandbox", "github.com/nats-io/nats-server"} {
				if dep == room || strings.HasPrefix(dep, room+"/") {
					found[dep] = true
				}
			}
		}
		for _, dep := range may {
			if !found[dep] {
				t.Errorf("%s does not import %s: this test shows nothing", program, dep)
			}
			delete(found, dep)
		}
		for dep := range found {
			t.Errorf("%s imports %s", program, dep)
		}
	}
}
