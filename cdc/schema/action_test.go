package schema

import "testing"

func TestActionsThatReachATableTwiceAreNamed(t *testing.T) {
	key := func(name, child, parent string) ActionKey { return ActionKey{Name: name, Child: child, Parent: parent} }
	for name, c := range map[string]struct {
		keys []ActionKey
		bad  bool
	}{
		"a chain":                      {[]ActionKey{key("1", "b", "a"), key("2", "c", "b"), key("3", "d", "b")}, false},
		"two parents":                  {[]ActionKey{key("1", "c", "a"), key("2", "c", "b")}, false},
		"two keys to one parent":       {[]ActionKey{key("1", "b", "a"), key("2", "b", "a")}, true},
		"a diamond":                    {[]ActionKey{key("1", "b", "a"), key("2", "c", "a"), key("3", "d", "b"), key("4", "d", "c")}, true},
		"a ring":                       {[]ActionKey{key("1", "b", "a"), key("2", "a", "b")}, true},
		"a tree that sets NULL always": {[]ActionKey{key("1", "a", "a")}, true},
		"a tree that deletes":          {[]ActionKey{{Name: "1", Child: "a", Parent: "a", Cascades: true}}, false},
		"a tree that sets NULL once":   {[]ActionKey{{Name: "1", Child: "a", Parent: "a", Empties: true}}, false},
		"a tree that sets two to NULL": {[]ActionKey{{Name: "1", Child: "a", Parent: "a", Empties: true}, {Name: "2", Child: "a", Parent: "a", Empties: true}}, true},
		"NULLs under a parent":         {[]ActionKey{key("1", "b", "a"), {Name: "2", Child: "b", Parent: "b", Empties: true}}, true},
		"a tree with children":         {[]ActionKey{{Name: "1", Child: "a", Parent: "a", Empties: true}, {Name: "2", Child: "b", Parent: "a", Cascades: true}, key("3", "c", "b")}, false},
		"a tree under a parent":        {[]ActionKey{key("1", "b", "a"), {Name: "2", Child: "b", Parent: "b", Cascades: true}}, false},
		"a key and its parent's child": {[]ActionKey{key("1", "b", "a"), key("2", "c", "b"), key("3", "c", "a")}, true},
	} {
		if got := Unfaithful(c.keys); len(got) > 0 != c.bad {
			t.Errorf("%s: %q", name, got)
		}
	}
}
