package compat

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"enum-values":          enumValues,
		"spatial-without-srid": spatialWithoutSRID,
		"generated-function":   generatedFunction,
		"check-not-enforced":   checkNotEnforced,
		"check-function":       checkFunction,
		"auto-increment-small": autoIncrementSmall,
	})
}

// longestValue is what a value of ENUM and SET may have on MySQL 8, in characters; MariaDB has no such limit.
const longestValue = 255

// enumValues finds values that are too long, there twice, or more than a SET takes.
func enumValues(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			if col.Type != "ENUM" && col.Type != "SET" {
				return
			}
			h := hit{st: st, from: col.TypeAt, to: col.TypeAt + 1, object: objectOf(st) + "." + col.Name}
			fold, sure := c.folds(st, col)
			seen := map[string]string{}
			for _, arg := range col.Args {
				v := ddl.Token{Kind: ddl.String, Text: arg}.Value()
				k := strings.TrimRight(v, " ")
				if fold {
					k = strings.ToLower(k)
				}
				switch before, twice := seen[k]; {
				case utf8.RuneCountInString(v) > longestValue:
					h.says, h.severity = fmt.Sprintf("a value has %d characters; MySQL takes %d", utf8.RuneCountInString(v), longestValue), ""
				case twice:
					h.says = fmt.Sprintf("the value '%s' is there twice, as the collation compares", v)
					if !sure && before != v {
						h.severity = Warning
					}
				case col.Type == "SET" && strings.Contains(v, ","):
					h.says, h.severity = fmt.Sprintf("the value '%s' of a SET has a comma", v), ""
				}
				seen[k] = v
			}
			if col.Type == "SET" && len(seen) > 64 {
				h.says, h.severity = "a SET takes 64 values", ""
			}
			if h.says != "" {
				emit(h)
			}
		})
	})
}

// folds tells whether the column's collation takes capitals for small letters, as all do that a character set has by
// default, and whether a collation or character set is said, there or by the table. Letters with accents, which some
// take for equal, are told apart here.
func (c *checker) folds(st *ddl.Statement, col *ddl.Column) (fold, sure bool) {
	charset, collation := col.Charset, col.Collation
	if t := c.state.tables[keyOf(st.Schema, st.Name)]; t != nil && charset == "" && collation == "" {
		charset, collation = t.options["CHARSET"], t.options["COLLATE"]
	}
	charset, collation = strings.ToLower(charset), strings.ToLower(collation)
	fold = !strings.HasSuffix(collation, "_bin") && !strings.Contains(collation, "_cs") && collation != "binary" && charset != "binary" && charset != "byte" && !col.Binary
	return fold, charset != "" || collation != ""
}

func spatialWithoutSRID(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		for _, k := range t.keys {
			if k.is.Kind != ddl.Spatial {
				continue
			}
			for _, p := range k.is.Parts {
				if col := t.column(p.Column); col != nil && col.is.SRID.From == col.is.SRID.To {
					emit(hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String() + "." + p.Column})
				}
			}
		}
	})
}

// changing are functions whose value is not the same each time, or depends on who asks. MySQL lets neither
// generated columns nor CHECKs use them; MariaDB lets virtual columns use some.
var changing = []string{"NOW", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "SYSDATE", "CURDATE", "CURRENT_DATE", "CURTIME", "CURRENT_TIME",
	"UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", "UNIX_TIMESTAMP", "RAND", "RANDOM_BYTES", "UUID", "UUID_SHORT", "CONNECTION_ID", "CURRENT_USER", "USER",
	"SESSION_USER", "SYSTEM_USER", "CURRENT_ROLE", "DATABASE", "SCHEMA", "VERSION", "LAST_INSERT_ID", "FOUND_ROWS", "ROW_COUNT", "SLEEP", "BENCHMARK",
	"GET_LOCK", "RELEASE_LOCK", "RELEASE_ALL_LOCKS", "IS_FREE_LOCK", "IS_USED_LOCK", "LOAD_FILE", "MASTER_POS_WAIT", "VALUES"}

// inChecks are those of them that a CHECK may have all the same.
var inChecks = []string{"SYSDATE", "RANDOM_BYTES"}

// bare are those of them that need no parentheses.
var bare = []string{"CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", "CURRENT_USER", "CURRENT_ROLE"}

// disallowed tells what an expression has that MySQL lets no generated column and no CHECK have: the place and
// the words for it; ok is false if there is nothing. Functions of but are let be.
func disallowed(st *ddl.Statement, r ddl.Range, but ...string) (at int, what string, ok bool) {
	for i := r.From; i < r.To; i++ {
		t := st.Tokens[i]
		call := i+1 < r.To && st.Tokens[i+1].Is("(")
		switch {
		case i > 0 && st.Tokens[i-1].Is("."), t.Is(but...):
		case t.Is(changing...) && call, t.Is(bare...):
			return i, "the function " + strings.ToUpper(t.Text), true
		case t.Is("MATCH") && call:
			return i, "MATCH", true
		case t.Is("SELECT"):
			return i, "a subquery", true
		case t.Kind == ddl.Variable:
			return i, "the variable " + t.Text, true
		}
	}
	return 0, "", false
}

// names tells whether an expression names a column, and where.
func names(st *ddl.Statement, r ddl.Range, column string) (int, bool) {
	for i := r.From; i < r.To; i++ {
		t := st.Tokens[i]
		called := i+1 < r.To && st.Tokens[i+1].Is("(") && t.Kind == ddl.Word
		if (t.Kind == ddl.Word || t.Kind == ddl.Quoted) && !called && strings.EqualFold(t.Name(), column) {
			return i, true
		}
	}
	return 0, false
}

