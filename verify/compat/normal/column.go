package normal

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"changeover/verify/compat/ddl"
)

// Families of types, by the first word of a kind.
var (
	integers  = set("tinyint smallint mediumint int bigint")
	numbers   = set("tinyint smallint mediumint int bigint decimal float double year")
	floats    = set("float double")
	textual   = set("char varchar tinytext text mediumtext longtext enum set")
	binaries  = set("binary varbinary tinyblob blob mediumblob longblob")
	unvalued  = set("tinytext text mediumtext longtext tinyblob blob mediumblob longblob json geometry point linestring polygon multipoint multilinestring multipolygon geometrycollection")
	moments   = set("datetime timestamp")
	renamings = map[string]string{"geomcollection": "geometrycollection", "integer": "int", "numeric": "decimal", "real": "double"}
)

// family is the first word of a kind: of "int unsigned", "int".
func family(kind string) string {
	if i := strings.IndexAny(kind, " ("); i >= 0 {
		return kind[:i]
	}
	return kind
}

// column reads a column of a table whose options are read.
func (r *reader) column(t *table, o *Object, st *ddl.Statement, c *ddl.Column) *column {
	n := &column{name: c.Name, kind: kindOf(c), notNull: c.Null == ddl.NotNull, onUpdate: r.text(o, st, c.OnUpdate), auto: c.Auto,
		generated: r.text(o, st, c.Generated), stored: c.Stored, invisible: c.Invisible, comment: c.Comment}
	if textual[family(n.kind)] {
		switch {
		case c.Collation != "":
			n.collation = collationName(c.Collation)
		case c.Charset != "":
			n.collation = r.collationOf(c.Charset)
		default:
			n.collation = t.collation
		}
	}
	if c.SRID.From < c.SRID.To {
		n.srid = st.Tokens[c.SRID.To-1].Text
	}
	if slices.ContainsFunc(c.Rest, func(i int) bool { return st.Tokens[i].Is("ROW") }) { // when a version of it began or ended
		n.notNull = true
	}
	n.packed = slices.ContainsFunc(c.Rest, func(i int) bool { return st.Tokens[i].Is("COMPRESSED") })
	n.value = r.value(n, o, st, c)
	return n
}

// kindOf is a type without the width that only clients ever read. One of them is kept that clients take for a
// boolean, and those of ZEROFILL, which fill up to it.
func kindOf(c *ddl.Column) string {
	kind := strings.ToLower(c.Type)
	if as := renamings[kind]; as != "" {
		kind = as
	}
	args := slices.Clone(c.Args)
	for i, a := range args {
		if a != "" && (a[0] == '\'' || a[0] == '"') {
			args[i] = quote(ddl.Token{Kind: ddl.String, Text: a}.Value())
		}
	}
	boolean := kind == "tinyint" && !c.Unsigned && len(args) == 1 && args[0] == "1"
	if kind == "year" || integers[kind] && !c.Zerofill && !boolean {
		args = nil
	}
	if len(args) > 0 {
		kind += "(" + strings.Join(args, ",") + ")"
	}
	if c.Unsigned {
		kind += " unsigned"
	}
	if c.Zerofill {
		kind += " zerofill"
	}
	return kind
}

// noDefault is the form of a column that may be NULL and yet must be given, which MySQL knows.
const noDefault = "none"

// value reads a DEFAULT. That of a text or a blob which is NULL is not shown by MySQL, so it is the same as none.
func (r *reader) value(n *column, o *Object, st *ddl.Statement, c *ddl.Column) value {
	t := r.text(o, st, c.Default)
	open := !n.notNull && !n.auto && !n.generated.is() && !unvalued[family(n.kind)]
	switch {
	case !t.is() && open:
		return value{text: text{form: noDefault}, literal: true}
	case !t.is(), t.form == "null":
		return value{literal: true}
	}
	if l, ok := literal(n, t.form); ok {
		return value{text: text{shown: t.shown, form: l}, literal: true}
	}
	return value{text: t}
}

// literal is a literal as its column takes it; false if the form is none.
func literal(n *column, form string) (string, bool) {
	kind := family(n.kind)
	quoted := len(form) > 1 && form[0] == '\'' && form[len(form)-1] == '\'' && !strings.Contains(strings.ReplaceAll(form[1:len(form)-1], "''", ""), "'")
	content := form
	if quoted {
		content = strings.ReplaceAll(form[1:len(form)-1], "''", "'")
	}
	switch {
	case kind == "bit":
		return bits(content)
	case numbers[kind]:
		return numberIn(kind, content)
	case quoted:
		return form, true
	case strings.HasPrefix(form, "0x"), strings.HasPrefix(form, "x'"):
		return decoded(n, form), true
	}
	if _, ok := numberIn("decimal", form); ok {
		return quote(form), true
	}
	return "", false
}

// numberIn is a number as a column of this type takes it.
func numberIn(kind, s string) (string, bool) {
	sign, digits := "", s
	if strings.HasPrefix(s, "-") {
		sign, digits = "-", s[1:]
	}
	if digits == "" || strings.Trim(digits, "0123456789.e+-") != "" || !strings.ContainsAny(digits, "0123456789") {
		return "", false
	}
	if floats[kind] {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return strconv.FormatFloat(f, 'g', -1, 64), true
		}
	}
	return sign + numeral(digits), true
}

// bits is a value of BIT in the spelling b'101'.
func bits(s string) (string, bool) {
	if rest, ok := strings.CutPrefix(strings.ToLower(s), "b'"); ok {
		return "b'" + strings.TrimLeft(strings.TrimSuffix(rest, "'"), "0") + "'", true
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return "b'" + strings.TrimLeft(strconv.FormatUint(n, 2), "0") + "'", true
	}
	return "", false
}

// decoded is the string that bytes are in the column's character set: MySQL shows one in hex that its own
// dictionary, which is utf8mb3, can't hold.
func decoded(n *column, form string) string {
	b, err := hex.DecodeString(strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(form, "0x"), "x'"), "'"))
	unicode := strings.HasPrefix(n.collation, "utf8") || strings.HasPrefix(n.collation, "ascii") || binaries[family(n.kind)]
	if err != nil || !unicode || !utf8.Valid(b) {
		return form
	}
	return quote(string(b))
}
