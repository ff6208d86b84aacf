package compat

import (
	"os"
	"testing"
)

// The platform's own migrations pass, with what is meant to be there exempted and nothing else.
func TestOurOwnMigrations(t *testing.T) {
	text, err := os.ReadFile("../../migrations/exemptions.yaml")
	if err != nil {
		t.Fatal(err)
	}
	exemptions, err := ReadExemptions("exemptions.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range ProfileNames() {
		in, err := ReadInput("../../migrations/sql")
		if err != nil {
			t.Fatal(err)
		}
		to, err := LoadProfile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Check(in, Options{To: to, Exemptions: exemptions})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Findings {
			if f.Severity == Error {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if len(r.Suppressed) < len(exemptions) {
			t.Errorf("%s: %d exempted", name, len(r.Suppressed))
		}
	}
}
