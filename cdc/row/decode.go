package row

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// Decoder makes rows from the images of one table map. It is for one goroutine at a time.
type Decoder struct {
	table   *Table
	columns []Column // the table's, as the source has them
	// Values are put together here first, so that a row costs two allocations of the right size
	// whatever its columns are.
	scratch []byte
	ends    []int
	plain   bool // PlainZeros
}

// PlainZeros makes 0 of -0 in FLOAT and DOUBLE. It is for rows on their way to a MariaDB, which stores no
// other zero: those without a key are found by their values, and of the others it is one key, not two. (Not for
// a stream beside a copy: there a key must stay as the source spells it, or a chunk that is read again would
// not know that the stream has touched it.)
func (d *Decoder) PlainZeros() { d.plain = true }

// maxScratch bounds what a decoder keeps of one big row for the next.
const maxScratch = 1 << 20

// NewDecoder makes a decoder for the rows that come with the table map m, after it has looked
// whether m fits t: the same columns, by type, sign and, where the source writes
// them (binlog_row_metadata=FULL), by name. The error has the code StreamTable or RowType and
// names the table and every column that doesn't fit.
func NewDecoder(t *Table, m *replication.TableMapEvent, flavor server.Flavor) (*Decoder, error) {
	if int(m.ColumnCount) != len(t.Columns) || len(m.ColumnType) != len(t.Columns) || len(m.ColumnMeta) != len(t.Columns) {
		return nil, fault.New(fault.StreamTable, "the binlog has %d columns for %s.%s, the table has %d",
			m.ColumnCount, t.Schema, t.Name, len(t.Columns))
	}
	if err := t.Supported(); err != nil {
		return nil, err
	}
	columns := sourceColumns(t, m, flavor)
	if wrong := misfits(columns, m, flavor); len(wrong) > 0 {
		return nil, fault.New(fault.StreamTable, "the binlog's columns don't fit %s.%s: %s",
			t.Schema, t.Name, strings.Join(wrong, "; "))
	}
	return &Decoder{table: t, columns: columns, ends: make([]int, len(t.Columns))}, nil
}

// sourceColumns are the table's columns as the source has them. MariaDB's UUID, INET6 and INET4 are
// text on a target that has no such types; the binlog still has their bytes, in a length that no
// text of that column can have: CHAR(36) comes as 36 and VARCHAR as another type.
func sourceColumns(t *Table, m *replication.TableMapEvent, flavor server.Flavor) []Column {
	if flavor != server.MariaDB {
		return columnsOfMySQL(t, m)
	}
	own := map[string]struct {
		length int
		kind   Kind
		typ    string
	}{"char(36)": {uuidBytes, UUID, "uuid"}, "varchar(45)": {16, Inet, "inet6"}, "varchar(15)": {4, Inet, "inet4"}}
	columns := t.Columns
	for i := range t.Columns {
		to, ok := own[t.Columns[i].ColumnType]
		typ, length := realType(m.ColumnType[i], m.ColumnMeta[i])
		if !ok || typ != mysql.MYSQL_TYPE_STRING || length != to.length {
			continue
		}
		if &columns[0] == &t.Columns[0] {
			columns = slices.Clone(columns)
		}
		columns[i].Kind, columns[i].Type = to.kind, to.typ
	}
	return columns
}

// columnsOfMySQL are the columns as a MySQL has them whose stream goes to a MariaDB: text in the place of
// MariaDB's own types, and JSON, which a MariaDB keeps as text.
func columnsOfMySQL(t *Table, m *replication.TableMapEvent) []Column {
	columns := t.Columns
	for i := range t.Columns {
		c := t.Columns[i]
		typ, _ := realType(m.ColumnType[i], m.ColumnMeta[i])
		switch {
		case c.Kind == UUID:
			c.Kind, c.Type = uuidText, "char"
		case c.Kind == Inet:
			c.Kind = inetText
		case c.Kind == String && typ == mysql.MYSQL_TYPE_JSON:
			c.Kind, c.Type = JSON, "json"
		default:
			continue
		}
		if &columns[0] == &t.Columns[0] {
			columns = slices.Clone(columns)
		}
		columns[i] = c
	}
	return columns
}

