package compat

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"names-of-table":    namesOfTable,
		"keys-of-table":     keysOfTable,
		"sizes":             sizes,
		"default-not-value": defaultNotValue,
		"other-collation":   otherCollation,
		"partitions":        partitions,
		"storage-refused":   storageRefused,
		"trigger-refused":   triggerRefused,
		"lenient-column":    lenientColumn,
		"instant-lock":      instantLock,
	})
}

// created goes through the tables that texts define whole: what a comment for one server holds, or another table or
// a query adds, is not known.
func (c *checker) created(fn func(st *ddl.Statement, t *ddl.Table)) {
	c.each(func(st *ddl.Statement) {
		if st.Kind == ddl.CreateTable && st.Table != nil && !st.Table.Like && !st.Table.Select && len(st.Table.Columns) > 0 && !slices.ContainsFunc(st.Tokens, forMariaDB) {
			fn(st, st.Table)
		}
	})
}

// namesOfTable finds names of columns and keys that are there twice, and keys over columns that are not there.
func namesOfTable(c *checker, emit func(hit)) {
	c.created(func(st *ddl.Statement, t *ddl.Table) {
		columns, keys, foreign := map[string]bool{}, map[string]bool{}, map[string]bool{}
		twice := func(seen map[string]bool, name, what string, at ddl.Range) {
			if k := strings.ToLower(name); name != "" && seen[k] {
				emit(hit{st: st, from: at.From, to: at.To, object: objectOf(st), says: what + " " + name + " is there twice"})
			} else {
				seen[k] = true
			}
		}
		for i := range t.Columns {
			col := &t.Columns[i]
			twice(columns, col.Name, "column", ddl.Range{From: col.At.From, To: col.At.From + 1})
		}
		for i := range t.Keys {
			k := &t.Keys[i]
			switch k.Kind {
			case ddl.Foreign:
				twice(foreign, k.Constraint, "foreign key", k.At)
			case ddl.Primary:
			default:
				twice(keys, k.Name, "key", k.At)
			}
			for _, p := range k.Parts {
				if p.Column != "" && !columns[strings.ToLower(p.Column)] && len(t.Periods) == 0 {
					emit(hit{st: st, from: k.At.From, to: k.At.To, object: objectOf(st), says: "a key over column " + p.Column + ", which the table has not"})
					break
				}
			}
		}
	})
}

// shapes are the types of which SPATIAL keys are made.
var shapes = []string{"GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION", "GEOMCOLLECTION"}

// keysOfTable finds a second primary key, AUTO_INCREMENT that no key of InnoDB's begins with, and SPATIAL keys over
// what may be NULL.
func keysOfTable(c *checker, emit func(hit)) {
	c.created(func(st *ddl.Statement, t *ddl.Table) {
		primaries, autos := 0, 0
		for i := range t.Columns {
			col := &t.Columns[i]
			if col.Primary {
				primaries++
			}
			if !col.Auto {
				continue
			}
			h := hit{st: st, from: col.At.From, to: col.At.To, object: objectOf(st) + "." + col.Name}
			if autos++; autos > 1 {
				h.says = "a second AUTO_INCREMENT column"
				emit(h)
			} else if transactional(t) && !leads(t, col) {
				h.says = "no key begins with the AUTO_INCREMENT column " + col.Name
				emit(h)
			}
		}
		for i := range t.Keys {
			k := &t.Keys[i]
			h := hit{st: st, from: k.At.From, to: k.At.To, object: objectOf(st)}
			switch {
			case k.Kind == ddl.Primary:
				if primaries++; primaries > 1 {
					h.says = "a second primary key"
					emit(h)
				}
			case k.Kind == ddl.Spatial:
				spatialKey(t, k, h, emit)
			}
		}
	})
}

// transactional tells whether a table is InnoDB's, as far as it says.
func transactional(t *ddl.Table) bool {
	for _, o := range t.Options {
		if o.Name == "ENGINE" && !strings.EqualFold(o.Value, "InnoDB") {
			return false
		}
	}
	return true
}

// leads tells whether a column is the first of a key.
func leads(t *ddl.Table, col *ddl.Column) bool {
	return col.Primary || col.Unique || slices.ContainsFunc(t.Keys, func(k ddl.Key) bool {
		return k.Kind != ddl.FullText && k.Kind != ddl.Spatial && len(k.Parts) > 0 && strings.EqualFold(k.Parts[0].Column, col.Name)
	})
}

