package cdc

import (
	"changeover/cdc/source"
	"changeover/cdc/state"
)

// ours knows the transactions that a migration's own appliers wrote, by the row that each of them
// begins with. Those of another migration are not ours: what that one brings here is to be carried on.
//
// Without it two streams that go to and fro between two servers would carry each change for ever.
func ours(migration string) func(*source.Rows) bool {
	return func(e *source.Rows) bool {
		if e.Schema != state.Database || !state.Ours(e.Table) {
			return false
		}
		for _, image := range e.Images {
			if len(image) > 0 && text(image[0]) == migration {
				return true
			}
		}
		return false
	}
}

// ownTable tells the tables of `_changeover` whose rows the reader decodes: watermarks, and what ours
// goes by.
func ownTable(schema, table string) bool {
	return schema == state.Database && (table == watermarkTable || state.Ours(table))
}
