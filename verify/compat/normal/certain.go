package normal

import (
	"fmt"
	"slices"
	"strings"

	"changeover/verify/compat/ddl"
)

// ledger counts the words of a statement that nobody has accounted for yet.
type ledger struct {
	st   *ddl.Statement
	left map[string]int
}

func newLedger(st *ddl.Statement) *ledger {
	l := &ledger{st: st, left: map[string]int{}}
	for _, t := range st.Tokens {
		l.left[spelling(t)]++
	}
	return l
}

// spelling is a token, as what it means: quotes of one kind, keywords in small letters.
func spelling(t ddl.Token) string {
	switch t.Kind {
	case ddl.Quoted:
		return "`" + t.Name() + "`"
	case ddl.String:
		return quote(t.Value())
	}
	return strings.ToLower(t.Text)
}

// words accounts for keywords and signs.
func (l *ledger) words(list ...string) {
	for _, w := range list {
		l.left[w]--
	}
}

// name accounts for a name, which the server may have left without quotes.
func (l *ledger) name(n string) {
	if bare := strings.ToLower(n); l.left["`"+n+"`"] <= 0 && l.left[bare] > 0 {
		l.left[bare]--
		return
	}
	l.left["`"+n+"`"]--
}

// span accounts for all that stands there.
func (l *ledger) span(at ddl.Range) {
	for i := at.From; i < at.To; i++ {
		l.left[spelling(l.st.Tokens[i])]--
	}
}

