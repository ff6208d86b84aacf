package compat

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"too-many":            tooMany,
		"row-length":          rowLength,
		"redundant-key":       redundantKey,
		"descending-key":      descendingKey,
		"prefix-in-partition": prefixInPartition,
		"odd-name":            oddName,
		"partition-bounds":    partitionBounds,
		"partition-full-text": partitionFullText,
		"full-text-settings":  fullTextSettings,
	})
}

// What a table of InnoDB takes on MySQL. MariaDB takes 32 columns in a key.
const (
	maxKeys    = 64 // the primary key is one of them
	maxParts   = 16
	maxColumns = 1017 // virtual ones too
)

func tooMany(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		n := 0
		for _, k := range t.keys {
			if k.is.Kind == ddl.Foreign {
				continue
			}
			h := hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String()}
			if n++; n == maxKeys+1 {
				h.says = fmt.Sprintf("a table has %d keys at most", maxKeys)
				emit(h)
			}
			if len(k.is.Parts) > maxParts {
				h.says = fmt.Sprintf("a key of %d columns; MySQL takes %d", len(k.is.Parts), maxParts)
				emit(h)
			}
		}
		if len(t.columns) > maxColumns {
			col := &t.columns[maxColumns]
			emit(hit{st: col.by, from: col.is.At.From, to: col.is.At.To, object: t.String(), says: fmt.Sprintf("InnoDB takes %d columns", maxColumns)})
		}
	})
}

// What a row may have, in bytes: as the server counts it, whatever the engine, with TEXT and BLOB as pointers; and
// in a page of InnoDB of 16 KiB, half of which is for one row, what must stand in the page itself.
const (
	maxRow  = 65535
	maxPage = 8126
	pointer = 41 // what of a longer value stands in the page
)

func rowLength(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		if t.unknown {
			return
		}
		row, page, sure := t.rowBytes()
		h := hit{st: t.made, from: 0, to: min(t.made.NameAt+1, len(t.made.Tokens)), object: t.String()}
		switch {
		case row > maxRow:
			h.says = fmt.Sprintf("a row takes up to %d bytes, and MySQL takes %d without TEXT and BLOB", row, maxRow)
			if !sure {
				h.severity = Warning
			}
			emit(h)
		case page > maxPage && !strings.EqualFold(t.options["ROW_FORMAT"], "COMPRESSED"):
			h.severity = Warning
			h.says = fmt.Sprintf("about %d bytes of a row must stand in its page, and InnoDB takes %d (1118 under innodb_strict_mode)", page, maxPage)
			emit(h)
		}
	})
}

// primary are the columns of the primary key, in lower case.
func (t *table) primary() (columns []string) {
	for _, k := range t.keys {
		if k.is.Kind == ddl.Primary {
			for _, p := range k.is.Parts {
				columns = append(columns, strings.ToLower(p.Column))
			}
		}
	}
	return columns
}

// fixed are the bytes of types of one length.
var fixed = map[string]int{"TINYINT": 1, "BOOL": 1, "BOOLEAN": 1, "SMALLINT": 2, "MEDIUMINT": 3, "INT": 4, "INTEGER": 4, "BIGINT": 8, "SERIAL": 8,
	"FLOAT": 4, "DOUBLE": 8, "DOUBLE PRECISION": 8, "REAL": 8, "YEAR": 1, "DATE": 3}

// rowBytes is how long a row may be for the server, about how much of it stands in a page, and whether all was known.
func (t *table) rowBytes() (row, page int, sure bool) {
	sure = true
	nullable, primary := 0, t.primary()
	page = 5 + 13 // the head of a record; the transaction and its undo
	for i := range t.columns {
		col := &t.columns[i].is
		if col.Generated.From < col.Generated.To && !col.Stored {
			continue
		}
		if col.Null != ddl.NotNull && !slices.Contains(primary, strings.ToLower(col.Name)) {
			nullable++
		}
		n, variable, known := t.columnBytes(col)
		sure = sure && known
		row += n
		if slices.Contains(blobs, col.Type) || variable && n > pointer {
			n = pointer
		}
		page += n
	}
	row += (nullable + 7) / 8
	page += (nullable + 7) / 8
	return row, page, sure
}

