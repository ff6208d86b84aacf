package compat

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"late-timestamps":  lateTimestamps,
		"zero-rows":        zeroRows,
		"empty-enums":      emptyEnums,
		"check-violations": checkViolations,
		"json-text":        jsonText,
		"misread-text":     misreadText,
		"orphans":          orphans,
	})
}

// sampleRows is how many rows of a table a question looks at, at most: the first that the server comes upon.
const sampleRows = 10_000

// question is what is asked of each row.
type question struct {
	column    string // that it is about, for the finding's object
	condition string // over a row, whose name is sample
	hit       hit
}

// askRows asks all questions about a table in one statement. What is found is counted; no value leaves the server.
// Each row is answered within the sample, since a server writes that down before it counts: with whole columns in it,
// ten thousand long texts would be a temporary table on its disk.
func (c *checker) askRows(o *Object, questions []question, emit func(hit)) {
	if len(questions) == 0 {
		return
	}
	counts, answers := []string{"COUNT(*)"}, []string{}
	for i, q := range questions {
		counts = append(counts, fmt.Sprintf("SUM(q%d)", i))
		answers = append(answers, fmt.Sprintf("(%s) IS TRUE AS q%d", q.condition, i))
	}
	rows, err := c.ask(c.opts.Source, fmt.Sprintf("SELECT %s FROM (SELECT %s FROM %s AS sample LIMIT %d) AS answers",
		strings.Join(counts, ", "), strings.Join(answers, ", "), server.Name(o.Schema, o.Name), sampleRows+1))
	if err != nil {
		c.unchecked("rows of %s: %s", o, reason(err))
		return
	}
	for i, q := range questions {
		if n := count(rows[0][i+1].String); n > 0 {
			q.hit.by, q.hit.object = Data, o.String()
			if q.column != "" {
				q.hit.object += "." + q.column
			}
			q.hit.says = fmt.Sprintf("%s (%d of the rows that were looked at)", q.hit.says, n)
			emit(q.hit)
		}
	}
	if count(rows[0][0].String) > sampleRows {
		c.unchecked("rows of %s: only %d were looked at", o, sampleRows)
	}
}

// rowTables goes through the source's tables if there is leave to look at their rows. Without a source the rule at
// hand is about text.
func (c *checker) rowTables(fn func(*Object, *table)) {
	if c.opts.Source == nil || !c.mayAsk(c.opts.Source, "source", "rows") {
		return
	}
	c.sourceTables(fn)
}

// aboutColumns asks a question of each column of some types.
func (c *checker) aboutColumns(emit func(hit), types []string, ask func(f *ColumnFacts, name string) question) {
	c.rowTables(func(o *Object, _ *table) {
		var questions []question
		for i := range o.Columns {
			f := &o.Columns[i]
			if !slices.Contains(types, f.kind()) {
				continue
			}
			q := ask(f, server.Name(f.Name))
			if q.condition == "" {
				continue
			}
			q.column = f.Name
			questions = append(questions, q)
		}
		c.askRows(o, questions, emit)
	})
}

// lastTimestamp is the last second of MySQL's TIMESTAMP.
const lastTimestamp = 1<<31 - 1

func lateTimestamps(c *checker, emit func(hit)) {
	if p := c.opts.Source; p != nil && p.version().AtLeast(11, 5, 0) { // before, there are none
		c.timestampsAfter(lastTimestamp, emit)
	}
}

func (c *checker) timestampsAfter(second int64, emit func(hit)) {
	c.aboutColumns(emit, []string{"TIMESTAMP"}, func(_ *ColumnFacts, name string) question {
		return question{condition: fmt.Sprintf("UNIX_TIMESTAMP(%s) > %d", name, second),
			hit: hit{evidence: "rows", says: "a time that MySQL's TIMESTAMP does not reach"}}
	})
}

func zeroRows(c *checker, emit func(hit)) {
	c.aboutColumns(emit, []string{"DATE", "DATETIME", "TIMESTAMP"}, func(_ *ColumnFacts, name string) question {
		return question{condition: fmt.Sprintf("MONTH(%s) = 0 OR DAYOFMONTH(%[1]s) = 0", name),
			hit: hit{evidence: "rows", says: "zero dates: under NO_ZERO_DATE and strict mode they can't be written again (1292)"}}
	})
}

func emptyEnums(c *checker, emit func(hit)) {
	c.aboutColumns(emit, []string{"ENUM"}, func(_ *ColumnFacts, name string) question {
		return question{condition: name + " + 0 = 0",
			hit: hit{evidence: "rows", severity: Warning, says: "rows with the empty value that an ENUM gets for one that it has not: in strict mode it can't be written again (1265)"}}
	})
}

