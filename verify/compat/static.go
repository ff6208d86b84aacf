package compat

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"changeover/internal/server"
	"changeover/verify/compat/ddl"
)

// checks are what rules name as their check: what no pattern can say. Each emits the places that it means. Files
// add theirs when the program starts, since the rules' reader asks for them.
var checks = map[string]func(c *checker, emit func(hit)){}

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"if-exists-within":      ifExistsWithin,
		"or-replace":            orReplace,
		"bare-default":          bareDefault,
		"literal-default":       literalDefault,
		"ignored-index":         ignoredIndex,
		"column-words":          columnWords,
		"hash-unique":           hashUnique,
		"check-names":           checkNames,
		"inline-references":     inlineReferences,
		"periods":               periods,
		"full-text-parser":      fullTextParser,
		"zero-default":          zeroDefault,
		"float-digits":          floatDigits,
		"float-auto":            floatAuto,
		"display-width":         displayWidth,
		"year-width":            yearWidth,
		"implicit-timestamp":    implicitTimestamp,
		"collation-missing":     collationMissing,
		"charset-missing":       charsetMissing,
		"charset-unsaid":        charsetUnsaid,
		"utf8mb3":               utf8mb3,
		"no-primary-key":        noPrimaryKey,
		"key-length":            keyLength,
		"whole-text":            wholeText,
		"reserved-name":         reservedName,
		"name-case":             nameCase,
		"maria-comment":         mariaComment,
		"foreign-types":         foreignTypes,
		"foreign-action":        foreignAction,
		"foreign-parent":        foreignParent,
		"definer":               definer,
		"function-kind":         functionKind,
		"old-application":       oldApplication,
		"not-null-added":        notNullAdded,
		"unique-added":          uniqueAdded,
		"narrower-on-way-back":  narrowerOnWayBack,
		"mysql-system-schema":   systemSchema,
		"versions":              versions,
		"several-ddl":           severalDDL,
		"transaction-about-ddl": transactionAboutDDL,
		"session-left":          sessionLeft,
		"destructive":           destructive,
	})
}

func ifExistsWithin(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		switch st.Kind {
		case ddl.AlterTable:
			if st.IfExists {
				emit(hit{st: st, from: 0, to: max(st.NameAt, 1), object: objectOf(st), says: "ALTER TABLE IF EXISTS is MariaDB's; MySQL has no such syntax"})
			}
			for i := range st.Clauses {
				if cl := &st.Clauses[i]; cl.IfExists {
					emit(hit{st: st, from: cl.At.From, to: cl.At.To, object: objectOf(st)})
				}
			}
		case ddl.CreateIndex, ddl.DropIndex, ddl.RenameTable:
			if st.IfExists {
				emit(hit{st: st, from: 0, to: max(st.NameAt, 1), object: objectOf(st)})
			}
		}
	})
}

func orReplace(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		if st.OrReplace && st.Kind != ddl.CreateView {
			emit(hit{st: st, from: 0, to: min(4, len(st.Tokens)), object: objectOf(st)})
		}
	})
}

// times are defaults that need no parentheses.
var times = []string{"CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"}

// oneWord are defaults of one word that need no parentheses.
var oneWord = append([]string{"NULL", "TRUE", "FALSE"}, times...)

func bareDefault(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			d := col.Default
			if d.From+1 < d.To && st.Tokens[d.From].Kind == ddl.Word && st.Tokens[d.From+1].Is("(") && !st.Tokens[d.From].Is(times...) ||
				d.From+1 == d.To && (st.Tokens[d.From].Kind == ddl.Quoted || st.Tokens[d.From].Kind == ddl.Word && !st.Tokens[d.From].Is(oneWord...)) {
				h := hit{st: st, from: d.From, to: d.To, object: objectOf(st) + "." + col.Name}
				if !st.Tokens[d.From].Is("NEXTVAL", "LASTVAL", "SETVAL") { // a sequence's, of which MySQL has none (MDB201)
					h.sql = "DEFAULT (" + st.Between(d) + ")"
				}
				emit(h)
			}
		})
	})
}

// blobs are types whose default must be an expression on MySQL.
var blobs = []string{"TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "JSON", "GEOMETRY", "POINT", "LINESTRING", "POLYGON", "LONG"}

func literalDefault(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			d := col.Default
			if d.From < d.To && slices.Contains(blobs, col.Type) && !st.Tokens[d.From].Is("(", "NULL") {
				emit(hit{st: st, from: d.From, to: d.To, object: objectOf(st) + "." + col.Name, sql: "DEFAULT (" + st.Between(d) + ")"})
			}
		})
	})
}