func spatialKey(t *ddl.Table, k *ddl.Key, h hit, emit func(hit)) {
	for _, p := range k.Parts {
		for i := range t.Columns {
			switch col := &t.Columns[i]; {
			case !strings.EqualFold(col.Name, p.Column):
			case !slices.Contains(shapes, col.Type):
				h.says = fmt.Sprintf("a SPATIAL key over %s, which is %s", col.Name, col.Type)
				emit(h)
			case col.Null != ddl.NotNull && !partOfPrimary(t, col):
				h.says = "a SPATIAL key over " + col.Name + ", which may be NULL"
				emit(h)
			}
		}
	}
}

func partOfPrimary(t *ddl.Table, col *ddl.Column) bool {
	return col.Primary || slices.ContainsFunc(t.Keys, func(k ddl.Key) bool {
		return k.Kind == ddl.Primary && slices.ContainsFunc(k.Parts, func(p ddl.Part) bool { return strings.EqualFold(p.Column, col.Name) })
	})
}

// decimals are the types of fixed-point numbers.
var decimals = []string{"DECIMAL", "NUMERIC", "DEC", "FIXED"}

// What types take: characters of a CHAR, digits of a DECIMAL in all and behind the point, digits of a second, bits, and
// the width of a whole number.
const (
	longestChar    = 255
	mostDigits     = 65
	mostScale      = 30
	mostFractional = 6
	mostBits       = 64
	mostWidth      = 255
)

// sizes finds types that are larger than they can be. Of DECIMAL's scale MariaDB takes more, up to 38.
func sizes(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			if says := tooLarge(col); says != "" && !forMariaDB(st.Tokens[col.TypeAt]) {
				emit(hit{st: st, from: col.TypeAt, to: min(col.TypeAt+2+2*len(col.Args), col.At.To), object: objectOf(st) + "." + col.Name, says: says})
			}
		})
	})
}

func tooLarge(col *ddl.Column) string {
	var n [2]int
	for i := range min(len(col.Args), 2) {
		v, err := strconv.Atoi(col.Args[i])
		if err != nil {
			return ""
		}
		n[i] = v
	}
	most := func(limit int, unit string) string {
		if len(col.Args) == 1 && n[0] > limit {
			return fmt.Sprintf("%s takes %d %s at most", col.Type, limit, unit)
		}
		return ""
	}
	switch {
	case slices.Contains([]string{"CHAR", "CHARACTER", "BINARY", "NCHAR"}, col.Type):
		return most(longestChar, "characters")
	case slices.Contains([]string{"TIME", "DATETIME", "TIMESTAMP"}, col.Type):
		return most(mostFractional, "digits of a second")
	case col.Type == "BIT":
		return most(mostBits, "bits")
	case slices.Contains(wholes, col.Type):
		return most(mostWidth, "digits")
	case len(col.Args) == 2 && n[1] > n[0] && n[1] <= mostScale && (slices.Contains(decimals, col.Type) || slices.Contains(floats, col.Type)):
		return fmt.Sprintf("%s with %d digits, of which %d stand behind the point", col.Type, n[0], n[1])
	case slices.Contains(decimals, col.Type) && n[0] > mostDigits:
		return fmt.Sprintf("%s takes %d digits at most", col.Type, mostDigits)
	case slices.Contains(decimals, col.Type) && n[1] > mostScale:
		return fmt.Sprintf("%s takes %d digits behind the point at most", col.Type, mostScale)
	}
	return ""
}

// defaultNotValue finds defaults that are none of a column's values. Only literals are looked at whose reading is
// beyond doubt.
func defaultNotValue(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			if d := col.Default; d.From < d.To && st.Tokens[d.From].Gate == nil {
				if says := refusedDefault(st, col); says != "" {
					emit(hit{st: st, from: d.From, to: d.To, object: objectOf(st) + "." + col.Name, says: says})
				}
			}
		})
	})
}

