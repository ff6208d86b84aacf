package schema

import (
	"fmt"
	"maps"
	"slices"
)

// ActionKey is a foreign key whose rule changes children: CASCADE, SET NULL, SET DEFAULT.
type ActionKey struct {
	Name, Child, Parent string // the tables as database.table
	// Cascades: it deletes children and does nothing else.
	Cascades bool
	// Empties: when the parent is deleted it sets NULL in children, and does nothing else.
	Empties bool
}

// Unfaithful says which of the keys a target can't be trusted to carry out by itself, each in words:
// those by which one change reaches a table twice. MySQL 9.7 then leaves out the second (seen: of a
// table with ON DELETE CASCADE and ON DELETE SET NULL to one parent, the rows that were to become NULL
// keep their values; and so in a ring of two tables). A table that only deletes its own rows is fine,
// and so is one that only sets NULL in its own rows, by one key: that goes no further.
func Unfaithful(keys []ActionKey) []string {
	var out []string
	from := map[string]bool{}
	for _, k := range keys {
		from[k.Parent] = true
	}
	for _, parent := range slices.Sorted(maps.Keys(from)) {
		out = append(out, unfaithfulFrom(parent, keys)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// unfaithfulFrom follows a change of one table.
func unfaithfulFrom(parent string, keys []ActionKey) []string {
	reached := map[string]ActionKey{} // by which key first
	var out []string
	next := []string{parent}
	seen := map[string]bool{parent: true}
	for len(next) > 0 {
		table := next[0]
		next = next[1:]
		for _, k := range keys {
			if k.Parent != table {
				continue
			}
			before, twice := reached[k.Child]
			switch {
			case k.Child == k.Parent && k.Cascades:
				continue
			case k.Child == k.Parent && k.Empties && !twice:
			case k.Child == parent:
				out = append(out, fmt.Sprintf("a change of %s comes back to it by %s", parent, k.Name))
			case twice && before.Name != k.Name:
				out = append(out, fmt.Sprintf("a change of %s reaches %s by %s and by %s", parent, k.Child, before.Name, k.Name))
			}
			reached[k.Child] = k
			if !seen[k.Child] {
				seen[k.Child] = true
				next = append(next, k.Child)
			}
		}
	}
	return out
}
