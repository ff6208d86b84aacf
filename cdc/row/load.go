package row

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Queryer asks a server: *sql.DB, *sql.Conn and *sql.Tx are Queryers.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// ErrNoTable says that a table doesn't exist, is not a base table, or may not be seen.
var ErrNoTable = errors.New("no such base table")

// Load reads one table's definition from information_schema.
// A column of a type that can't be carried has the Kind Unsupported; that is not an error here.
// The error wraps ErrNoTable if there is no such base table.
func Load(ctx context.Context, q Queryer, schema, table string) (*Table, error) {
	tables, err := load(ctx, q, schema, table)
	if err != nil {
		return nil, fmt.Errorf("definition of %s.%s: %w", schema, table, err)
	}
	// information_schema may compare names without case: `T` beside `t` comes back too. Only where
	// the server folds names is the single table under another spelling the one that was meant.
	for _, t := range tables {
		if t.Schema == schema && t.Name == table {
			return t, nil
		}
	}
	if len(tables) == 1 && strings.EqualFold(tables[0].Name, table) {
		return tables[0], nil
	}
	return nil, fmt.Errorf("definition of %s.%s: %w", schema, table, ErrNoTable)
}

// LoadAll reads the definitions of all base tables of schemas, in the order of schemas and of the
// tables' names. It asks three queries for each schema, however many tables there are.
func LoadAll(ctx context.Context, q Queryer, schemas []string) ([]*Table, error) {
	var all []*Table
	for _, schema := range schemas {
		tables, err := load(ctx, q, schema, "")
		if err != nil {
			return nil, fmt.Errorf("definitions of the tables of %s: %w", schema, err)
		}
		all = append(all, tables...)
	}
	return all, nil
}

// load reads the tables of one schema, or the one called table. Nothing is read that MySQL 8 keeps
// as statistics (cardinality, AUTO_INCREMENT), so nothing can be stale.
func load(ctx context.Context, q Queryer, schema, table string) ([]*Table, error) {
	where, args := "TABLE_SCHEMA = ?", []any{schema}
	if table != "" {
		where, args = where+" AND TABLE_NAME = ?", append(args, table)
	}
	tables, err := loadTables(ctx, q, where, args)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*Table, len(tables))
	for _, t := range tables {
		byName[t.Name] = t
	}
	if err := loadColumns(ctx, q, where, args, byName); err != nil {
		return nil, err
	}
	if err := loadKeys(ctx, q, where, args, byName); err != nil {
		return nil, err
	}
	for _, t := range tables {
		t.RowKey = t.chooseRowKey()
	}
	return tables, nil
}

func loadTables(ctx context.Context, q Queryer, where string, args []any) ([]*Table, error) {
	var tables []*Table
	err := scan(ctx, q, `
		SELECT TABLE_SCHEMA, TABLE_NAME, COALESCE(ENGINE, ''), COALESCE(TABLE_COLLATION, '')
		FROM information_schema.TABLES
		WHERE TABLE_TYPE = 'BASE TABLE' AND `+where+`
		ORDER BY TABLE_NAME`, args, 4, func(f []sql.NullString) error {
		tables = append(tables, &Table{
			Schema: f[0].String, Name: f[1].String, Engine: f[2].String, Collation: f[3].String, RowKey: -1,
		})
		return nil
	})
	return tables, err
}

func loadColumns(ctx context.Context, q Queryer, where string, args []any, tables map[string]*Table) error {
	return scan(ctx, q, `
		SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, CHARACTER_OCTET_LENGTH,
			NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION,
			COALESCE(CHARACTER_SET_NAME, ''), COALESCE(COLLATION_NAME, ''), COALESCE(EXTRA, '')
		FROM information_schema.COLUMNS
		WHERE `+where+`
		ORDER BY TABLE_NAME, ORDINAL_POSITION`, args, 12, func(f []sql.NullString) error {
		t := tables[f[0].String]
		if t == nil {
			return nil // a view
		}
		c, err := newColumn(f)
		if err != nil {
			return fmt.Errorf("column %s.%s: %w", f[0].String, f[1].String, err)
		}
		t.Columns = append(t.Columns, c)
		return nil
	})
}

