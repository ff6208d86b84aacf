package compat

import (
	"maps"
	"path"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

func init() {
	maps.Copy(checks, map[string]func(*checker, func(hit)){
		"torn-text":      tornText,
		"unread-column":  unreadColumn,
		"empty-file":     emptyFile,
		"engine-missing": engineMissing,
	})
}

// tornText finds quotes, comments and parentheses that nothing closes, and commas with nothing between them.
func tornText(c *checker, emit func(hit)) {
	for i := range c.files {
		f := c.files[i].file
		if c.input.live[f] != nil {
			continue
		}
		torn := f.Torn()
		if torn >= 0 {
			what, n := "quote", 1
			if f.Text[torn] == '/' {
				what, n = "comment", 2
			}
			end := min(torn+n, len(f.Text))
			emit(hit{st: &ddl.Statement{File: f, Start: torn, End: end}, object: path.Base(f.Name), evidence: f.Text[torn:end],
				says: "nothing closes the " + what + " that begins here (or one before it): what follows is not read"})
		}
		for j := range c.files[i].statements {
			st := &c.files[i].statements[j]
			if torn < 0 || j+1 < len(c.files[i].statements) { // else what is torn stands in it
				parentheses(st, emit)
			}
			commas(st, emit)
		}
	}
}

// parentheses finds those of a statement that nothing closes, or opens. What stands in executable comments may be
// half of something that only one server reads.
func parentheses(st *ddl.Statement, emit func(hit)) {
	var open []int
	for i, t := range st.Tokens {
		h := hit{st: st, from: i, to: i + 1, object: objectOf(st)}
		switch {
		case t.Is("(", ")") && t.Gate != nil:
			return
		case t.Is("("):
			open = append(open, i)
		case t.Is(")") && len(open) == 0:
			h.says = "nothing opens this parenthesis"
			emit(h)
			return
		case t.Is(")"):
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		i := open[len(open)-1]
		emit(hit{st: st, from: i, to: i + 1, object: objectOf(st), says: "nothing closes this parenthesis"})
	}
}

// commas finds a comma before a closing parenthesis, and definitions that are missing between commas.
func commas(st *ddl.Statement, emit func(hit)) {
	if st.Kind == ddl.Other {
		return
	}
	for i := 1; i < len(st.Tokens); i++ {
		if before, t := st.Tokens[i-1], st.Tokens[i]; t.Is(")") && before.Is(",") && t.Gate == nil && before.Gate == nil {
			emit(hit{st: st, from: i - 1, to: i + 1, object: objectOf(st), says: "a comma, and nothing behind it"})
		}
	}
	eachDefinition(st, func(t *ddl.Table, _ *ddl.Clause) {
		for _, at := range t.Odd {
			if token := st.Tokens[at]; token.Is(",") && token.Gate == nil && st.Tokens[max(at-1, 0)].Gate == nil {
				emit(hit{st: st, from: at, to: at + 1, object: objectOf(st), says: "a comma, and nothing before it"})
			}
		}
	})
}

// known are the types that a MySQL or a MariaDB has; MDB206 says which of them MySQL has not.
var known = strings.Fields(`BIT BOOL BOOLEAN TINYINT SMALLINT MEDIUMINT INT INTEGER BIGINT INT1 INT2 INT3 INT4 INT8 MIDDLEINT
	REAL DOUBLE FLOAT FLOAT4 FLOAT8 DECIMAL NUMERIC FIXED DEC SERIAL CHAR CHARACTER VARCHAR VARCHARACTER NCHAR NVARCHAR NATIONAL
	BINARY VARBINARY YEAR DATE TIME TIMESTAMP DATETIME TINYBLOB BLOB MEDIUMBLOB LONGBLOB LONG TINYTEXT TEXT MEDIUMTEXT LONGTEXT
	ENUM SET JSON GEOMETRY GEOMETRYCOLLECTION GEOMCOLLECTION POINT LINESTRING POLYGON MULTIPOINT MULTILINESTRING MULTIPOLYGON VECTOR
	INET4 INET6 UUID XMLTYPE VARCHAR2 NUMBER RAW CLOB`)

// attributes are words in a column's definition that the reader passes over, since no rule but those for MariaDB's
// own asks for them.
var attributes = strings.Fields(`COMPRESSED PERSISTENT REF_SYSTEM_ID COLUMN_FORMAT FIXED DYNAMIC DEFAULT STORAGE DISK MEMORY SERIAL VALUE
	WITH WITHOUT SYSTEM VERSIONING ROW START END ENGINE_ATTRIBUTE SECONDARY_ENGINE_ATTRIBUTE VISIBLE INVISIBLE NOT SECONDARY ENFORCED`)

// unreadColumn finds types, and words of columns, that neither server has, MariaDB's VECTOR keys, and names in double
// quotes where those are strings.
func unreadColumn(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		if c.input.live[st.File] != nil {
			return
		}
		eachDefinition(st, func(t *ddl.Table, _ *ddl.Clause) {
			for i := range t.Columns {
				unreadWords(st, &t.Columns[i], emit)
			}
			for i := range t.Keys {
				if k := &t.Keys[i]; k.Kind == ddl.VectorKey && !forMariaDB(st.Tokens[k.At.From]) {
					emit(hit{st: st, from: k.At.From, to: k.At.To, object: objectOf(st), says: "a VECTOR key, which MySQL has not"})
				}
			}
			for _, at := range t.Odd {
				if st.Tokens[at].Kind == ddl.String && st.Tokens[at].Gate == nil {
					c.quotedName(st, at, emit)
				}
			}
		})
	})
}

