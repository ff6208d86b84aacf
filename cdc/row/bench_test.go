package row

import (
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"changeover/internal/server"
)

func benchTable() (*Table, *replication.TableMapEvent, []any) {
	t := &Table{Schema: "school", Name: "activities", RowKey: 0,
		Keys: []Key{{Name: "PRIMARY", Primary: true, Parts: []KeyPart{{Column: 0}}}},
		Columns: []Column{
			{Name: "id", Kind: Int, Type: "bigint", Unsigned: true},
			{Name: "name", Kind: String, Type: "varchar", Charset: "utf8mb4", Collation: "utf8mb4_0900_ai_ci"},
			{Name: "at", Kind: DateTime, Type: "datetime", Decimals: 6},
			{Name: "score", Kind: Double, Type: "double", ColumnType: "double"},
		}}
	m := &replication.TableMapEvent{ColumnCount: 4,
		ColumnType: []byte{mysql.MYSQL_TYPE_LONGLONG, mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_DATETIME2, mysql.MYSQL_TYPE_DOUBLE},
		ColumnMeta: []uint16{0, 400, 6, 8}}
	return t, m, []any{int64(123456789), "the quick brown fox, who isn't here", "2026-11-23 07:20:22.123456", 3.14159}
}

func BenchmarkDecoderRow(b *testing.B) {
	t, m, image := benchTable()
	d, err := NewDecoder(t, m, server.MySQL)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Row(image); err != nil {
			b.Fatal(err)
		}
	}
}

func benchRow(b *testing.B) (*Table, Row) {
	t, m, image := benchTable()
	d, err := NewDecoder(t, m, server.MySQL)
	if err != nil {
		b.Fatal(err)
	}
	r, err := d.Row(image)
	if err != nil {
		b.Fatal(err)
	}
	return t, r
}

func BenchmarkAppendLiteral(b *testing.B) {
	t, r := benchRow(b)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = dst[:0]
		for i := range r {
			dst = t.Columns[i].AppendLiteral(dst, r[i])
		}
	}
}

func BenchmarkAppendConflicts(b *testing.B) {
	t, r := benchRow(b)
	var dst []ConflictKey
	b.ReportAllocs()
	for b.Loop() {
		dst = t.AppendConflicts(dst[:0], r)
	}
}

func BenchmarkAppendLine(b *testing.B) {
	_, r := benchRow(b)
	texts := make([][]byte, len(r))
	for i := range r {
		texts[i] = r[i]
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendLine(dst[:0], texts)
	}
}

func BenchmarkLoadableJSON(b *testing.B) {
	t := &Table{Columns: []Column{{Name: "j", Kind: JSON, Type: "json"}}}
	texts := [][]byte{[]byte(`{"id": 12345, "tags": ["red", "green"], "score": 12.5, "note": "the quick brown fox jumps over the lazy dog"}`)}
	b.ReportAllocs()
	for b.Loop() {
		if !t.Loadable(texts) {
			b.Fatal("not loadable")
		}
	}
}