func ignoredIndex(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachKey(st, func(k *ddl.Key) {
			if i := k.InvisibleAt; i > 0 && st.Tokens[i].Is("IGNORED") {
				emit(hit{st: st, from: i, to: i + 1, object: objectOf(st)})
			}
		})
		if st.Kind == ddl.AlterTable {
			for i := range st.Clauses {
				if at := st.Clauses[i].At; st.Tokens[at.To-1].Is("IGNORED") && st.Clauses[i].Table == nil {
					emit(hit{st: st, from: at.From, to: at.To, object: objectOf(st)})
				}
			}
		}
	})
}

func columnWords(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			for i := col.At.From; i < col.At.To; i++ {
				if st.Tokens[i].Is("COMPRESSED", "PERSISTENT", "REF_SYSTEM_ID") && i > col.TypeAt && !forMariaDB(st.Tokens[i]) {
					emit(hit{st: st, from: i, to: i + 1, object: objectOf(st) + "." + col.Name})
				}
			}
		})
	})
}

func hashUnique(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		for _, k := range t.keys {
			if k.is.Kind != ddl.Unique && k.is.Kind != ddl.Primary {
				continue
			}
			for _, p := range k.is.Parts {
				if col := t.column(p.Column); col != nil && p.Prefix == 0 && slices.Contains(blobs, col.is.Type) && col.is.Type != "JSON" {
					emit(hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String()})
				}
			}
		}
	})
}

func checkNames(c *checker, emit func(hit)) {
	first := map[string]*table{}
	c.tables(func(t *table) {
		for _, check := range t.checks {
			if check.is.Name == "" {
				continue
			}
			k := keyOf(t.schema, check.is.Name)
			if other := first[k]; other != nil && other != t {
				emit(hit{st: check.by, from: check.is.At.From, to: check.is.At.To, object: t.String(),
					says: fmt.Sprintf("the CHECK %s is also one of %s; MySQL wants their names once in a database", check.is.Name, other)})
				continue
			}
			first[k] = t
		}
	})
}

func inlineReferences(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			if r := col.References; r.From < r.To {
				emit(hit{st: st, from: r.From, to: r.To, object: objectOf(st) + "." + col.Name, sql: "FOREIGN KEY (" + col.Name + ") " + st.Between(r)})
			}
		})
	})
}

func periods(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachDefinition(st, func(t *ddl.Table, _ *ddl.Clause) {
			for _, p := range t.Periods {
				if !strings.Contains(strings.ToUpper(st.Between(p)), "SYSTEM_TIME") {
					emit(hit{st: st, from: p.From, to: p.To, object: objectOf(st)})
				}
			}
			for i := range t.Keys {
				if k := &t.Keys[i]; k.Without {
					emit(hit{st: st, from: k.At.From, to: k.At.To, object: objectOf(st)})
				}
			}
		})
	})
}

func fullTextParser(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachKey(st, func(k *ddl.Key) {
			if k.Parser == "" {
				return
			}
			h := hit{st: st, from: k.At.From, to: k.At.To, object: objectOf(st), says: "full-text parser " + k.Parser + ", which the target may not have"}
			if strings.EqualFold(k.Parser, "ngram") {
				h.severity = Warning
			}
			emit(h)
		})
	})
}

func zeroDefault(c *checker, emit func(hit)) {
	var strict Severity // a warning, where the target's mode is not known, or the text sets its own
	if mode, _ := c.targetVariable("sql_mode"); strings.Contains(mode, "STRICT_") && strings.Contains(mode, "NO_ZERO_DATE") {
		strict = Error
	}
	c.each(func(st *ddl.Statement) {
		severity := strict
		if severity != "" && c.setsMode(st) {
			severity = ""
		}
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			d := col.Default
			if d.To-d.From == 1 && slices.Contains([]string{"DATE", "DATETIME", "TIMESTAMP"}, col.Type) {
				if v := strings.Trim(st.Tokens[d.From].Text, `'"`); strings.HasPrefix(v, "0000-") || strings.Contains(v, "-00") || v == "0" {
					emit(hit{st: st, from: d.From, to: d.To, object: objectOf(st) + "." + col.Name, severity: severity})
				}
			}
		})
	})
}