// unreadWords finds the first word of a column that no server reads.
func unreadWords(st *ddl.Statement, col *ddl.Column, emit func(hit)) {
	h := hit{st: st, object: objectOf(st) + "." + col.Name}
	if first, _, _ := strings.Cut(col.Type, " "); col.Type != "" && !slices.Contains(known, first) && st.Tokens[col.TypeAt].Gate == nil {
		h.from, h.to, h.says = col.TypeAt, col.TypeAt+1, "there is no type "+col.Type
		emit(h)
		return
	}
	for _, at := range col.Rest {
		if t := st.Tokens[at]; at > col.TypeAt && t.Gate == nil && !t.Is(attributes...) {
			h.from, h.to, h.says = at, at+1, t.Text+" is no word of a column's definition"
			emit(h)
			return
		}
	}
}

// quotedName is a string where a name must stand; under ANSI_QUOTES it is one.
func (c *checker) quotedName(st *ddl.Statement, at int, emit func(hit)) {
	h := hit{st: st, from: at, to: at + 1, object: objectOf(st), says: "a string where a name must stand; it is a name under ANSI_QUOTES only (--ansi-quotes)"}
	if mode, known := c.targetVariable("sql_mode"); strings.HasPrefix(st.Tokens[at].Text, `"`) && (!known || strings.Contains(mode, "ANSI_QUOTES") || c.setsMode(st)) {
		h.severity = Warning
	}
	emit(h)
}

// setsMode tells whether an earlier statement of a text sets sql_mode, so that the target's own is not the one that counts.
func (c *checker) setsMode(before *ddl.Statement) bool {
	for i := range c.files {
		if t := &c.files[i]; t.file == before.File {
			if t.mode == nil {
				at := t.firstMode()
				t.mode = &at
			}
			return *t.mode < before.Start
		}
	}
	return false
}

// firstMode is the byte at which a statement first sets sql_mode; behind the text if none does.
func (t *readText) firstMode() int {
	for i := range t.statements {
		st, found := &t.statements[i], false
		if st.Kind == ddl.Set {
			assigned(st, func(name string, _, _ int) { found = found || name == "sql_mode" })
		}
		if found {
			return st.Start
		}
	}
	return len(t.file.Text)
}

// emptyFile finds files of steps in which there is nothing, not even a comment: the driver sends them all the same.
func emptyFile(c *checker, emit func(hit)) {
	if len(c.input.Steps) == 0 {
		return
	}
	for i := range c.files {
		if f := c.files[i].file; strings.TrimSpace(f.Text) == "" {
			name := path.Base(f.Name)
			emit(hit{object: name, evidence: name, says: name + " is empty"})
		}
	}
}

// foreignEngines are engines that only MariaDB has.
var foreignEngines = []string{"ARIA", "MARIA", "TOKUDB", "CONNECT", "ROCKSDB", "COLUMNSTORE", "S3", "SPIDER", "MROONGA", "OQGRAPH", "SEQUENCE", "SPHINX"}

// engineMissing finds tables in engines that only MariaDB has. Without NO_ENGINE_SUBSTITUTION, as in a dump that sets
// sql_mode, MySQL takes InnoDB and gives a warning.
func engineMissing(c *checker, emit func(hit)) {
	c.each(func(st *ddl.Statement) {
		eachOption(st, func(o *ddl.Option) {
			if o.Name != "ENGINE" || !slices.Contains(foreignEngines, strings.ToUpper(o.Value)) || forMariaDB(st.Tokens[o.At.From]) {
				return
			}
			h := hit{st: st, from: o.At.From, to: o.At.To, object: objectOf(st), says: "MySQL has no engine " + o.Value}
			mode, ok := c.targetVariable("sql_mode")
			if ok && !strings.Contains(mode, "NO_ENGINE_SUBSTITUTION") || c.setsMode(st) {
				h.severity, h.says = Warning, "MySQL has no engine "+o.Value+", and takes InnoDB without a word under this sql_mode"
			}
			emit(h)
		})
	})
}
