package compat

import (
	"fmt"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// checks are what rules name as their check: what no pattern can say. Each emits the places that it means.
var checks map[string]func(c *checker, emit func(hit))

func init() { // the rules' file reader asks for it, so it can't be initialized where it is
	checks = map[string]func(*checker, func(hit)){
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
		"no-down":               noDown,
		"delimiter":             delimiter,
		"several-ddl":           severalDDL,
		"transaction-about-ddl": transactionAboutDDL,
		"session-left":          sessionLeft,
		"destructive":           destructive,
	}
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

func bareDefault(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			d := col.Default
			if d.From+1 < d.To && st.Tokens[d.From].Kind == ddl.Word && st.Tokens[d.From+1].Is("(") && !st.Tokens[d.From].Is(times...) ||
				d.From < d.To && st.Tokens[d.From].Is("CURDATE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_USER", "UTC_TIMESTAMP", "UTC_DATE") {
				emit(hit{st: st, from: d.From, to: d.To, object: objectOf(st) + "." + col.Name, sql: "DEFAULT (" + st.Between(d) + ")"})
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
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			d := col.Default
			if d.To-d.From == 1 && slices.Contains([]string{"DATE", "DATETIME", "TIMESTAMP"}, col.Type) {
				if v := strings.Trim(st.Tokens[d.From].Text, `'"`); strings.HasPrefix(v, "0000-") || strings.Contains(v, "-00") || v == "0" {
					emit(hit{st: st, from: d.From, to: d.To, object: objectOf(st) + "." + col.Name})
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
				emit(hit{st: st, from: col.At.From, to: col.At.To, object: objectOf(st) + "." + col.Name})
			}
		})
	})
}

var wholes = []string{"TINYINT", "SMALLINT", "MEDIUMINT", "INT", "INTEGER", "BIGINT"}

func displayWidth(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			if slices.Contains(wholes, col.Type) && (len(col.Args) == 1 && !(col.Type == "TINYINT" && col.Args[0] == "1") || col.Zerofill) {
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
					h.severity = Info
				}
				emit(h)
			}
		})
	})
}

func implicitTimestamp(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachColumn(st, func(col *ddl.Column, _ *ddl.Clause) {
			if col.Type == "TIMESTAMP" && col.Null != ddl.Nullable && col.Default.From == col.Default.To && col.OnUpdate.From == col.OnUpdate.To && col.Generated.From == col.Generated.To {
				emit(hit{st: st, from: col.At.From, to: col.At.To, object: objectOf(st) + "." + col.Name})
			}
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
		for _, col := range t.columns {
			if slices.Contains(texts, col.is.Type) && col.is.Charset == "" && col.is.Collation == "" {
				emit(hit{st: t.made, from: 0, to: min(t.made.NameAt+1, len(t.made.Tokens)), object: t.String()})
				return
			}
		}
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

// maxKey is what an index of InnoDB takes, in bytes, with DYNAMIC rows and pages of 16 KiB.
const maxKey = 3072

func keyLength(c *checker, emit func(hit)) {
	c.tables(func(t *table) {
		for _, k := range t.keys {
			if k.is.Kind == ddl.FullText || k.is.Kind == ddl.Spatial || k.is.Kind == ddl.Foreign {
				continue
			}
			for _, p := range k.is.Parts {
				if n := t.partBytes(p); n > maxKey {
					emit(hit{st: k.by, from: k.is.At.From, to: k.is.At.To, object: t.String(),
						says: fmt.Sprintf("column %s takes up to %d bytes of the index, and InnoDB takes %d", p.Column, n, maxKey)})
				}
			}
		}
	})
}

// partBytes is how long a part of a key over text or bytes may be; 0 if it is something else, or not known.
func (t *table) partBytes(p ddl.Part) int {
	col := t.column(p.Column)
	if col == nil {
		return 0
	}
	length := p.Prefix
	if length == 0 {
		if len(col.is.Args) != 1 || !slices.Contains([]string{"CHAR", "VARCHAR", "VARBINARY", "BINARY", "CHARACTER VARYING"}, col.is.Type) {
			return 0
		}
		_, _ = fmt.Sscan(col.is.Args[0], &length)
	}
	if strings.HasSuffix(col.is.Type, "BINARY") || strings.HasSuffix(col.is.Type, "BLOB") {
		return length
	}
	charset := strings.ToLower(col.is.Charset)
	if charset == "" && col.is.Collation != "" {
		charset, _, _ = strings.Cut(strings.ToLower(col.is.Collation), "_")
	}
	if charset == "" {
		charset = strings.ToLower(t.options["CHARSET"])
	}
	if charset == "" && t.options["COLLATE"] != "" {
		charset, _, _ = strings.Cut(strings.ToLower(t.options["COLLATE"]), "_")
	}
	if charset == "" {
		charset = "utf8mb4" // the target's default
	}
	return length * max(1, widths[charset])
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
	})
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
			if !forMariaDB(st.Tokens[i]) {
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