// Supported returns an error with the code RowType that names the columns that can't be carried.
func (t *Table) Supported() error {
	var bad []string
	for i := range t.Columns {
		if c := &t.Columns[i]; c.Kind == Unsupported {
			bad = append(bad, c.Name+" "+c.ColumnType)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return fault.New(fault.RowType, "%s.%s has columns of types that can't be carried: %s",
		t.Schema, t.Name, strings.Join(bad, ", "))
}

// misfits says what is wrong with each column of m that isn't the source's.
func misfits(columns []Column, m *replication.TableMapEvent, flavor server.Flavor) []string {
	var wrong []string
	names, unsigned := m.ColumnNameString(), m.UnsignedMap()
	for i := range columns {
		c := &columns[i]
		switch isUnsigned, known := unsigned[i]; {
		case !c.fits(m.ColumnType[i], m.ColumnMeta[i], flavor):
			wrong = append(wrong, fmt.Sprintf("%s is %s, the binlog has type %d (%#x)",
				c.Name, c.ColumnType, m.ColumnType[i], m.ColumnMeta[i]))
		case c.Kind == Int && c.Type != "year" && known && isUnsigned != c.Unsigned:
			wrong = append(wrong, c.Name+" differs in its sign")
		case len(names) == len(columns) && !strings.EqualFold(names[i], c.Name):
			wrong = append(wrong, fmt.Sprintf("column %d is %s, the binlog has %s", i+1, c.Name, names[i]))
		}
	}
	return wrong
}

// wireTypes has, for each DATA_TYPE, the types under which the binlog may carry it.
var wireTypes = map[string][]byte{
	"tinyint": {mysql.MYSQL_TYPE_TINY}, "smallint": {mysql.MYSQL_TYPE_SHORT},
	"mediumint": {mysql.MYSQL_TYPE_INT24}, "int": {mysql.MYSQL_TYPE_LONG},
	"bigint": {mysql.MYSQL_TYPE_LONGLONG}, "year": {mysql.MYSQL_TYPE_YEAR},
	"decimal": {mysql.MYSQL_TYPE_NEWDECIMAL}, "float": {mysql.MYSQL_TYPE_FLOAT},
	"double": {mysql.MYSQL_TYPE_DOUBLE}, "bit": {mysql.MYSQL_TYPE_BIT},
	"char": {mysql.MYSQL_TYPE_STRING}, "binary": {mysql.MYSQL_TYPE_STRING},
	"varchar":   {mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING},
	"varbinary": {mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING},
	"enum":      {mysql.MYSQL_TYPE_ENUM}, "set": {mysql.MYSQL_TYPE_SET},
	"date":      {mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_NEWDATE},
	"time":      {mysql.MYSQL_TYPE_TIME2},
	"datetime":  {mysql.MYSQL_TYPE_DATETIME2, mysql.MYSQL_TYPE_DATETIME},
	"timestamp": {mysql.MYSQL_TYPE_TIMESTAMP2, mysql.MYSQL_TYPE_TIMESTAMP},
	"json":      {mysql.MYSQL_TYPE_JSON},
	"uuid":      {mysql.MYSQL_TYPE_STRING}, "inet4": {mysql.MYSQL_TYPE_STRING}, "inet6": {mysql.MYSQL_TYPE_STRING},
}

// fits tells whether the binlog's type is the column's, in every way that decides how its bytes
// are read.
func (c *Column) fits(typ byte, meta uint16, flavor server.Flavor) bool {
	typ, length := realType(typ, meta)
	if !strings.Contains(string(c.wireTypes(flavor)), string([]byte{typ})) {
		return false
	}
	switch c.Kind {
	case Decimal:
		return int(meta&0xff) == c.Decimals
	case Bit:
		return int(meta>>8)*8+int(meta&0xff) == c.Length
	case Binary:
		return length == c.Length
	case UUID:
		return length == uuidBytes
	case Inet:
		return length == c.inetBytes()
	case DateTime, Timestamp:
		if typ == mysql.MYSQL_TYPE_DATETIME || typ == mysql.MYSQL_TYPE_TIMESTAMP {
			// MariaDB's own fractions of before mysql56_temporal_format: go-mysql would misread them.
			return c.Decimals == 0
		}
		return int(meta) == c.Decimals
	case Time:
		return int(meta) == c.Decimals
	}
	return true
}

func (c *Column) wireTypes(flavor server.Flavor) []byte {
	switch c.Kind {
	case Geometry:
		return []byte{mysql.MYSQL_TYPE_GEOMETRY}
	case Vector:
		if flavor == server.MariaDB {
			return []byte{mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING}
		}
		return []byte{mysql.MYSQL_TYPE_VECTOR}
	case inetText:
		return wireTypes["varchar"]
	case String, Bytes:
		if list, ok := wireTypes[c.Type]; ok {
			return list
		}
		return []byte{mysql.MYSQL_TYPE_BLOB}
	}
	return wireTypes[c.Type]
}

// realType undoes the packing of MYSQL_TYPE_STRING: ENUM and SET hide in it, and two bits of a
// long CHAR's length.
func realType(typ byte, meta uint16) (real byte, length int) {
	if typ != mysql.MYSQL_TYPE_STRING || meta < 256 {
		return typ, int(meta)
	}
	high, low := byte(meta>>8), meta&0xff
	if high&0x30 != 0x30 {
		return high | 0x30, int(low | uint16(high&0x30^0x30)<<4)
	}
	return high, int(low)
}

// Row makes a row from an image as go-mysql decodes it with ParseTime and UseDecimal off,
// TimestampStringLocation UTC and RenderJSONAsMySQLText on. The row shares no memory with image.
func (d *Decoder) Row(image []any) (Row, error) {
	if len(image) != len(d.ends) {
		return nil, fault.New(fault.StreamTable, "a row image of %s.%s has %d columns, the table has %d",
			d.table.Schema, d.table.Name, len(image), len(d.ends))
	}
	buf := d.scratch[:0]
	for i, v := range image {
		var err error
		if v != nil {
			start := len(buf)
			if buf, err = appendValue(buf, &d.columns[i], v); err != nil {
				return nil, fmt.Errorf("decode %s.%s column %s: %w", d.table.Schema, d.table.Name, d.table.Columns[i].Name, err)
			}
			if k := d.columns[i].Kind; d.plain && (k == Float || k == Double) && string(buf[start:]) == "-0" {
				buf = append(buf[:start], '0')
			}
		}
		d.ends[i] = len(buf)
	}
	d.scratch = buf
	if cap(buf) > maxScratch {
		d.scratch = nil
	}
	return d.cut(image, buf), nil
}

// cut copies buf into the row's own memory and cuts it at the columns' ends.
func (d *Decoder) cut(image []any, buf []byte) Row {
	arena, row, start := make([]byte, len(buf)), make(Row, len(image)), 0
	copy(arena, buf)
	for i, end := range d.ends {
		if image[i] != nil {
			row[i] = arena[start:end:end]
		}
		start = end
	}
	return row
}

// appendValue appends the canonical form of one decoded value.
func appendValue(dst []byte, c *Column, v any) ([]byte, error) {
	switch c.Kind {
	case Int:
		return appendInt(dst, c, v)
	case Float:
		if f, ok := v.(float32); ok {
			return appendFloat(dst, float64(f), 32), nil
		}
	case Double:
		if f, ok := v.(float64); ok {
			return appendFloat(dst, f, 64), nil
		}
	case Bit:
		if n, ok := v.(int64); ok {
			var b [8]byte
			binary.BigEndian.PutUint64(b[:], uint64(n))
			return append(dst, b[8-(c.Length+7)/8:]...), nil
		}
	case Enum, Set:
		if n, ok := v.(int64); ok {
			return strconv.AppendUint(dst, uint64(n), 10), nil
		}
	default:
		switch s := v.(type) {
		case string:
			return appendText(dst, c, s)
		case []byte:
			return appendText(dst, c, s)
		}
	}
	return dst, fmt.Errorf("the binlog's reader gave a %T for %s", v, c.ColumnType)
}

// appendInt gives the number the sign that the table says: without metadata the reader takes every
// integer for signed.
func appendInt(dst []byte, c *Column, v any) ([]byte, error) {
	switch n := v.(type) {
	case int8:
		return appendSized(dst, c, int64(n), 1<<8-1), nil
	case int16:
		return appendSized(dst, c, int64(n), 1<<16-1), nil
	case int32:
		if c.Type == "mediumint" {
			return appendSized(dst, c, int64(n), 1<<24-1), nil
		}
		return appendSized(dst, c, int64(n), 1<<32-1), nil
	case int64:
		return appendSized(dst, c, n, 1<<64-1), nil
	case uint8:
		return strconv.AppendUint(dst, uint64(n), 10), nil
	case uint16:
		return strconv.AppendUint(dst, uint64(n), 10), nil
	case uint32:
		return strconv.AppendUint(dst, uint64(n), 10), nil
	case uint64:
		return strconv.AppendUint(dst, n, 10), nil
	case int: // YEAR
		if n == 0 {
			return append(dst, "0000"...), nil
		}
		return strconv.AppendInt(dst, int64(n), 10), nil
	}
	return dst, fmt.Errorf("the binlog's reader gave a %T for %s", v, c.ColumnType)
}

func appendSized(dst []byte, c *Column, n int64, mask uint64) []byte {
	if c.Unsigned {
		return strconv.AppendUint(dst, uint64(n)&mask, 10)
	}
	return strconv.AppendInt(dst, n, 10)
}

// appendText appends the canonical form of a value that comes as text or bytes.
func appendText[T string | []byte](dst []byte, c *Column, s T) ([]byte, error) {
	switch c.Kind {
	case Binary:
		dst = append(dst, s...)
		for n := len(s); n < c.Length; n++ {
			dst = append(dst, 0)
		}
		return dst, nil
	case Time, DateTime, Timestamp:
		return appendTemporal(dst, string(s), c.Decimals), nil
	case JSON:
		return appendJSON(dst, []byte(s))
	case UUID:
		return appendUUID(dst, []byte(s)), nil
	case Inet:
		return appendInet(dst, []byte(s), c.inetBytes()), nil
	case uuidText:
		return appendUUIDText(dst, string(s)), nil
	case inetText:
		return appendInetText(dst, string(s), c.inetBytes()), nil
	}
	return append(dst, s...), nil
}

// appendTemporal adds the fractional digits that the reader leaves out where they are zero.
func appendTemporal(dst []byte, s string, decimals int) []byte {
	dst = append(dst, s...)
	if decimals == 0 {
		return dst
	}
	have := 0
	if point := strings.IndexByte(s, '.'); point >= 0 {
		have = len(s) - point - 1
	} else {
		dst = append(dst, '.')
	}
	for ; have < decimals; have++ {
		dst = append(dst, '0')
	}
	return dst
}