func generatedFunction(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		auto := t.auto()
		for i := range t.columns {
			col, by := &t.columns[i].is, t.columns[i].by
			h := hit{st: by, object: t.String() + "." + col.Name}
			if at, what, ok := disallowed(by, col.Generated); ok {
				h.from, h.to, h.says = at, at+1, "the expression of a generated column has "+what
				emit(h)
			} else if at, ok := names(by, col.Generated, auto); ok && auto != "" {
				h.from, h.to, h.says = at, at+1, "the expression of a generated column names the AUTO_INCREMENT column "+auto
				emit(h)
			}
		}
	})
}

// auto is the table's AUTO_INCREMENT column.
func (t *table) auto() string {
	for i := range t.columns {
		if t.columns[i].is.Auto {
			return t.columns[i].is.Name
		}
	}
	return ""
}

// checkNotEnforced looks at sources that read a CHECK and do nothing with it.
func checkNotEnforced(c *checker, emit func(hit)) {
	if c.opts.Source == nil || !c.ignoresChecks() {
		return
	}
	c.tables(func(t *table) {
		for _, check := range t.checks {
			if !check.is.NotEnforced {
				emit(hit{st: check.by, from: check.is.At.From, to: check.is.At.To, object: t.String()})
			}
		}
	})
}

func (c *checker) ignoresChecks() bool {
	v := parseVersion(c.opts.Source.Version)
	if c.opts.Source.Flavor == server.MariaDB {
		return c.opts.Source.Variables["check_constraint_checks"] == "OFF"
	}
	return slices.Compare(v[:], []int{8, 0, 16}) < 0
}

// checkFunction finds CHECKs that MySQL refuses: for a function, a subquery or a variable, for an AUTO_INCREMENT
// column, for a column that an action of a foreign key changes, and a column's own CHECK that names another.
func checkFunction(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		auto, changed := t.auto(), t.changedByActions()
		for _, check := range t.checks {
			h := hit{st: check.by, object: t.String()}
			say := func(at int, says string) {
				h.from, h.to, h.says = at, at+1, says
				emit(h)
			}
			if at, what, ok := disallowed(check.by, check.is.Expr, inChecks...); ok {
				say(at, "a CHECK has "+what)
			} else if at, ok := names(check.by, check.is.Expr, auto); ok && auto != "" {
				say(at, "a CHECK names the AUTO_INCREMENT column "+auto)
			} else if at, column, ok := t.namesOf(check, changed); ok {
				say(at, "a CHECK names column "+column+", which an action of a foreign key changes")
			}
		}
		for i := range t.columns {
			t.ownChecks(&t.columns[i], emit)
		}
	})
}

// ownChecks finds a column's own CHECK that names another column: MariaDB takes it.
func (t *table) ownChecks(col *column, emit func(hit)) {
	var others []string
	for i := range t.columns {
		if other := t.columns[i].is.Name; !strings.EqualFold(other, col.is.Name) {
			others = append(others, other)
		}
	}
	for _, check := range col.is.Checks {
		if at, other, ok := t.namesOf(origin[ddl.Check]{is: check, by: col.by}, others); ok {
			emit(hit{st: col.by, from: at, to: at + 1, object: t.String() + "." + col.is.Name, says: "the CHECK of column " + col.is.Name + " names column " + other})
		}
	}
}

// namesOf is the first of these columns that a CHECK names.
func (t *table) namesOf(check origin[ddl.Check], columns []string) (at int, column string, ok bool) {
	for _, column := range columns {
		if at, ok := names(check.by, check.is.Expr, column); ok {
			return at, column, true
		}
	}
	return 0, "", false
}

// changedByActions are the columns that SET NULL, or CASCADE of an update, of a foreign key writes to. DELETE
// CASCADE writes to none.
func (t *table) changedByActions() (columns []string) {
	for _, k := range t.keys {
		if k.is.Kind == ddl.Foreign && (k.is.OnDelete == "SET NULL" || k.is.OnUpdate == "SET NULL" || k.is.OnUpdate == "CASCADE") {
			for _, p := range k.is.Parts {
				columns = append(columns, p.Column)
			}
		}
	}
	return columns
}

// autoIncrementSmall looks at what goes forward: a table that a later version widens was small once, and who
// reads the way down knows it.
func autoIncrementSmall(c *checker, emit func(hit)) {
	last := map[string]string{"TINYINT": "127", "SMALLINT": "32767", "MEDIUMINT": "8388607", "INT": "2147483647", "INTEGER": "2147483647"}
	lastUnsigned := map[string]string{"TINYINT": "255", "SMALLINT": "65535", "MEDIUMINT": "16777215", "INT": "4294967295", "INTEGER": "4294967295"}
	for i := range c.files {
		if c.files[i].down {
			continue
		}
		for j := range c.files[i].statements {
			st := &c.files[i].statements[j]
			eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
				if !col.Auto || last[col.Type] == "" {
					return
				}
				h := hit{st: st, from: col.At.From, to: col.At.To, object: objectOf(st) + "." + col.Name, says: "AUTO_INCREMENT of " + col.Type + " ends at " + last[col.Type] + ": UNSIGNED has as many again"}
				if col.Type == "INT" || col.Type == "INTEGER" {
					h.severity = Info
				}
				if col.Unsigned {
					h.severity, h.says = Info, "AUTO_INCREMENT of "+col.Type+" UNSIGNED ends at "+lastUnsigned[col.Type]
				}
				emit(h)
			})
		}
	}
}
