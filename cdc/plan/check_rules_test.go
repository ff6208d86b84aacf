package plan

import (
	"strings"
	"testing"

	"changeover/internal/fault"
	"changeover/verify/compat"
)

// A rule or code that is not there any more would let plan say a thing twice, or not at all.
func TestWhatPlanTellsItselfIsThere(t *testing.T) {
	for what, code := range told {
		id, _, _ := strings.Cut(what, " ")
		if _, ok := compat.RuleByID(id); !ok {
			t.Errorf("there is no rule %s", id)
		}
		if _, ok := fault.Lookup(code); !ok {
			t.Errorf("%s: there is no code %s", id, code)
		}
	}
}