var floats = []string{"FLOAT", "DOUBLE", "DOUBLE PRECISION", "REAL", "FLOAT4", "FLOAT8"}

func floatDigits(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			real := slices.Contains(floats, col.Type)
			if real && (len(col.Args) == 2 || col.Unsigned) || col.Unsigned && slices.Contains([]string{"DECIMAL", "NUMERIC", "DEC", "FIXED"}, col.Type) {
				emit(hit{st: st, from: col.TypeAt, to: col.TypeAt + 1, object: objectOf(st) + "." + col.Name})
			}
		})
	})
}

func floatAuto(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			if col.Auto && slices.Contains(floats, col.Type) {
				h := hit{st: st, from: col.At.From, to: col.At.To, object: objectOf(st) + "." + col.Name}
				if c.opts.To.meets(">=8.4") {
					h.severity = Error
				}
				emit(h)
			}
		})
	})
}

var wholes = []string{"TINYINT", "SMALLINT", "MEDIUMINT", "INT", "INTEGER", "BIGINT"}

func displayWidth(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			width := len(col.Args) == 1 && !(col.Type == "TINYINT" && col.Args[0] == "1") && c.input.live[st.File] == nil // some servers show it always
			if slices.Contains(wholes, col.Type) && (width || col.Zerofill) {
				emit(hit{st: st, from: col.TypeAt, to: min(col.TypeAt+4, col.At.To), object: objectOf(st) + "." + col.Name})
			}
		})
	})
}

func yearWidth(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			if col.Type == "YEAR" && len(col.Args) == 1 {
				h := hit{st: st, from: col.TypeAt, to: col.TypeAt + 4, object: objectOf(st) + "." + col.Name}
				if col.Args[0] != "2" {
					if c.input.live[st.File] != nil { // a MariaDB shows it always
						return
					}
					h.severity = Info
				}
				emit(h)
			}
		})
	})
}

// implicitTimestamp finds TIMESTAMP columns that say too little: under explicit_defaults_for_timestamp=OFF they get a
// default and ON UPDATE, or are NOT NULL, which they are not under ON. A server that was looked at shows all of it.
func implicitTimestamp(c *checker, emit func(hit)) {
	var severity Severity
	if s := c.opts.Source; s != nil {
		switch s.Variables["explicit_defaults_for_timestamp"] {
		case "ON":
			return
		case "OFF":
			severity = Error
		}
	}
	c.each(func(st *ddl.Statement) {
		if c.input.live[st.File] != nil {
			return
		}
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			if col.Type != "TIMESTAMP" || col.Null == ddl.Nullable || col.Generated.From < col.Generated.To {
				return
			}
			h := hit{st: st, from: col.At.From, to: col.At.To, object: objectOf(st) + "." + col.Name, severity: severity}
			said := col.Default.From < col.Default.To || col.OnUpdate.From < col.OnUpdate.To
			switch {
			case !said:
			case col.Null == ddl.Unsaid && !(col.Default.From < col.Default.To && st.Tokens[col.Default.From].Is("NULL")):
				h.says = "TIMESTAMP that says neither NULL nor NOT NULL"
				if severity == "" {
					h.severity = Info
				}
			default:
				return
			}
			emit(h)
		})
	})
}

// eachName goes through the names that stand behind COLLATE, or CHARACTER SET and CHARSET.
func (c *checker) eachName(collation bool, fn func(st *ddl.Statement, at int, name string)) {
	c.each(func(st *ddl.Statement) {
		for i := 0; i < len(st.Tokens); i++ {
			at := 0
			switch {
			case collation && st.Tokens[i].Is("COLLATE"):
				at = i + 1
			case !collation && st.Tokens[i].Is("CHARSET"):
				at = i + 1
			case !collation && st.Tokens[i].Is("SET") && i > 0 && st.Tokens[i-1].Is("CHARACTER", "CHAR"):
				at = i + 1
			default:
				continue
			}
			if at < len(st.Tokens) && st.Tokens[at].Is("=") {
				at++
			}
			if at < len(st.Tokens) && st.Tokens[at].Kind != ddl.Symbol && st.Tokens[at].Kind != ddl.Variable {
				fn(st, at, strings.ToLower(strings.Trim(st.Tokens[at].Name(), `'"`)))
			}
		}
	})
}