func refusedDefault(st *ddl.Statement, col *ddl.Column) string {
	d := col.Default
	first := st.Tokens[d.From]
	switch {
	case first.Is("NULL") && col.Null == ddl.NotNull:
		return "DEFAULT NULL of a column that is NOT NULL"
	case first.Is("NULL"):
		return ""
	case col.Auto:
		return "a DEFAULT of an AUTO_INCREMENT column"
	case d.To-d.From != 1 || first.Kind != ddl.String || first.Text[0] != '\'' && first.Text[0] != '"':
		return ""
	}
	value := first.Value()
	switch {
	case col.Type == "ENUM" && !isValue(col, value):
		return fmt.Sprintf("'%s' is no value of the ENUM", value)
	case col.Type == "SET" && value != "":
		for part := range strings.SplitSeq(value, ",") {
			if !isValue(col, part) {
				return fmt.Sprintf("'%s' is no value of the SET", part)
			}
		}
	case slices.Contains(wholes, col.Type) && !wholeNumber.MatchString(value):
		return fmt.Sprintf("'%s' is no whole number", value)
	}
	return ""
}

// wholeNumber is whatever a server may take for a number, also with what it rounds.
var wholeNumber = regexp.MustCompile(`^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$`)

// isValue tells whether a text may be one of an ENUM's or SET's values: letters and blanks are compared as the most
// lenient collation does, and what has accents is not judged.
func isValue(col *ddl.Column, text string) bool {
	ascii := func(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 126 }) }
	return !ascii(text) || slices.ContainsFunc(col.Args, func(arg string) bool {
		v := ddl.Token{Kind: ddl.String, Text: arg}.Value()
		return !ascii(v) || arg == "" || arg[0] != '\'' && arg[0] != '"' || strings.EqualFold(strings.TrimRight(v, " "), strings.TrimRight(text, " "))
	})
}

// otherCollation finds collations beside a character set that they are not of.
func otherCollation(c *checker, emit func(hit)) {
	differs := func(charset, collation string) bool {
		charset, collation = utf8Name(strings.ToLower(charset)), utf8Name(strings.ToLower(collation))
		of, _, _ := strings.Cut(collation, "_")
		return charset != "" && collation != "" && charset != "default" && collation != "default" && of != "uca1400" && of != charset && plainCharset.MatchString(charset)
	}
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			if differs(col.Charset, col.Collation) {
				emit(hit{st: st, from: col.At.From, to: col.At.To, object: objectOf(st) + "." + col.Name, says: col.Collation + " is no collation of " + col.Charset})
			}
		})
		options := func(all []ddl.Option) {
			charset, collation := "", ""
			for _, o := range all {
				switch o.Name {
				case "CHARSET":
					charset = o.Value
				case "COLLATE":
					if collation = o.Value; differs(charset, collation) {
						emit(hit{st: st, from: o.At.From, to: o.At.To, object: objectOf(st), says: collation + " is no collation of " + charset})
					}
				}
			}
		}
		options(st.Options)
		eachDefinition(st, func(t *ddl.Table, _ *ddl.Clause) { options(t.Options) })
	})
}

// plainCharset are the names of character sets that collations begin with; not ASCII, UNICODE and BYTE of a column.
var plainCharset = regexp.MustCompile(`^(utf8mb[34]|latin[1257]|binary|ucs2|utf16|utf32|cp125[0167]|koi8[ru]|gbk|big5|sjis)$`)

// partitions finds tables whose unique keys lack a column that they are partitioned by, and ranges that do not rise.
func partitions(c *checker, emit func(hit)) {
	c.created(func(st *ddl.Statement, t *ddl.Table) {
		if t.Partition == 0 || st.Tokens[min(t.Partition+2, len(st.Tokens)-1)].Is("SYSTEM_TIME") {
			return
		}
		by := ddl.Range{From: t.Partition, To: t.PartitionEnd}
		expression := group(st, by.From, by.To)
		unique := func(says string, columns []string) {
			for i := range t.Columns {
				name := t.Columns[i].Name
				if _, ok := names(st, expression, name); ok && !slices.ContainsFunc(columns, func(c string) bool { return strings.EqualFold(c, name) }) {
					emit(hit{st: st, from: by.From, to: expression.To, object: objectOf(st), says: fmt.Sprintf("the table is partitioned by %s, which %s lacks", name, says)})
					return
				}
			}
		}
		for i := range t.Columns {
			if col := &t.Columns[i]; col.Primary || col.Unique {
				unique("the key of column "+col.Name, []string{col.Name})
			}
		}
		for i := range t.Keys {
			if k := &t.Keys[i]; k.Kind == ddl.Primary || k.Kind == ddl.Unique {
				var columns []string
				for _, p := range k.Parts {
					columns = append(columns, p.Column)
				}
				unique(map[bool]string{true: "the primary key", false: "the unique key " + k.Name}[k.Kind == ddl.Primary], columns)
			}
		}
		rising(st, expression.To, by.To, emit)
	})
}