// columnBytes is what a column takes in a row with the bytes of its length, whether it varies, and whether its
// character set was said.
func (t *table) columnBytes(col *ddl.Column) (n int, variable, known bool) {
	if n := fixed[col.Type]; n > 0 {
		return n, false, true
	}
	arg := 0
	if len(col.Args) > 0 {
		arg, _ = strconv.Atoi(col.Args[0])
	}
	switch col.Type {
	case "DECIMAL", "NUMERIC", "DEC", "FIXED":
		return decimalBytes(col.Args), false, true
	case "DATETIME":
		return 5 + (arg+1)/2, false, true
	case "TIMESTAMP":
		return 4 + (arg+1)/2, false, true
	case "TIME":
		return 3 + (arg+1)/2, false, true
	case "BIT":
		return (max(arg, 1) + 7) / 8, false, true
	case "ENUM":
		return 1 + btoi(len(col.Args) > 255), false, true
	case "SET":
		return min((len(col.Args)+7)/8, 8), false, true
	case "TINYTEXT", "TINYBLOB":
		return 9, true, true
	case "TEXT", "BLOB":
		return 10, true, true
	case "MEDIUMTEXT", "MEDIUMBLOB", "LONG", "LONGTEXT", "LONGBLOB", "JSON", "GEOMETRY", "POINT", "LINESTRING", "POLYGON":
		return 12, true, true
	case "BINARY":
		return max(arg, 1), false, true
	case "VARBINARY":
		return arg + lengthBytes(arg), true, true
	case "CHAR", "CHARACTER":
		width, known := t.width(col)
		return max(arg, 1) * width, width > 1, known
	case "VARCHAR", "CHARACTER VARYING", "CHAR VARYING", "NVARCHAR":
		width, known := t.width(col)
		return arg*width + lengthBytes(arg*width), true, known
	}
	return 0, false, false
}

func lengthBytes(n int) int { return 1 + btoi(n > 255) }

// decimalBytes is what DECIMAL takes: four bytes for nine digits, on either side of the point.
func decimalBytes(args []string) int {
	precision, scale := 10, 0
	if len(args) > 0 {
		precision, _ = strconv.Atoi(args[0])
	}
	if len(args) > 1 {
		scale, _ = strconv.Atoi(args[1])
	}
	rest := []int{0, 1, 1, 2, 2, 3, 3, 4, 4}
	side := func(digits int) int {
		digits = max(digits, 0)
		return digits/9*4 + rest[digits%9]
	}
	return side(precision-scale) + side(scale)
}

// width is how many bytes a character of the column takes at most, and whether its character set is said, there or
// by the table; else it is the target's default.
func (t *table) width(col *ddl.Column) (int, bool) {
	charset := t.charset(col)
	if charset == "" {
		return widths["utf8mb4"], false
	}
	return max(1, widths[charset]), true
}

// charset is what is said of a column's character set, by itself or by its table; empty if nothing is.
func (t *table) charset(col *ddl.Column) string {
	of := func(charset, collation string) string {
		switch charset = strings.ToLower(charset); charset {
		case "":
			charset, _, _ = strings.Cut(strings.ToLower(collation), "_")
		case "ascii", "byte", "unicode":
			charset = map[string]string{"ascii": "latin1", "byte": "binary", "unicode": "ucs2"}[charset]
		}
		return charset
	}
	if col.Charset == theDatabases {
		return ""
	}
	if charset := of(col.Charset, col.Collation); charset != "" {
		return charset
	}
	return of(t.options["CHARSET"], t.options["COLLATE"])
}

func redundantKey(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		for i := range t.keys {
			for j := range t.keys {
				a, b := &t.keys[i].is, &t.keys[j].is
				if i == j || !redundant(a, b) || len(a.Parts) == len(b.Parts) && (a.Kind == b.Kind && i < j) {
					continue
				}
				says := "another key begins with the same columns: " + keyName(b)
				if len(a.Parts) == len(b.Parts) {
					says = "another key has the same columns: " + keyName(b)
				}
				emit(hit{st: t.keys[i].by, from: a.At.From, to: a.At.To, object: t.String(), says: says})
				break
			}
		}
	})
}

func keyName(k *ddl.Key) string {
	switch {
	case k.Kind == ddl.Primary:
		return "PRIMARY"
	case k.Name != "":
		return k.Name
	}
	return "the one over " + k.Parts[0].Column
}