// rest is the first word that is left, or else a sign, or what should be there and is not.
func (l *ledger) rest() string {
	for _, words := range []bool{true, false} {
		for _, t := range l.st.Tokens {
			if l.left[spelling(t)] > 0 && (t.Kind == ddl.Word || !words) {
				return fmt.Sprintf("%s is not understood", spelling(t))
			}
		}
	}
	var missing []string
	for w, n := range l.left {
		if n < 0 {
			missing = append(missing, w)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("%s was read and is not there", slices.Min(missing))
}

// misread accounts for every word of a CREATE TABLE by what the reader made of it, and says what does not come
// out even; empty if all does. A table of which a word was passed over may have more than its normal form shows.
func (r *reader) misread(st *ddl.Statement) string {
	l, t := newLedger(st), st.Table
	if t.Like || t.Select {
		return "it is made like another, or from a query"
	}
	l.words("create", "table", "(", ")")
	if st.Schema != "" {
		l.name(st.Schema)
		l.words(".")
	}
	l.name(st.Name)
	for range len(t.Columns) + len(t.Keys) + len(t.Checks) + len(t.Periods) - 1 {
		l.words(",")
	}
	for i := range t.Columns {
		l.column(&t.Columns[i])
	}
	for i := range t.Keys {
		l.key(&t.Keys[i])
	}
	for _, c := range t.Checks {
		l.span(c.At)
	}
	for _, p := range t.Periods {
		l.span(p)
	}
	l.options(t.Options)
	l.span(ddl.Range{From: t.Partition, To: t.PartitionEnd})
	return l.rest()
}

// harmless are words of a column of which nothing is lost when the reader only notes them.
var harmless = []string{"COLUMN_FORMAT", "STORAGE", "FIXED", "DYNAMIC", "DISK", "MEMORY", "COMPRESSED", "ROW", "START", "END", "WITHOUT", "SYSTEM", "VERSIONING"}

func (l *ledger) column(c *ddl.Column) {
	l.name(c.Name)
	kind := strings.Fields(strings.ToLower(c.Type))
	l.words(kind...)
	if behind := c.TypeAt + len(kind); len(c.Args) > 0 {
		l.span(ddl.Range{From: behind, To: l.closing(behind)})
	}
	for word, is := range map[string]bool{"unsigned": c.Unsigned, "zerofill": c.Zerofill, "auto_increment": c.Auto, "invisible": c.Invisible} {
		if is {
			l.words(word)
		}
	}
	if c.Charset != "" {
		l.words("character", "set", strings.ToLower(c.Charset))
	}
	if c.Collation != "" {
		l.words("collate", strings.ToLower(c.Collation))
	}
	switch c.Null {
	case ddl.NotNull:
		l.words("not", "null")
	case ddl.Nullable:
		l.words("null")
	}
	l.after(c.Default, "default")
	l.after(c.OnUpdate, "on", "update")
	l.generated(c)
	if c.Comment != "" {
		l.words("comment", quote(c.Comment))
	}
	l.span(c.SRID)
	for _, check := range c.Checks {
		l.span(check.At)
	}
	for _, i := range c.Rest {
		if l.st.Tokens[i].Is(harmless...) {
			l.span(ddl.Range{From: i, To: i + 1})
		}
	}
}

func (l *ledger) generated(c *ddl.Column) {
	row := slices.ContainsFunc(c.Rest, func(i int) bool { return l.st.Tokens[i].Is("ROW") })
	if c.Generated.From >= c.Generated.To && !row {
		return
	}
	l.words("generated", "always", "as")
	l.span(c.Generated)
	switch {
	case row:
	case c.Stored && l.left["stored"] > 0:
		l.words("stored")
	case c.Stored:
		l.words("persistent")
	default:
		l.words("virtual")
	}
}

// after accounts for keywords and what stands behind them, if it does.
func (l *ledger) after(at ddl.Range, words ...string) {
	if at.From < at.To {
		l.words(words...)
		l.span(at)
	}
}

// closing is behind the parenthesis that closes the one at i.
func (l *ledger) closing(i int) int {
	for depth := 0; i < len(l.st.Tokens); i++ {
		switch t := l.st.Tokens[i]; {
		case t.Is("("):
			depth++
		case t.Is(")"):
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return i
}

var keyWords = map[ddl.KeyKind][]string{ddl.Plain: {"key"}, ddl.Primary: {"primary", "key"}, ddl.Unique: {"unique", "key"}, ddl.FullText: {"fulltext", "key"},
	ddl.Spatial: {"spatial", "key"}, ddl.VectorKey: {"vector", "key"}, ddl.Foreign: {"foreign", "key", "references"}}

func (l *ledger) key(k *ddl.Key) {
	l.words(keyWords[k.Kind]...)
	if k.Constraint != "" {
		l.words("constraint")
		l.name(k.Constraint)
	} else if k.Name != "" {
		l.name(k.Name)
	}
	if k.IndexName != "" {
		l.name(k.IndexName)
	}
	l.parts(k)
	if k.Kind == ddl.Foreign {
		l.references(k)
		return
	}
	if k.Using != "" {
		l.words("using", strings.ToLower(k.Using))
	}
	if k.Parser != "" {
		l.words("with", "parser")
		l.name(k.Parser)
	}
	if k.Invisible {
		l.span(ddl.Range{From: k.InvisibleAt, To: k.InvisibleAt + 1})
	}
	if k.Without {
		l.words("without", "overlaps")
	}
	l.options(k.Options)
}

// known are options of tables and keys besides those of storing. Most are no matter to what a table is.
var known = []string{"ENGINE", "AUTO_INCREMENT", "CHARSET", "COLLATE", "COMMENT", "ROW_FORMAT", "KEY_BLOCK_SIZE", "MIN_ROWS", "MAX_ROWS", "AVG_ROW_LENGTH",
	"PACK_KEYS", "CHECKSUM", "DELAY_KEY_WRITE", "STATS_PERSISTENT", "STATS_AUTO_RECALC", "STATS_SAMPLE_PAGES", "TRANSACTIONAL", "PAGE_CHECKSUM",
	"PAGE_COMPRESSION_LEVEL", "INSERT_METHOD", "AUTOEXTEND_SIZE", "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE", "STORAGE", "SYSTEM VERSIONING",
	"M", "DISTANCE"}

func (l *ledger) options(options []ddl.Option) {
	for _, o := range options {
		if _, ok := storing[o.Name]; ok || slices.Contains(known, o.Name) {
			l.span(o.At)
		}
	}
}

// commas accounts for a list in parentheses.
func (l *ledger) commas(n int) {
	l.words("(", ")")
	for range n - 1 {
		l.words(",")
	}
}

func (l *ledger) parts(k *ddl.Key) {
	l.commas(len(k.Parts))
	for _, p := range k.Parts {
		if p.Column == "" {
			l.span(p.Expr)
		} else {
			l.name(p.Column)
		}
		if p.Prefix > 0 {
			l.words("(", fmt.Sprint(p.Prefix), ")")
		}
		if p.Desc {
			l.words("desc")
		}
	}
}

func (l *ledger) references(k *ddl.Key) {
	if k.RefSchema != "" {
		l.name(k.RefSchema)
		l.words(".")
	}
	l.name(k.RefTable)
	l.commas(len(k.RefColumns))
	for _, c := range k.RefColumns {
		l.name(c)
	}
	if k.OnDelete != "" {
		l.words("on", "delete")
		l.words(strings.Fields(strings.ToLower(k.OnDelete))...)
	}
	if k.OnUpdate != "" {
		l.words("on", "update")
		l.words(strings.Fields(strings.ToLower(k.OnUpdate))...)
	}
}

// contradicted says in what the reader's view of a table is not information_schema's; empty if it is.
func (r *reader) contradicted(t *table, o *Object) string {
	if o.Columns == nil {
		return ""
	}
	if len(o.Columns) != len(t.columns) {
		return fmt.Sprintf("information_schema has %d columns, SHOW CREATE TABLE %d", len(o.Columns), len(t.columns))
	}
	if c := collationName(o.Collation); c != "" && c != t.collation {
		return fmt.Sprintf("its collation is %s in information_schema, and %s by SHOW CREATE TABLE", c, t.collation)
	}
	if e := strings.ToLower(o.Engine); e != "" && e != t.engine {
		return fmt.Sprintf("its engine is %s in information_schema, and %s by SHOW CREATE TABLE", e, t.engine)
	}
	for i := range o.Columns {
		if what, a, b := r.differs(t, o, &o.Columns[i], t.columns[i]); what != "" {
			return fmt.Sprintf("%s of column %s is %q in information_schema, and %q by SHOW CREATE TABLE", what, t.columns[i].name, a, b)
		}
	}
	return ""
}

// differs compares a column with what information_schema has. The same reader reads both, so that the spelling is
// no matter.
func (r *reader) differs(t *table, o *Object, f *Facts, c *column) (what, a, b string) {
	if f.Name != c.name {
		return "the name", f.Name, c.name
	}
	g := r.fromFacts(t, o, f)
	if g == nil {
		return "the type", f.Type, c.kind
	}
	extra := strings.ToLower(f.Extra)
	valued := c.value.form
	if valued == noDefault {
		valued = ""
	}
	for _, x := range []struct{ what, a, b string }{
		{"the type", g.kind, c.kind},
		{"NULL", fmt.Sprint(f.Nullable), fmt.Sprint(!c.notNull)},
		{"the collation", collationName(f.Collation), c.collation},
		{"the default", g.value.form, valued},
		{"the expression", g.generated.form, c.generated.form},
		{"AUTO_INCREMENT", fmt.Sprint(strings.Contains(extra, "auto_increment")), fmt.Sprint(c.auto)},
		{"ON UPDATE", fmt.Sprint(strings.Contains(extra, "on update")), fmt.Sprint(c.onUpdate.is())},
		{"INVISIBLE", fmt.Sprint(strings.Contains(extra, "invisible")), fmt.Sprint(c.invisible)},
	} {
		if plain(x.a) != plain(x.b) {
			return x.what, x.a, x.b
		}
	}
	return "", "", ""
}

// fromFacts reads a column from information_schema's words for it; nil if they make none.
func (r *reader) fromFacts(t *table, o *Object, f *Facts) *column {
	sql := "CREATE TABLE t (c " + f.Type
	generated := f.Generation
	if g := strings.ToUpper(generated); g == "ROW START" || g == "ROW END" {
		generated = ""
	}
	if generated != "" {
		if !r.maria() {
			generated = unescaped(generated)
		}
		sql += " AS (" + generated + ")"
	}
	if f.Collation != "" {
		sql += " COLLATE " + f.Collation
	}
	if !f.Nullable {
		sql += " NOT NULL"
	}
	if f.Default.Valid && generated == "" {
		sql += " DEFAULT " + r.defaultOf(f)
	}
	st := r.statement(&Object{Schema: o.Schema, Name: o.Name, SQL: sql + ")"})
	if st == nil || st.Table == nil || len(st.Table.Columns) != 1 {
		return nil
	}
	c := r.column(t, o, st, &st.Table.Columns[0])
	if c.value.form == noDefault {
		c.value.form = ""
	}
	return c
}

// defaultOf is a default as SQL. MariaDB has it so since 10.2.7; MySQL has the value as it is, or an expression
// whose quotes are escaped.
func (r *reader) defaultOf(f *Facts) string {
	d := f.Default.String
	extra := strings.ToUpper(f.Extra)
	switch {
	case r.maria():
		return d
	case moments[family(f.Type)] && strings.HasPrefix(strings.ToUpper(d), "CURRENT_TIMESTAMP"):
		return d
	case strings.Contains(extra, "DEFAULT_GENERATED"):
		return "(" + unescaped(d) + ")"
	case d == "0x": // of a BINARY
		return "''"
	case strings.HasPrefix(d, "b'"), strings.HasPrefix(d, "0x") && binaries[family(f.Type)]:
		return d
	}
	return "'" + strings.ReplaceAll(strings.ReplaceAll(d, `\`, `\\`), "'", "''") + "'"
}

// unescaped undoes the backslashes before quotes and backslashes.
func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '\'' || s[i+1] == '\\') {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// plain is a text as MySQL's information_schema has it, which loses all that is not ASCII in expressions, and the
// zeros at the end of bytes.
func plain(s string) string {
	if strings.HasPrefix(s, "0x") {
		return strings.TrimRight(s, "0")
	}
	return dimmed(strings.TrimRight(s, "\x00'"), 0x7f)
}

// blurred is a text as the worst of the servers' dictionaries has it, whose characters are of up to three bytes:
// for one of four there may be one ? in its place, or four.
func blurred(s string) string { return dimmed(s, 0xffff) }

// dimmed is a text with one ? in place of any number of them and of characters above the last.
func dimmed(s string, last rune) string {
	var b strings.Builder
	was := false
	for _, c := range s {
		is := c == '?' || c > last
		if !is {
			b.WriteRune(c)
		} else if !was {
			b.WriteByte('?')
		}
		was = is
	}
	return b.String()
}