// newColumn makes a column from a row of loadColumns' query.
func newColumn(f []sql.NullString) (Column, error) {
	extra := strings.ToUpper(f[11].String)
	c := Column{
		Name: f[1].String, Type: strings.ToLower(f[2].String), ColumnType: f[3].String,
		Nullable: f[4].String == "YES", Charset: f[9].String, Collation: f[10].String,
		Unsigned:      hasWord(f[3].String, "unsigned"),
		Invisible:     strings.Contains(extra, "INVISIBLE"),
		AutoIncrement: strings.Contains(extra, "AUTO_INCREMENT"),
		Generated:     isGenerated(extra),
	}
	c.Kind = kindOf(c.Type, c.ColumnType, c.Charset)
	var err error
	switch c.Kind {
	case Binary:
		c.Length, err = number(f[5])
	case Bit:
		c.Length, err = number(f[6])
	case Decimal:
		c.Decimals, err = number(f[7])
	case Time, DateTime, Timestamp:
		c.Decimals, err = number(f[8])
	case Enum, Set:
		c.Members, err = members(c.ColumnType)
	}
	return c, err
}

// isGenerated reads EXTRA. DEFAULT_GENERATED is not a generated column but a default that is an
// expression; MariaDB before 10.2 says PERSISTENT.
func isGenerated(extra string) bool {
	for _, s := range []string{"VIRTUAL GENERATED", "STORED GENERATED", "PERSISTENT"} {
		if strings.Contains(extra, s) {
			return true
		}
	}
	return extra == "VIRTUAL"
}

// hasWord looks behind the parenthesis of a COLUMN_TYPE, so that enum('unsigned') hasn't the word.
func hasWord(columnType, word string) bool {
	if i := strings.LastIndexByte(columnType, ')'); i >= 0 {
		columnType = columnType[i+1:]
	}
	return slices.Contains(strings.Fields(strings.ToLower(columnType)), word)
}

func number(s sql.NullString) (int, error) {
	if !s.Valid || s.String == "" {
		return 0, nil
	}
	return strconv.Atoi(s.String)
}

// kinds has the types that need no second look.
var kinds = map[string]Kind{
	"tinyint": Int, "smallint": Int, "mediumint": Int, "int": Int, "bigint": Int, "year": Int,
	"decimal": Decimal, "float": Float, "double": Double, "bit": Bit,
	"char": String, "varchar": String,
	"tinytext": String, "text": String, "mediumtext": String, "longtext": String,
	"binary": Binary, "varbinary": Bytes,
	"tinyblob": Bytes, "blob": Bytes, "mediumblob": Bytes, "longblob": Bytes,
	"enum": Enum, "set": Set,
	"date": Date, "time": Time, "datetime": DateTime, "timestamp": Timestamp,
	"json": JSON, "vector": Vector,
	"geometry": Geometry, "point": Geometry, "linestring": Geometry, "polygon": Geometry,
	"multipoint": Geometry, "multilinestring": Geometry, "multipolygon": Geometry,
	"geometrycollection": Geometry, "geomcollection": Geometry,
	"uuid": UUID, "inet4": Inet, "inet6": Inet,
}

func kindOf(typ, columnType, charset string) Kind {
	kind, ok := kinds[typ]
	switch {
	case !ok:
		return Unsupported
	case typ == "year" && columnType == "year(2)":
		return Unsupported // prints 2000 and the zero year alike
	case strings.Contains(strings.ToUpper(columnType), "COMPRESSED") && (kind == String || kind == Bytes):
		return Unsupported // MariaDB's compressed columns: the binlog has them in a form of their own
	case kind == String && charset == "binary":
		return Bytes
	}
	return kind
}