// redundant tells whether a key does nothing that b does not do too.
func redundant(a, b *ddl.Key) bool {
	plain := func(k *ddl.Key) bool { return k.Kind == ddl.Plain || k.Kind == ddl.Unique || k.Kind == ddl.Primary }
	switch {
	case len(a.Parts) == 0 || len(a.Parts) > len(b.Parts):
		return false
	case a.Kind == ddl.FullText || a.Kind == ddl.Spatial:
		if b.Kind != a.Kind || len(a.Parts) != len(b.Parts) {
			return false
		}
	case a.Kind == ddl.Plain:
		if !plain(b) {
			return false
		}
	case a.Kind == ddl.Unique: // it says more than a longer one
		if b.Kind != ddl.Unique && b.Kind != ddl.Primary || len(a.Parts) != len(b.Parts) {
			return false
		}
	default:
		return false
	}
	for i, p := range a.Parts {
		q := b.Parts[i]
		if p.Column == "" || !strings.EqualFold(p.Column, q.Column) || p.Prefix != q.Prefix || p.Desc != q.Desc {
			return false
		}
	}
	return true
}

func descendingKey(c *checker, emit func(hit)) {
	if s := c.opts.Source; s != nil {
		v, since := parseVersion(s.Version), []int{8, 0, 0}
		if s.Flavor == server.MariaDB {
			since = []int{10, 8, 0}
		}
		if slices.Compare(v[:], since) >= 0 {
			return // it goes by it already
		}
	}
	c.each(func(st *ddl.Statement) {
		eachKey(st, func(k *ddl.Key) {
			for _, p := range k.Parts {
				if p.Desc {
					emit(hit{st: st, from: p.DescAt, to: p.DescAt + 1, object: objectOf(st)})
				}
			}
		})
	})
}

// prefixInPartition finds PARTITION BY KEY over a column of which some key has only a prefix.
func prefixInPartition(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		at, columns, ok := t.partitionKey()
		if !ok {
			return
		}
		for _, k := range t.keys {
			for _, p := range k.is.Parts {
				if p.Prefix == 0 || len(columns) == 0 && k.is.Kind != ddl.Primary || len(columns) > 0 && !slices.ContainsFunc(columns, func(s string) bool { return strings.EqualFold(s, p.Column) }) {
					continue
				}
				h := hit{st: t.made, from: at.From, to: at.To, object: t.String() + "." + p.Column}
				if c.opts.To.meets(">=8.4") {
					h.severity = Error
				}
				emit(h)
				return
			}
		}
	})
}

// partitionKey is where a table's PARTITION BY [LINEAR] KEY stands, and the columns that it names.
func (t *table) partitionKey() (at ddl.Range, columns []string, ok bool) {
	tokens := t.made.Tokens
	i := t.made.Table.Partition
	if i == 0 || i+2 >= len(tokens) {
		return at, nil, false
	}
	from := i
	if i += 2; tokens[i].Is("LINEAR") {
		i++
	}
	if i >= len(tokens) || !tokens[i].Is("KEY") {
		return at, nil, false
	}
	for i++; i < len(tokens) && !tokens[i].Is("("); i++ { // ALGORITHM = 2
		continue
	}
	for i++; i < len(tokens) && !tokens[i].Is(")"); i++ {
		if tokens[i].Kind == ddl.Word || tokens[i].Kind == ddl.Quoted {
			columns = append(columns, tokens[i].Name())
		}
	}
	return ddl.Range{From: from, To: min(i+1, len(tokens))}, columns, true
}

// maxName is how long a name may be, in characters.
const maxName = 64

func oddName(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		look := func(at int, object string) {
			if at < 0 || at >= len(st.Tokens) {
				return
			}
			h := hit{st: st, from: at, to: at + 1, object: object}
			name := st.Tokens[at].Name()
			switch {
			case utf8.RuneCountInString(name) > maxName:
				h.says = fmt.Sprintf("a name of %d characters; there may be %d", utf8.RuneCountInString(name), maxName)
			case strings.HasSuffix(name, " "):
				h.says = "a name ends in a blank"
			case strings.HasPrefix(name, "#mysql50#"):
				h.severity, h.says = Warning, "a name that an upgrade of long ago left behind (#mysql50#)"
			case strings.HasPrefix(name, "$") && st.Tokens[at].Kind == ddl.Word:
				h.severity, h.says = Warning, "a name begins with $ and stands without backticks, which is deprecated since MySQL 8.0.32"
			default:
				return
			}
			emit(h)
		}
		switch st.Kind {
		case ddl.CreateTable, ddl.CreateView, ddl.CreateRoutine, ddl.CreateTrigger, ddl.CreateEvent, ddl.CreateDatabase:
			look(st.NameAt, objectOf(st))
		}
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) { look(col.At.From, objectOf(st)+"."+col.Name) })
		eachKey(st, func(k *ddl.Key) {
			if at := nameWithin(st, k.At, k.Name); at >= 0 {
				look(at, objectOf(st))
			}
		})
		eachDefinition(st, func(t *ddl.Table, _ *ddl.Clause) {
			for _, check := range t.Checks {
				if at := nameWithin(st, check.At, check.Name); at >= 0 {
					look(at, objectOf(st))
				}
			}
		})
	})
}

