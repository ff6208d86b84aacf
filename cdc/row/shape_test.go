package row_test

import (
	"testing"

	"changeover/cdc/row"
)

func TestConversionsAreToldFromGrowth(t *testing.T) {
	text := row.Shape{Kind: row.String, Type: "varchar", Size: 20, Charset: "utf8mb4"}
	number := row.Shape{Kind: row.Int, Type: "int"}
	with := func(s row.Shape, edit func(*row.Shape)) row.Shape {
		edit(&s)
		return s
	}
	for name, c := range map[string]struct {
		before, after map[string]row.Shape
		want          bool
	}{
		"the same":          {map[string]row.Shape{"a": text}, map[string]row.Shape{"a": text}, false},
		"a column more":     {map[string]row.Shape{"a": text}, map[string]row.Shape{"a": text, "b": number}, false},
		"a column less":     {map[string]row.Shape{"a": text, "b": number}, map[string]row.Shape{"a": text}, false},
		"longer":            {map[string]row.Shape{"a": text}, map[string]row.Shape{"a": with(text, func(s *row.Shape) { s.Size = 30 })}, false},
		"shorter":           {map[string]row.Shape{"a": text}, map[string]row.Shape{"a": with(text, func(s *row.Shape) { s.Size = 10 })}, true},
		"another charset":   {map[string]row.Shape{"a": text}, map[string]row.Shape{"a": with(text, func(s *row.Shape) { s.Charset = "latin1" })}, true},
		"larger":            {map[string]row.Shape{"a": number}, map[string]row.Shape{"a": with(number, func(s *row.Shape) { s.Type = "bigint" })}, false},
		"smaller":           {map[string]row.Shape{"a": number}, map[string]row.Shape{"a": with(number, func(s *row.Shape) { s.Type = "smallint" })}, true},
		"unsigned":          {map[string]row.Shape{"a": number}, map[string]row.Shape{"a": with(number, func(s *row.Shape) { s.Unsigned = true })}, true},
		"text of a number":  {map[string]row.Shape{"a": number}, map[string]row.Shape{"a": text}, true},
		"renamed":           {map[string]row.Shape{"a": text}, map[string]row.Shape{"b": text}, false},
		"renamed and other": {map[string]row.Shape{"a": text}, map[string]row.Shape{"b": number}, true},
		"a member more": {map[string]row.Shape{"a": {Kind: row.Enum, Type: "enum", Members: []string{"x"}}},
			map[string]row.Shape{"a": {Kind: row.Enum, Type: "enum", Members: []string{"x", "y"}}}, false},
		"members turned": {map[string]row.Shape{"a": {Kind: row.Enum, Type: "enum", Members: []string{"x", "y"}}},
			map[string]row.Shape{"a": {Kind: row.Enum, Type: "enum", Members: []string{"y", "x"}}}, true},
	} {
		if got := row.Converted(c.before, c.after); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAKeyThatIsNotOfItsColumnsIsNoEndOfARange(t *testing.T) {
	check := func(c row.Column, v string) error {
		tab := &row.Table{Columns: []row.Column{c}, Keys: []row.Key{{Parts: []row.KeyPart{{}}}}}
		return tab.CheckKey(row.Row{row.Value(v)})
	}
	for _, c := range []struct {
		column    row.Column
		good, bad []string
	}{
		{row.Column{Kind: row.Int}, []string{"0", "-12", "18446744073709551615"}, []string{"", "-", "1.5", "x", "\x7f\xff", "1 "}},
		{row.Column{Kind: row.Decimal}, []string{"0", "-12.50", "7"}, []string{"", ".", "1.", "1.x", "1e5"}},
		{row.Column{Kind: row.Double}, []string{"0", "-0", "1e-30", "3.5"}, []string{"", "x", "1,5"}},
		{row.Column{Kind: row.Bit, Length: 9}, []string{"\x00\x01"}, []string{"", "1", "100"}},
		{row.Column{Kind: row.Binary, Length: 3}, []string{"abc"}, []string{"", "ab", "abcd"}},
		{row.Column{Kind: row.Bytes}, []string{"", "\xff"}, nil},
		{row.Column{Kind: row.Enum}, []string{"0", "3"}, []string{"", "a", "-1"}},
		{row.Column{Kind: row.Date}, []string{"0000-00-00", "2021-02-31"}, []string{"", "20210231", "2021-02-3x", "2021-02-31 00:00:00"}},
		{row.Column{Kind: row.DateTime}, []string{"2021-02-31 00:00:00", "2021-02-31 00:00:00.125"}, []string{"2021-02-31", "2021-02-31 00:00:00.", "2021-02-31T00:00:00"}},
		{row.Column{Kind: row.Time}, []string{"-838:59:59", "00:00:00.5", "123:00:00"}, []string{"", "1:2:3", "12"}},
		{row.Column{Kind: row.String, Charset: "utf8mb4"}, []string{"", "é", "x"}, []string{"\xff"}},
		{row.Column{Kind: row.String, Charset: "ascii"}, []string{"", "x"}, []string{"é"}},
	} {
		for _, v := range c.good {
			if err := check(c.column, v); err != nil {
				t.Error(err)
			}
		}
		for _, v := range c.bad {
			if check(c.column, v) == nil {
				t.Errorf("%q passes as kind %d", v, c.column.Kind)
			}
		}
	}
}