func loadKeys(ctx context.Context, q Queryer, where string, args []any, tables map[string]*Table) error {
	return scan(ctx, q, `
		SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART
		FROM information_schema.STATISTICS
		WHERE NON_UNIQUE = 0 AND `+where+`
		ORDER BY TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX`, args, 4, func(f []sql.NullString) error {
		t := tables[f[0].String]
		if t == nil {
			return nil
		}
		part, err := t.keyPart(f[2], f[3])
		if err != nil {
			return fmt.Errorf("key %s.%s: %w", t.Name, f[1].String, err)
		}
		t.addKeyPart(f[1].String, part)
		return nil
	})
}

// keyPart makes a part from its column, which is NULL for an expression, and its prefix length.
func (t *Table) keyPart(column, prefix sql.NullString) (KeyPart, error) {
	if !column.Valid {
		return KeyPart{Column: -1}, nil
	}
	i := t.column(column.String)
	if i < 0 {
		return KeyPart{}, fmt.Errorf("column %s is not known", column.String)
	}
	n, err := number(prefix)
	return KeyPart{Column: i, Prefix: n}, err
}

func (t *Table) addKeyPart(name string, part KeyPart) {
	if n := len(t.Keys); n == 0 || t.Keys[n-1].Name != name {
		t.Keys = append(t.Keys, Key{Name: name, Primary: name == "PRIMARY"})
	}
	k := &t.Keys[len(t.Keys)-1]
	k.Parts = append(k.Parts, part)
	k.Nullable = k.Nullable || part.Column < 0 || t.Columns[part.Column].Nullable
}

// column finds a column by name, which servers compare without case; -1 if there is none.
func (t *Table) column(name string) int {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
	if i < 0 {
		i = slices.IndexFunc(t.Columns, func(c Column) bool { return strings.EqualFold(c.Name, name) })
	}
	return i
}

// chooseRowKey takes the primary key, else the cheapest unique key whose equality is a row's
// identity: whole columns, NOT NULL, not computed. A primary key over prefixes will do as well:
// where the prefixes differ the whole values differ, and the row key is always whole values.
func (t *Table) chooseRowKey() int {
	best, bestCost := -1, 0
	for i := range t.Keys {
		k := &t.Keys[i]
		if !t.identifies(k) {
			continue
		}
		if k.Primary {
			return i
		}
		if cost := t.keyCost(k); best < 0 || cost < bestCost {
			best, bestCost = i, cost
		}
	}
	return best
}

func (t *Table) identifies(k *Key) bool {
	if k.Nullable {
		return false
	}
	for _, p := range k.Parts {
		c := &t.Columns[p.Column]
		if c.Kind == Unsupported || !k.Primary && (p.Prefix > 0 || c.Generated) {
			return false
		}
	}
	return true
}

// keyCost prefers few columns, then numbers over strings.
func (t *Table) keyCost(k *Key) int {
	cost := 100 * len(k.Parts)
	for _, p := range k.Parts {
		switch t.Columns[p.Column].Kind {
		case Int:
			cost++
		case String, Bytes:
			cost += 10
		default:
			cost += 3
		}
	}
	return cost
}

// members splits enum('a','b') or set(…). The server doubles quotes and writes \0, \n, \r and \\.
func members(columnType string) ([]string, error) {
	open := strings.IndexByte(columnType, '(')
	if open < 0 {
		return nil, fmt.Errorf("no members in %q", columnType)
	}
	var list []string
	s := columnType[open+1:]
	for strings.HasPrefix(s, "'") {
		member, rest, ok := quoted(s[1:])
		if !ok {
			return nil, fmt.Errorf("unfinished member in %q", columnType)
		}
		list = append(list, member)
		s = strings.TrimPrefix(rest, ",")
	}
	return list, nil
}

// quoted reads up to the closing quote.
func quoted(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
			b.WriteByte('\'')
		case s[i] == '\'':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(unescaped(s[i]))
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

func unescaped(c byte) byte {
	switch c {
	case '0':
		return 0
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	}
	return c
}

// scan calls each for every row of a query with n columns.
func scan(ctx context.Context, q Queryer, query string, args []any, n int, each func([]sql.NullString) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	fields, into := make([]sql.NullString, n), make([]any, n)
	for i := range fields {
		into[i] = &fields[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := each(fields); err != nil {
			return err
		}
	}
	return rows.Err()
}
