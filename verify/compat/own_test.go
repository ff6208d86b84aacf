package compat

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The platform's own migrations pass on every target. What is deliberately wrong with them is exempted; the warnings
// that remain are right, and these.
func TestOurOwnMigrations(t *testing.T) {
	text, err := os.ReadFile("../../migrations/exemptions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	exemptions, err := ReadExemptions("exemptions.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	exempted := []string{"CHS405 sections", "IDX501 concepts_levels", "TYP316 activities.id"}
	warnings := map[string]int{
		"FK605":   9,  // the platform's parents are deleted with their children; the target has the same keys
		"CUT921":  2,  // steps 10 and 12 run when no server of the old version is left
		"MIG1003": 12, // the first steps make an area's tables together, before anybody uses them
		"MIG1009": 2,  // steps 10 and 13 drop what was copied before
	}
	for _, name := range ProfileNames() {
		t.Run(name, func(t *testing.T) {
			in, err := ReadInput("../../migrations/sql")
			if err != nil {
				t.Fatal(err)
			}
			to, err := LoadProfile(name)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Check(t.Context(), in, Options{To: to, Exemptions: exemptions})
			if err != nil {
				t.Fatal(err)
			}
			got, suppressed := map[string]int{}, map[string]bool{}
			for _, f := range r.Findings {
				switch f.Severity {
				case Error:
					t.Errorf("%+v", f)
				case Warning:
					got[f.Rule]++
				}
			}
			for _, f := range r.Suppressed {
				suppressed[f.Rule+" "+f.Object] = true
			}
			if d := cmp.Diff(warnings, got); d != "" {
				t.Errorf("warnings (-) and those that there are (+):\n%s", d)
			}
			if d := cmp.Diff(exempted, slices.Sorted(maps.Keys(suppressed))); d != "" {
				t.Errorf("exempted (-) and what is (+):\n%s", d)
			}
		})
	}
}