func collationMissing(c *checker, emit func(hit)) {
	if len(c.opts.To.Collations) == 0 {
		c.unchecked("the profile %s does not list the target's collations: capture one from a server", c.opts.To.Name)
		return
	}
	c.eachName(true, func(st *ddl.Statement, at int, name string) {
		if name != "default" && name != "binary" && !slices.Contains(c.opts.To.Collations, utf8Name(name)) {
			emit(hit{st: st, from: at, to: at + 1, object: objectOf(st), says: "the target has no collation " + name})
		}
	})
}

func charsetMissing(c *checker, emit func(hit)) {
	if len(c.opts.To.Charsets) == 0 {
		c.unchecked("the profile %s does not list the target's character sets: capture one from a server", c.opts.To.Name)
		return
	}
	c.eachName(false, func(st *ddl.Statement, at int, name string) {
		if name != "default" && !slices.Contains(c.opts.To.Charsets, utf8Name(name)) {
			emit(hit{st: st, from: at, to: at + 1, object: objectOf(st), says: "the target has no character set " + name})
		}
	})
}

// utf8Name is a charset's or collation's name with what utf8 stands for.
func utf8Name(name string) string {
	if name == "utf8" {
		return "utf8mb3"
	}
	if rest, ok := strings.CutPrefix(name, "utf8_"); ok {
		return "utf8mb3_" + rest
	}
	return name
}

var texts = []string{"CHAR", "VARCHAR", "CHARACTER", "CHARACTER VARYING", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "ENUM", "SET"}

func charsetUnsaid(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		if t.unknown || t.options["CHARSET"] != "" || t.options["COLLATE"] != "" {
			return
		}
		h := hit{st: t.made, from: 0, to: min(t.made.NameAt+1, len(t.made.Tokens)), object: t.String(), sql: c.offeredCharset(t)}
		found := false
		for i := range t.columns {
			col := &t.columns[i].is
			if !slices.Contains(texts, col.Type) || col.Charset != "" || col.Collation != "" {
				continue
			}
			found = true
			if t.unique(col.Name) {
				h.says = "nothing is said of the collation of " + col.Name + ", which is in a unique key: what is equal differs between servers"
			}
		}
		if found {
			emit(h)
		}
	})
}

// offeredCharset is what a table that says nothing may say: what its foreign keys' parents say, or else the source's own
// default, so that nothing changes. It is empty where neither is known.
func (c *checker) offeredCharset(t *table) string {
	for _, k := range t.keys {
		if k.is.Kind != ddl.Foreign {
			continue
		}
		if p := c.state.tables[keyOf(cmp.Or(k.is.RefSchema, t.schema), k.is.RefTable)]; p != nil && p.options["CHARSET"] != "" && p.options["COLLATE"] != "" {
			return "DEFAULT CHARSET=" + p.options["CHARSET"] + " COLLATE=" + p.options["COLLATE"]
		}
	}
	collation := ""
	switch {
	case c.opts.Source != nil:
		collation = c.opts.Source.Variables["collation_server"]
	case c.opts.From == server.MariaDB:
		collation = "utf8mb4_general_ci"
	}
	if charset, _, _ := strings.Cut(collation, "_"); charset != "" && !strings.Contains(collation, "uca1400") { // which MySQL has not
		return "DEFAULT CHARSET=" + charset + " COLLATE=" + collation
	}
	return ""
}

// unique tells whether a column is in a unique key.
func (t *table) unique(column string) bool {
	return slices.ContainsFunc(t.keys, func(k key) bool {
		return (k.is.Kind == ddl.Unique || k.is.Kind == ddl.Primary) && slices.ContainsFunc(k.is.Parts, func(p ddl.Part) bool { return strings.EqualFold(p.Column, column) })
	})
}

func utf8mb3(c *checker, emit func(hit)) {
	c.eachName(false, func(st *ddl.Statement, at int, name string) {
		if name == "utf8" || name == "utf8mb3" {
			emit(hit{st: st, from: at, to: at + 1, object: objectOf(st)})
		}
	})
}

func noPrimaryKey(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		if t.unknown {
			return
		}
		h := hit{st: t.made, from: 0, to: min(t.made.NameAt+1, len(t.made.Tokens)), object: t.String()}
		for _, k := range t.keys {
			if k.is.Kind == ddl.Primary {
				return
			}
			if k.is.Kind == ddl.Unique && t.whole(&k.is) {
				h.severity, h.says = Warning, "no primary key; its unique key over columns that are NOT NULL takes the place"
			}
		}
		emit(h)
	})
}

