package lang

import "strings"

// Row says how much of a language is there.
type Row struct {
	Tag, Name string
	// Own counts our own strings that are translated, of OwnTotal; the administrator's pages are in
	// English only and count in neither.
	Own, OwnTotal int
	// Blockly counts the strings of Blockly that a puzzle shows and Blockly's locale has, of BlocklyTotal.
	Blockly, BlocklyTotal int
}

// blocklyCounts is strings/blockly.json, made by blocklycount.
type blocklyCounts struct {
	Version string         `json:"version"`
	Total   int            `json:"total"`
	Have    map[string]int `json:"have"` // by Blockly's name of the locale
}

// Coverage counts every language string by string, in the order of [All].
//
// A text that equals the English one is no translation, whatever file it is in: else a copy of the
// English file would count as a language. Where the two words really are the same (French has
// "Page" too) strings/same.json names the key.
func Coverage() []Row {
	c := read()
	rows := make([]Row, 0, len(locales))
	for _, l := range locales {
		row := Row{Tag: l.Tag, Name: l.Name, Blockly: c.blockly.Have[l.Blockly], BlocklyTotal: c.blockly.Total}
		own := c.byTag[l.Tag].own
		for key, english := range c.english {
			if !translatable(key) {
				continue
			}
			row.OwnTotal++
			text, ok := own[key]
			if ok && (l.Tag == English || text != english || c.same[l.Tag][key]) {
				row.Own++
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// translatable is false for what only the people who run the platform see: they read English logs too.
func translatable(key string) bool { return !strings.HasPrefix(key, "admin.") }
