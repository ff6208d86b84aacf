package row

import (
	"slices"
	"strconv"
	"strings"
)

// Shape is what of a column's type decides how its values are stored.
type Shape struct {
	Kind     Kind
	Type     string // "varchar", …
	Size     int    // the number in its parentheses: characters, bytes, bits, digits
	Decimals int
	Unsigned bool
	Charset  string
	Members  []string
}

// Shapes are those of the columns that are written, by name.
func (t *Table) Shapes() map[string]Shape {
	shapes := map[string]Shape{}
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Generated {
			continue
		}
		s := Shape{Kind: c.Kind, Type: c.Type, Decimals: c.Decimals, Unsigned: c.Unsigned, Charset: c.Charset, Members: c.Members}
		if _, rest, ok := strings.Cut(c.ColumnType, "("); ok && c.Members == nil {
			digits, _, _ := strings.Cut(rest, ")")
			digits, _, _ = strings.Cut(digits, ",")
			s.Size, _ = strconv.Atoi(digits)
		}
		shapes[strings.ToLower(c.Name)] = s
	}
	return shapes
}

// Converted tells whether an ALTER that made the one table of the other may have had to make other
// values of some column's. A column that has only come, or only gone, or grown (VARCHAR(10) to
// VARCHAR(20), INT to BIGINT, a member more) is not converted, nor one that has another name.
func Converted(before, after map[string]Shape) bool {
	var gone, came []Shape
	for name, was := range before {
		now, there := after[name]
		if !there {
			gone = append(gone, was)
		} else if !was.holdsIn(now) {
			return true
		}
	}
	for name, now := range after {
		if _, there := before[name]; !there {
			came = append(came, now)
		}
	}
	if len(came) == 0 {
		return false
	}
	// Was one renamed? The same number of columns says that it may have been.
	for _, was := range gone {
		if !slices.ContainsFunc(came, was.holdsIn) {
			return true
		}
	}
	return false
}

// integers are the types of whole numbers, from the smallest on.
var integers = []string{"tinyint", "smallint", "mediumint", "int", "bigint"}

// holdsIn tells whether every value is the same in a column of the other shape.
func (s Shape) holdsIn(now Shape) bool {
	if strings.HasPrefix(s.Charset, "utf8") && now.Charset == "utf8mb4" {
		s.Charset = now.Charset
	}
	if s.Kind != now.Kind || s.Charset != now.Charset || s.Unsigned != now.Unsigned || s.Decimals != now.Decimals {
		return false
	}
	if was, is := slices.Index(integers, s.Type), slices.Index(integers, now.Type); was >= 0 && is >= 0 {
		return was <= is
	}
	return s.Type == now.Type && (s.Size == now.Size || s.Size < now.Size && s.Type != "binary") &&
		len(s.Members) <= len(now.Members) && slices.Equal(s.Members, now.Members[:len(s.Members)])
}