// nameWithin is the token of a name; -1 if there is none.
func nameWithin(st *ddl.Statement, r ddl.Range, name string) int {
	if name == "" {
		return -1
	}
	for i := r.From; i < r.To; i++ {
		if t := st.Tokens[i]; (t.Kind == ddl.Word || t.Kind == ddl.Quoted) && t.Name() == name {
			return i
		}
	}
	return -1
}

// partitioning gives the tokens of a statement that define partitions, if there are any.
func partitioning(st *ddl.Statement, fn func(ddl.Range)) {
	if st.Table != nil && st.Table.Partition > 0 {
		fn(ddl.Range{From: st.Table.Partition, To: st.Table.PartitionEnd})
	}
	for i := range st.Clauses {
		if st.Clauses[i].Verb == ddl.Partitioning {
			fn(st.Clauses[i].At)
		}
	}
}

// partitionBounds finds bounds of RANGE COLUMNS and LIST COLUMNS over times that MySQL reads no more: other
// delimiters than - and :, or more blanks than one.
func partitionBounds(c *checker, emit func(hit)) {
	if !c.opts.To.meets(">=8.0.29") {
		return
	}
	c.each(func(st *ddl.Statement) {
		t := c.state.tables[keyOf(st.Schema, st.Name)]
		if t == nil {
			return
		}
		partitioning(st, func(r ddl.Range) {
			head := ddl.Range{From: r.From, To: min(r.From+12, r.To)}
			columns := slices.ContainsFunc(st.Tokens[head.From:head.To], func(t ddl.Token) bool { return t.Is("COLUMNS") }) // else a bound is an expression
			temporal := columns && slices.ContainsFunc(t.columns, func(col column) bool {
				_, ok := names(st, head, col.is.Name)
				return ok && (col.is.Type == "DATE" || col.is.Type == "DATETIME")
			})
			for i := r.From; temporal && i < r.To; i++ {
				v := st.Tokens[i]
				if v.Kind == ddl.String && i > 0 && st.Tokens[i-1].Is("(", ",") && oddTime(v.Value()) {
					emit(hit{st: st, from: i, to: i + 1, object: t.String()})
				}
			}
		})
	})
}

// oddTime tells whether a text looks like a time and is none that MySQL reads without a warning.
func oddTime(v string) bool {
	if len(v) < 8 || v[0] < '0' || v[0] > '9' {
		return false
	}
	digits := 0
	for i, r := range v {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r == '-' && i < 10, r == ':' && i > 10, r == '.' && i > 16, (r == ' ' || r == 'T') && i == 10 && len(v) > 11:
		default:
			return true
		}
	}
	return digits < 6
}

func partitionFullText(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		if !t.partitioned {
			return
		}
		for _, k := range t.keys {
			if k.is.Kind == ddl.FullText {
				emit(hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String()})
			}
		}
	})
}

// fullTextSettings compares what servers take for a word, if a table has a FULLTEXT key.
func fullTextSettings(c *checker, emit func(hit)) {
	used := false
	c.tables(func(t *table) {
		used = used || slices.ContainsFunc(t.keys, func(k key) bool { return k.is.Kind == ddl.FullText })
	})
	if !used || c.opts.Source == nil {
		return
	}
	const lengths = "words of other lengths are found"
	c.differing(emit, map[string]string{
		"innodb_ft_min_token_size":        lengths,
		"innodb_ft_max_token_size":        lengths,
		"ngram_token_size":                lengths,
		"innodb_ft_enable_stopword":       "other words are passed over",
		"innodb_ft_server_stopword_table": "other words are passed over",
	})
}
