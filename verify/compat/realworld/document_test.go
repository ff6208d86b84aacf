package realworld

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// document is docs/bench/CHECK.md; what it had of the bench, at its end, stays.
func document(results []*result, version, before string) string {
	var b strings.Builder
	fmt.Fprintf(&b, head, time.Now().UTC().Format(time.DateOnly), version)
	var sum result
	for _, x := range results {
		row(&b, x.schema.name, x.schema.of, x.schema.pack, x)
		sum.add(x)
	}
	row(&b, "**all**", "", "", &sum)
	b.WriteString("\n### Each error, and what the server says\n\n| schema | rule | what it says | the server | how often, and where first |\n| --- | --- | --- | --- | --- |\n")
	for _, x := range results {
		for _, l := range byRule(x.verdicts) {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %d, %s |\n", x.schema.name, l.rule, strings.ReplaceAll(l.message, "|", "\\|"), l.says, len(l.places), strings.Join(l.places[:min(3, len(l.places))], ", "))
		}
	}
	b.WriteString("\n### What the server refuses without a word of check\n\n")
	for _, x := range results {
		for _, m := range x.missed {
			fmt.Fprintf(&b, "- %s, %s\n", x.schema.name, m)
		}
	}
	if i := strings.Index(before, benchHead); i >= 0 {
		b.WriteString("\n" + before[i:])
	}
	return b.String()
}

// benchHead is where the bench's figures begin.
const benchHead = "## Checking a schema without a server"

const head = `# What check was tried on

Made on %s by

    CHANGEOVER_CHECK_REPORT=$PWD/docs/bench/CHECK.md go test ./verify/compat/realworld -run NobodyHereWrote -count 1 -timeout 20m

which keeps the part at the end; that is from ` + "`make bench ARGS=\"-run check\"`" + `.

## Schemas that nobody here wrote

Applications' own schema files, out of Debian packages. Each is checked, and then loaded statement by statement into a MySQL %s that
refuses engines other than InnoDB, as Aurora does. **For each error of check the server is asked**: the errno is its answer to that very
statement, "warning" that it took the statement with one (outside of its strict mode, which the schema had set off); what takes a privilege
is asked as an account that has those of Aurora's. An error to which the
server says no fails the test, and so does a statement that the server refuses while check has no word for it, unless it is named below.
What is refused only for want of something refused before is not counted. "By mysqldump" and "by mariadb-dump" are dumps of the same schema after it
was loaded into a MySQL and into a MariaDB, by those servers' own programs.

What the reader made of each statement is compared with information_schema, of the MariaDB too: columns, types, signs, NULL, defaults, comments,
keys with their parts, foreign keys with their actions, what ALTER TABLE adds and drops, and the names of programs, views and indexes.

| schema | of | Debian package | lines | statements | tables | errors | warnings | infos | refused by the server | told as an error | as a warning | not told |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
`

func (x *result) add(y *result) {
	x.lines, x.statements, x.tables = x.lines+y.lines, x.statements+y.statements, x.tables+y.tables
	x.warnings, x.infos, x.refused = x.warnings+y.warnings, x.infos+y.infos, x.refused+y.refused
	x.asError, x.asWarning = x.asError+y.asError, x.asWarning+y.asWarning
	x.verdicts, x.missed = append(x.verdicts, y.verdicts...), append(x.missed, y.missed...)
}

func row(b *strings.Builder, name, of, pack string, x *result) {
	fmt.Fprintf(b, "| %s | %s | %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d |\n", name, of, pack, x.lines, x.statements, x.tables,
		len(x.verdicts), x.warnings, x.infos, x.refused, x.asError, x.asWarning, len(x.missed))
}

// line is what several errors have in common.
type line struct {
	rule, message, says string
	places              []string
}

// byRule are errors by rule, words and answer, in that order.
func byRule(all []verdict) (lines []*line) {
	for _, v := range all {
		f := v.finding
		i := slices.IndexFunc(lines, func(l *line) bool { return l.rule == f.Rule && l.message == f.Message && l.says == v.says })
		if i < 0 {
			i, lines = len(lines), append(lines, &line{rule: f.Rule, message: f.Message, says: v.says})
		}
		lines[i].places = append(lines[i].places, fmt.Sprintf("%s:%d", f.Location.File, f.Location.Line))
	}
	slices.SortStableFunc(lines, func(a, b *line) int {
		return cmp.Or(strings.Compare(a.rule, b.rule), strings.Compare(a.message, b.message), strings.Compare(a.says, b.says))
	})
	return lines
}