// whole tells whether a key is over whole columns that are NOT NULL.
func (t *table) whole(k *ddl.Key) bool {
	for _, p := range k.Parts {
		if col := t.column(p.Column); col == nil || p.Prefix > 0 || col.is.Null != ddl.NotNull {
			return false
		}
	}
	return len(k.Parts) > 0
}

// widths are the bytes of a character at most.
var widths = map[string]int{"utf8mb4": 4, "utf8": 3, "utf8mb3": 3, "ucs2": 2, "utf16": 4, "utf16le": 4, "utf32": 4, "gbk": 2, "sjis": 2, "big5": 2, "euckr": 2, "gb2312": 2, "cp932": 2, "ujis": 3, "eucjpms": 3, "gb18030": 4}

// What an index of InnoDB takes, in bytes, with pages of 16 KiB: the whole, and of each column. Rows that are COMPACT
// or REDUNDANT have room for less of one.
const (
	maxKey      = 3072
	maxOldStyle = 767
)

func keyLength(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		limit := maxKey
		if f := strings.ToUpper(t.options["ROW_FORMAT"]); f == "COMPACT" || f == "REDUNDANT" {
			limit = maxOldStyle
		}
		for _, k := range t.keys {
			if k.is.Kind == ddl.FullText || k.is.Kind == ddl.Spatial || k.is.Kind == ddl.Foreign || k.is.Kind == ddl.VectorKey {
				continue
			}
			h := hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String()}
			sum, sure := 0, true
			for _, p := range k.is.Parts {
				n, said := t.partBytes(p)
				sum, sure = sum+n, sure && said
				if n > limit {
					h.says = fmt.Sprintf("column %s takes up to %d bytes of the index, and InnoDB takes %d", p.Column, n, limit)
				}
			}
			if h.says == "" && sum > maxKey {
				h.says = fmt.Sprintf("its columns take up to %d bytes of the index, and InnoDB takes %d", sum, maxKey)
			}
			if h.says == "" {
				continue
			}
			if !sure { // in another character set than the target's default it may fit
				h.severity = Warning
			}
			emit(h)
		}
	})
}

// partBytes is how long a part of a key may be; 0 if it is not known. Sure is false where nothing is said of the
// column's character set, so that it is the database's.
func (t *table) partBytes(p ddl.Part) (n int, sure bool) {
	col := t.column(p.Column)
	if col == nil {
		return 0, true
	}
	length := p.Prefix
	switch {
	case slices.Contains([]string{"CHAR", "CHARACTER", "VARCHAR", "CHARACTER VARYING", "NVARCHAR", "VARBINARY"}, col.is.Type):
		if length == 0 && len(col.is.Args) == 1 {
			length, _ = strconv.Atoi(col.is.Args[0])
		}
	case slices.Contains(blobs, col.is.Type) || strings.HasSuffix(col.is.Type, "BINARY"):
		if length == 0 {
			return 0, true
		}
	default:
		n, _, _ = t.columnBytes(&col.is)
		return n, true
	}
	if strings.HasSuffix(col.is.Type, "BINARY") || strings.HasSuffix(col.is.Type, "BLOB") {
		return length, true
	}
	width, sure := t.width(&col.is)
	return length * width, sure
}

// documents are the types of which MySQL indexes no whole value.
var documents = []string{"TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "JSON"}

// wholeText finds keys over whole TEXT, BLOB or JSON. Those that are unique over text are MDB211's.
func wholeText(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		for _, k := range t.keys {
			if k.is.Kind != ddl.Plain && k.is.Kind != ddl.Unique && k.is.Kind != ddl.Primary {
				continue
			}
			for _, p := range k.is.Parts {
				col := t.column(p.Column)
				if col == nil || p.Prefix > 0 || !slices.Contains(documents, col.is.Type) || k.is.Kind != ddl.Plain && col.is.Type != "JSON" {
					continue
				}
				emit(hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String() + "." + p.Column, says: "a key over whole " + col.is.Type})
			}
		}
	})
}