// isJSON tells the column of a CHECK that says no more than json_valid(column).
func isJSON(x *origin[ddl.Check]) (column string, ok bool) {
	var tokens []ddl.Token
	for i := x.is.Expr.From; i < x.is.Expr.To && i < len(x.by.Tokens); i++ {
		if t := x.by.Tokens[i]; !t.Is("(", ")") {
			tokens = append(tokens, t)
		}
	}
	if len(tokens) != 2 || !tokens[0].Is("JSON_VALID") {
		return "", false
	}
	return tokens[1].Name(), true
}

func checkViolations(c *checker, emit func(hit)) {
	c.rowTables(func(o *Object, t *table) {
		var questions []question
		for i := range t.checks {
			x := &t.checks[i]
			if _, json := isJSON(x); json || x.is.NotEnforced {
				continue // JSON is MDB221's
			}
			text := x.by.Between(x.is.Expr)
			questions = append(questions, question{condition: "NOT " + text, hit: hit{severity: Error, evidence: "CHECK " + shorten(text), whole: "CHECK " + text, says: "rows break the CHECK: the target refuses them (3819)"}})
		}
		c.askRows(o, questions, emit)
	})
}

func jsonText(c *checker, emit func(hit)) {
	if !c.sourceSeen() {
		return
	}
	ask := c.mayAsk(c.opts.Source, "source", "rows")
	c.sourceTables(func(o *Object, t *table) {
		var questions []question
		for i := range t.checks {
			column, ok := isJSON(&t.checks[i])
			if !ok {
				continue
			}
			emit(hit{by: Live, object: o.String() + "." + column, evidence: "json_valid"})
			name := server.Name(column)
			questions = append(questions, question{column: column, condition: "NOT JSON_VALID(" + name + ")",
				hit: hit{severity: Error, evidence: "rows", says: "rows that are no JSON: a JSON column of the target refuses them"}})
		}
		if ask {
			c.askRows(o, questions, emit)
		}
	})
}

// textStart is how much of a long text is looked at, in characters.
const textStart = 1000

func misreadText(c *checker, emit func(hit)) {
	c.aboutColumns(emit, []string{"CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT"}, func(f *ColumnFacts, name string) question {
		q, name := question{}, fmt.Sprintf("LEFT(%s, %d)", name, textStart)
		charset, _, _ := strings.Cut(f.Collation, "_")
		switch charset {
		case "latin1":
			q.condition = readsAsUTF8("CONVERT(" + name + " USING binary)")
			q.hit = hit{evidence: "latin1 with UTF-8 in it", says: "text of latin1 whose bytes are UTF-8"}
		case "utf8", "utf8mb3", "utf8mb4":
			latin := "CONVERT(" + name + " USING latin1)"
			q.condition = fmt.Sprintf("CONVERT(CONVERT(%s USING %s) USING binary) = CONVERT(%s USING binary) AND %s", latin, charset, name, readsAsUTF8("CONVERT("+latin+" USING binary)"))
			q.hit = hit{evidence: "UTF-8 twice", says: "text that was made UTF-8 twice"}
		}
		return q
	})
}

// readsAsUTF8 is the condition that bytes are UTF-8 with more than ASCII in it. Servers make NULL or question marks
// of bytes that are not.
func readsAsUTF8(bytes string) string {
	utf8 := "CONVERT(" + bytes + " USING utf8mb4)"
	return fmt.Sprintf("CONVERT(%s USING binary) = %s AND CHAR_LENGTH(%[1]s) < LENGTH(%[2]s)", utf8, bytes)
}

func orphans(c *checker, emit func(hit)) {
	if c.opts.Source == nil {
		return
	}
	all := c.stateOf(c.opts.Source)
	c.rowTables(func(o *Object, t *table) {
		for i := range t.keys {
			k := &t.keys[i].is
			if k.Kind != ddl.Foreign || len(k.Parts) != len(k.RefColumns) {
				continue
			}
			schema := k.RefSchema
			if schema == "" {
				schema = t.schema
			}
			if all.tables[keyOf(schema, k.RefTable)] == nil {
				c.unchecked("rows of %s: the parent %s.%s was not looked at", o, schema, k.RefTable)
				continue
			}
			c.orphansOf(o, k, server.Name(schema, k.RefTable), emit)
		}
	})
}

// orphansOf looks for each row of a sample in the parent, by the key that the parent must have for it.
func (c *checker) orphansOf(o *Object, k *ddl.Key, parent string, emit func(hit)) {
	var full, same []string
	for i, p := range k.Parts {
		name := server.Name(p.Column)
		full = append(full, "sample."+name+" IS NOT NULL")
		same = append(same, "parent."+server.Name(k.RefColumns[i])+" = sample."+name)
	}
	lonely := strings.Join(full, " AND ") + " AND NOT EXISTS (SELECT 1 FROM " + parent + " AS parent WHERE " + strings.Join(same, " AND ") + ")"
	c.askRows(o, []question{{condition: lonely, hit: hit{evidence: "FOREIGN KEY " + k.Name, says: "rows without their parent in " + k.RefTable}}}, emit)
}