// group is the first pair of parentheses in some tokens.
func group(st *ddl.Statement, from, to int) ddl.Range {
	for i := from; i < to; i++ {
		if !st.Tokens[i].Is("(") {
			continue
		}
		for j, depth := i, 0; j < to; j++ {
			if st.Tokens[j].Is("(") {
				depth++
			} else if st.Tokens[j].Is(")") {
				if depth--; depth == 0 {
					return ddl.Range{From: i, To: j + 1}
				}
			}
		}
	}
	return ddl.Range{From: to, To: to}
}

// rising finds a range of whole numbers that ends no higher than the one before it, and MAXVALUE before the last.
func rising(st *ddl.Statement, from, to int, emit func(hit)) {
	last, known, maximum := 0, false, false
	for i := from; i+3 < to; i++ {
		if !st.Tokens[i].Is("LESS") || !st.Tokens[i+1].Is("THAN") {
			continue
		}
		h := hit{st: st, from: i, to: i + 3, object: objectOf(st)}
		if maximum {
			h.says = "a range behind MAXVALUE"
			emit(h)
			return
		}
		at := i + 2
		if st.Tokens[at].Is("MAXVALUE") || st.Tokens[at].Is("(") && st.Tokens[at+1].Is("MAXVALUE") && at+2 < to && st.Tokens[at+2].Is(")") {
			maximum = true
			continue
		}
		value := st.Between(group(st, at, to))
		n, err := strconv.Atoi(strings.TrimSpace(strings.Trim(value, "()")))
		if known && err == nil && n <= last {
			h.to, h.says = group(st, at, to).To, fmt.Sprintf("a range up to %d behind one up to %d", n, last)
			emit(h)
			return
		}
		last, known = n, err == nil
	}
}

// storageRefused finds text in MEMORY tables, and rows that InnoDB has not.
func storageRefused(c *checker, emit func(hit)) {
	c.created(func(st *ddl.Statement, t *ddl.Table) {
		engine, fixed := "", -1
		for i, o := range t.Options {
			switch {
			case o.Name == "ENGINE":
				engine = strings.ToUpper(o.Value)
			case o.Name == "ROW_FORMAT" && strings.EqualFold(o.Value, "FIXED"):
				fixed = i
			}
		}
		if fixed >= 0 && (engine == "" || engine == "INNODB") {
			h := hit{st: st, from: t.Options[fixed].At.From, to: t.Options[fixed].At.To, object: objectOf(st), says: "InnoDB has no rows of ROW_FORMAT=FIXED"}
			if v, _ := c.targetVariable("innodb_strict_mode"); v != "ON" {
				h.severity = Warning
			}
			emit(h)
		}
		for i := range t.Columns {
			if col := &t.Columns[i]; engine == "MEMORY" && (slices.Contains(blobs, col.Type) || slices.Contains(shapes, col.Type)) {
				emit(hit{st: st, from: col.At.From, to: col.At.To, object: objectOf(st) + "." + col.Name, says: "a MEMORY table has no " + col.Type})
				return
			}
		}
	})
}

// triggerRefused finds triggers that write where there is nothing to write, and what ends a transaction in one.
func triggerRefused(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		if st.Kind != ddl.CreateTrigger || st.Body == 0 || st.NameAt < 0 || st.NameAt+2 >= len(st.Tokens) {
			return
		}
		when, event := st.Tokens[st.NameAt+1], st.Tokens[st.NameAt+2]
		if renamesRows(st) {
			return
		}
		for i := st.Body; i < len(st.Tokens); i++ {
			t := st.Tokens[i]
			h := hit{st: st, from: i, to: min(i+3, len(st.Tokens)), object: objectOf(st)}
			row := i+2 < len(st.Tokens) && st.Tokens[i+1].Is(".") && t.Is("NEW", "OLD") && !st.Tokens[i-1].Is(".")
			begins := st.Tokens[i-1].Is(";", "BEGIN", "THEN", "ELSE", "DO") || i == st.Body
			switch {
			case row && (t.Is("NEW") && event.Is("DELETE") || t.Is("OLD") && event.Is("INSERT")):
				h.says = fmt.Sprintf("there is no %s row in a trigger of %s", strings.ToUpper(t.Text), strings.ToUpper(event.Text))
			case row && i+3 < len(st.Tokens) && writes(st, i) && t.Is("OLD"):
				h.says = "a trigger does not change the OLD row"
			case row && i+3 < len(st.Tokens) && writes(st, i) && when.Is("AFTER"):
				h.says = "a trigger AFTER the change does not change the NEW row"
			case begins && t.Is("COMMIT") && i+1 < len(st.Tokens) && st.Tokens[i+1].Is(";"):
				h.to, h.says = i+1, "a trigger ends no transaction"
			default:
				continue
			}
			emit(h)
			return
		}
	})
}