func reservedName(c *checker, emit func(hit)) {
	if len(c.opts.To.Reserved) == 0 {
		c.unchecked("the profile %s does not list the target's reserved words: capture one from a server", c.opts.To.Name)
		return
	}
	reserved := map[string]bool{}
	for _, w := range c.opts.To.Reserved {
		reserved[w] = true
	}
	look := func(st *ddl.Statement, i int, object string) {
		if i < 0 || i >= len(st.Tokens) || !reserved[strings.ToUpper(st.Tokens[i].Name())] {
			return
		}
		h := hit{st: st, from: i, to: i + 1, object: object, sql: "`" + st.Tokens[i].Name() + "`"}
		if st.Tokens[i].Kind == ddl.Quoted {
			h.severity, h.says = Info, fmt.Sprintf("%s is a reserved word of the target: whoever writes it without backticks fails", strings.ToUpper(st.Tokens[i].Name()))
		} else {
			h.says = fmt.Sprintf("%s is a reserved word of the target, and stands without backticks", strings.ToUpper(st.Tokens[i].Name()))
		}
		emit(h)
	}
	c.each(func(st *ddl.Statement) {
		switch st.Kind {
		case ddl.CreateTable, ddl.CreateView, ddl.CreateRoutine, ddl.CreateTrigger, ddl.CreateEvent:
			look(st, st.NameAt, objectOf(st))
		}
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) { look(st, col.At.From, objectOf(st)+"."+col.Name) })
		for _, i := range usedNames(st) {
			look(st, i, objectOf(st))
		}
	})
}

// since8 are words that are reserved since MySQL 8.0, and stand behind AS for nothing but a name.
var since8 = []string{"CUBE", "CUME_DIST", "DENSE_RANK", "EMPTY", "EXCEPT", "FIRST_VALUE", "FUNCTION", "GROUPING", "GROUPS", "INTERSECT", "LAG", "LAST_VALUE", "LEAD",
	"NTH_VALUE", "NTILE", "OF", "OVER", "PERCENT_RANK", "RANK", "RECURSIVE", "ROW", "ROWS", "ROW_NUMBER", "SYSTEM", "WINDOW", "QUALIFY", "TABLESAMPLE"}

// usedNames are the tokens that are names, beyond doubt, in programs, changes and queries: variables that are declared,
// columns of an INSERT, and aliases behind AS. Those in backticks do no harm there.
func usedNames(st *ddl.Statement) (at []int) {
	word := func(i int) bool { return i < len(st.Tokens) && st.Tokens[i].Kind == ddl.Word }
	for i := 0; i+1 < len(st.Tokens); i++ {
		switch t := st.Tokens[i]; {
		case t.Is("DECLARE") && st.Body > 0:
			for i++; word(i) && !st.Tokens[i].Is("CONTINUE", "EXIT", "UNDO"); i += 2 {
				at = append(at, i)
				if i+1 < len(st.Tokens) && !st.Tokens[i+1].Is(",") {
					break
				}
			}
		case t.Is("AS") && word(i+1) && st.Tokens[i+1].Is(since8...) && (i+2 == len(st.Tokens) || st.Tokens[i+2].Is(",", "FROM", ";", ")")):
			at = append(at, i+1)
		}
	}
	if st.Kind != ddl.Change || !st.Tokens[0].Is("INSERT", "REPLACE") || st.NameAt < 0 {
		return at
	}
	for i := st.NameAt + 1; word(i+1) && st.Tokens[i].Is("(", ",") && !st.Tokens[i+1].Is("SELECT", "WITH", "VALUES", "TABLE"); i += 2 {
		at = append(at, i+1)
	}
	return at
}

func nameCase(c *checker, emit func(hit)) {
	seen := map[string]string{}
	c.each(func(st *ddl.Statement) {
		if st.Kind != ddl.CreateTable || st.NameAt < 0 {
			return
		}
		name, k := objectOf(st), strings.ToLower(objectOf(st))
		if other := seen[k]; other != "" && other != name {
			emit(hit{st: st, from: st.NameAt, to: st.NameAt + 1, object: name, says: "differs from " + other + " in the case of letters only"})
		}
		seen[k] = name
	})
}

// forMariaDB tells whether a token stands in a comment that only MariaDB executes.
func forMariaDB(t ddl.Token) bool {
	return t.Gate != nil && (t.Gate.MariaDB || t.Gate.Version >= 100000)
}

func mariaComment(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		for i := 0; i < len(st.Tokens); i++ {
			g := st.Tokens[i].Gate
			if !forMariaDB(st.Tokens[i]) || st.Kind == ddl.Set { // what a dump says to its own server makes no definition
				continue
			}
			end := i
			for end < len(st.Tokens) && st.Tokens[end].Gate == g {
				end++
			}
			emit(hit{st: st, from: i, to: end, object: objectOf(st)})
			i = end - 1
		}
	})
}
