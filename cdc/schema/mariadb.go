package schema

import (
	"encoding/hex"
	"slices"
	"strings"
)

// column translates a column of MariaDB's. What it prints, in this order:
//
//	`c` type /*M!100301 COMPRESSED*/ CHARACTER SET x COLLATE y GENERATED ALWAYS AS (…) STORED
//	NOT NULL INVISIBLE WITHOUT SYSTEM VERSIONING DEFAULT … ON UPDATE … AUTO_INCREMENT COMMENT '…'
//	CHECK (…)
func (tr *translator) column(r *rewrite, name string) {
	typ := strings.ToLower(r.at(1).text)
	tr.columnType(r, name, typ)
	for i, t := range r.tokens {
		switch {
		case t.is("COMPRESSED") && strings.HasPrefix(r.at(i-1).text, "/*M!"):
			tr.problem("column %s is COMPRESSED: its values can't be read from the binlog", name)
		case strings.HasPrefix(t.text, "/*M!") && !r.at(i+1).is("COMPRESSED"):
			tr.problem("column %s has an attribute of MariaDB's own: %s", name, shorten(r.sql))
		case matches(r.tokens[i:], "AS", "ROW", "START"), matches(r.tokens[i:], "AS", "ROW", "END"):
			tr.problem("column %s belongs to the table's system versioning", name)
		case matches(r.tokens[i:], "WITHOUT", "SYSTEM", "VERSIONING"), matches(r.tokens[i:], "WITH", "SYSTEM", "VERSIONING"):
			r.drop(i, i+3)
		case t.is("PERSISTENT"):
			r.replace(i, i+1, "STORED")
		case t.is("REF_SYSTEM_ID"):
			tr.note("REF_SYSTEM_ID of column %s is left out", name)
			r.drop(i, min(i+3, len(r.tokens)))
		}
	}
	if at := r.find(2, "DEFAULT"); at > 0 {
		tr.defaultValue(r, name, typ, at+1)
	}
	if at := r.find(2, "CHECK", "(", "json_valid", "("); at > 0 && r.at(at+5).is(")") && r.at(at+6).is(")") {
		// MariaDB takes text for JSON that MySQL does not (1e400), and what is there must be carried.
		tr.note("CHECK (json_valid(%s)) is left out: MySQL's idea of JSON is not MariaDB's", name)
		r.drop(at, at+7)
	}
	if at := r.find(2, "ON", "UPDATE"); at > 0 {
		tr.onUpdate(r, name, at+2)
	}
}

// columnType translates the type. Widths of integers say nothing and MySQL no longer prints them,
// except tinyint(1), which drivers take for a bool, and with ZEROFILL.
func (tr *translator) columnType(r *rewrite, name, typ string) {
	switch typ {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year":
		plain := r.find(2, "ZEROFILL") < 0 && !(typ == "tinyint" && r.at(3).is("1"))
		if plain && r.at(2).is("(") {
			r.drop(2, 5)
		}
	case "uuid":
		tr.retype(r, name, typ, "char(36) CHARACTER SET ascii COLLATE ascii_general_ci")
	case "inet6":
		tr.retype(r, name, typ, "varchar(45) CHARACTER SET ascii COLLATE ascii_general_ci")
	case "inet4":
		tr.retype(r, name, typ, "varchar(15) CHARACTER SET ascii COLLATE ascii_general_ci")
	case "json": // what MariaDB calls JSON is this; it prints it so, but a statement may say JSON
		r.replace(1, 2, "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	case "vector", "xmltype":
		tr.problem("column %s has the type %s", name, typ)
	}
}

func (tr *translator) retype(r *rewrite, name, from, to string) {
	text, _, _ := strings.Cut(to, " ")
	tr.note("column %s: type %s becomes %s, the same text in another order", name, from, text)
	r.replace(1, 2, to)
}

// defaultValue translates the default that begins at from: MySQL takes a literal, or the current
// time where the column has one, as it is; everything else is an expression and needs
// parentheses, and so does a literal for a TEXT, BLOB or JSON.
func (tr *translator) defaultValue(r *rewrite, name, typ string, from int) {
	to := r.endOfDefault(from)
	switch {
	case to <= from || r.at(from).is("NULL"):
	case r.find(from, "NEXTVAL") == from || r.find(from, "NEXT", "VALUE") == from:
		tr.problem("the default of column %s is the next value of a sequence; MySQL has no sequences", name)
	case isCurrentTime(r.at(from)):
		if (typ != "datetime" && typ != "timestamp") || r.digits(from) != r.typeDigits() {
			r.wrap(from, to)
		}
	case r.at(from).is("(") && closing(r.tokens, from) == to-1:
	case isLiteral(r.tokens[from:to]):
		r.literalDefault(typ, from, to)
	default:
		r.wrap(from, to)
	}
}

// endOfDefault is the place after a default's last token.
func (r *rewrite) endOfDefault(from int) int {
	last := len(r.tokens)
	for _, next := range [][]string{{"ON", "UPDATE"}, {"COMMENT"}, {"CHECK"}, {"INVISIBLE"}, {"AUTO_INCREMENT"}, {"WITHOUT", "SYSTEM"}, {"WITH", "SYSTEM"},
		// Where people put the default before the rest:
		{"NOT", "NULL"}, {"UNIQUE"}, {"PRIMARY"}, {"KEY"}, {"COLLATE"}, {"REFERENCES"}, {"VISIBLE"}} {
		if at := r.find(from, next...); at >= 0 {
			last = min(last, at)
		}
	}
	return last
}

// literalDefault writes bytes as bytes: MariaDB prints a binary default as if it were text.
func (r *rewrite) literalDefault(typ string, from, to int) {
	literal := r.between(from, to)
	if value, ok := r.at(from).literal(); ok && len(value) > 0 && (strings.HasSuffix(typ, "binary") || strings.HasSuffix(typ, "blob")) {
		literal = "0x" + strings.ToUpper(hex.EncodeToString(value))
	}
	if isLong(typ) {
		literal = "(" + literal + ")"
	}
	if literal != r.between(from, to) {
		r.replace(from, to, literal)
	}
}

// isLiteral: a string or a number, with its sign.
func isLiteral(tokens []token) bool {
	if len(tokens) > 1 && tokens[0].is("-", "+") {
		tokens = tokens[1:]
	}
	first := tokens[0]
	if len(tokens) == 1 && first.kind == text {
		return true
	}
	// 1.50 is three tokens, 1e-7 too
	return first.kind == word && first.text[0] >= '0' && first.text[0] <= '9' &&
		!slices.ContainsFunc(tokens, func(t token) bool { return !t.is(".", "-", "+") && t.kind != word })
}

func isCurrentTime(t token) bool {
	return t.is("CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP")
}

// digits are those of current_timestamp(n) at i, and of a type: 0 if there is no number.
func (r *rewrite) digits(i int) string {
	if r.at(i+1).is("(") && r.at(i+2).kind == word {
		return r.at(i + 2).text
	}
	return "0"
}

// typeDigits are the fractional digits of a column's datetime(n) or timestamp(n).
func (r *rewrite) typeDigits() string { return r.digits(1) }

// onUpdate gives ON UPDATE current_timestamp as many digits as the type has: MySQL takes no others.
func (tr *translator) onUpdate(r *rewrite, name string, at int) {
	if want := r.typeDigits(); r.digits(at) != want {
		to := at + 1
		if r.at(to).is("(") {
			to = closing(r.tokens, to) + 1
		}
		tr.note("ON UPDATE of column %s writes %s fractional digits, as the type has", name, want)
		r.replace(at, to, "current_timestamp("+want+")")
	}
}