// renamesRows tells whether NEW or OLD may be an alias in a trigger, or the trigger is for more than one event.
func renamesRows(st *ddl.Statement) bool {
	for i := st.NameAt + 3; i+1 < len(st.Tokens); i++ {
		if st.Tokens[i].Is("NEW", "OLD") && !st.Tokens[i+1].Is(".") || i < st.Body && st.Tokens[i].Is("OR") {
			return true
		}
	}
	return false
}

// writes tells whether NEW.a or OLD.a, which stands at i, is given a value by SET.
func writes(st *ddl.Statement, i int) bool {
	return st.Tokens[i-1].Is("SET") && st.Tokens[i+3].Is("=", ":=")
}

// lenientColumn finds definitions of columns that MariaDB takes, and MySQL refuses.
func lenientColumn(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachDefinition(st, func(t *ddl.Table, _ *ddl.Clause) {
			for i := range t.Columns {
				col := &t.Columns[i]
				h := hit{st: st, from: col.At.From, to: col.At.To, object: objectOf(st) + "." + col.Name}
				if col.Null == ddl.Nullable && partOfPrimary(t, col) && !slices.ContainsFunc(st.Tokens[col.At.From:col.At.To], forMariaDB) && nullLast(st, col) {
					h.says = "a column of the primary key says NULL"
					emit(h)
				}
				timeDefault(st, col, emit)
			}
		})
	})
}

// nullLast tells whether what a column says of NULL is NULL alone, as MySQL goes by the last word.
func nullLast(st *ddl.Statement, col *ddl.Column) bool {
	for i := col.At.From; i < col.At.To; i++ {
		if st.Tokens[i].Is("NOT") {
			return false
		}
	}
	return true
}

// timeDefault finds CURRENT_TIMESTAMP as default, or behind ON UPDATE, of a column with other digits of a second, or
// of another type.
func timeDefault(st *ddl.Statement, col *ddl.Column, emit func(hit)) {
	for _, r := range []ddl.Range{col.Default, col.OnUpdate} {
		if r.From >= r.To || !st.Tokens[r.From].Is(times...) || st.Tokens[r.From].Gate != nil || slices.Contains(blobs, col.Type) {
			continue
		}
		digits, has := strings.Trim(st.Between(ddl.Range{From: r.From + 1, To: r.To}), "() "), "0"
		if len(col.Args) == 1 {
			has = col.Args[0]
		}
		h := hit{st: st, from: r.From, to: r.To, object: objectOf(st) + "." + col.Name}
		switch {
		case col.Type != "DATETIME" && col.Type != "TIMESTAMP":
			h.says = fmt.Sprintf("%s of a column that is %s", strings.ToUpper(st.Tokens[r.From].Text), col.Type)
		case digits == "" && has != "0", digits != "" && digits != has:
			h.says = fmt.Sprintf("%s with other digits of a second than its column", st.Between(r))
			h.sql = "CURRENT_TIMESTAMP(" + has + ")"
		default:
			continue
		}
		emit(h)
	}
}

// instantLock finds ALGORITHM=INSTANT beside a LOCK.
func instantLock(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		instant, lock := false, -1
		for i := range st.Clauses {
			switch cl := &st.Clauses[i]; {
			case cl.What == "ALGORITHM" && strings.EqualFold(cl.Name, "INSTANT"):
				instant = true
			case cl.What == "LOCK" && !strings.EqualFold(cl.Name, "DEFAULT"):
				lock = i
			}
		}
		if instant && lock >= 0 {
			at := st.Clauses[lock].At
			emit(hit{st: st, from: at.From, to: at.To, object: objectOf(st)})
		}
	})
}
