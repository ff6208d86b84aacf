package schema

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"changeover/internal/fault"
	"changeover/internal/server"
)

// Index is a secondary index whose building was put off.
type Index struct {
	Name string
	Text string // its line in the table's definition
}

// references are the columns of every table that a foreign key stands on, at either end: an
// index that begins with one of them may be the one that the key needs.
type references map[tableColumn]bool

type tableColumn struct{ schema, table, column string }

func (r references) add(schema, table string, columns []string) {
	for _, c := range columns {
		r[tableColumn{schema, table, strings.ToLower(c)}] = true
	}
}

func keysInUse(tables []parsed) references {
	r := references{}
	for _, t := range tables {
		for _, p := range t.def.Parts {
			if p.Kind != ForeignKey {
				continue
			}
			schema := p.RefSchema
			if schema == "" {
				schema = t.Schema
			}
			r.add(t.Schema, t.Name, p.Columns)
			r.add(schema, p.RefTable, p.RefColumns)
		}
	}
	return r
}

// deferrable names the plain indexes of a table that nothing needs while rows are copied and
// changes are applied (design §5): rows are found by the row key, so a table must have one; an
// AUTO_INCREMENT column and both ends of a foreign key need theirs.
func (r references) deferrable(t parsed) map[string]bool {
	names := map[string]bool{}
	if !t.def.hasRowKey() {
		return names
	}
	for _, p := range t.def.Parts {
		if p.Kind == PlainKey && p.Name != "" && !r.needs(t, p) {
			names[p.Name] = true
		}
	}
	return names
}

func (r references) needs(t parsed, key Part) bool {
	if len(key.Columns) == 0 {
		return true
	}
	// An index over an expression has a hidden column, and a partitioned table gets one only by being
	// copied: under another TABLE_ID, by which nobody would know it again.
	if slices.Contains(key.Columns, "") && strings.Contains(strings.ToUpper(t.def.Options), "PARTITION BY") {
		return true
	}
	if r[tableColumn{t.Schema, t.Name, strings.ToLower(key.Columns[0])}] {
		return true
	}
	for _, name := range key.Columns {
		if c := t.def.column(name); name != "" && (c == nil || c.has("AUTO_INCREMENT")) {
			return true
		}
	}
	return false
}

// hasRowKey tells whether a key names each row: the primary key, or a unique one over whole
// columns that are NOT NULL.
func (d *Definition) hasRowKey() bool {
	for _, p := range d.Parts {
		if p.Kind == PrimaryKey || p.Kind == UniqueKey && d.namesRows(p) {
			return true
		}
	}
	return false
}

func (d *Definition) namesRows(key Part) bool {
	for i, name := range key.Columns {
		c := d.column(name)
		if name == "" || key.Prefixed[i] || c == nil || !c.has("NOT", "NULL") {
			return false
		}
	}
	return len(key.Columns) > 0
}

// Missing lists the plain indexes that the source's definition has and the target's doesn't, by
// name, in the source's order. Both are CREATE TABLE statements in the target's dialect, the
// source's as of the stream's position. What else differs is not its business.
func Missing(source, target string) ([]Index, error) {
	want, err := Parse(source)
	if err != nil {
		return nil, err
	}
	got, err := Parse(target)
	if err != nil {
		return nil, err
	}
	present := got.names(PlainKey)
	var missing []Index
	for _, p := range want.Parts {
		if p.Kind == PlainKey && !contains(present, p.Name) {
			missing = append(missing, Index{p.Name, p.Text})
		}
	}
	return missing, nil
}

// BuildOptions tune BuildIndexes.
type BuildOptions struct {
	// Threads and Buffer (bytes) bound what the server uses for one ALTER; 0 leaves its defaults
	// (4 threads, 1 MiB). The buffer is shared by the threads.
	Threads int
	Buffer  int64
}

// BuildIndexes builds the missing ones among a table's indexes, all in one ALTER TABLE, and
// returns those it has built. Called again it does nothing; a table that isn't there any more
// needs none. Any number may run at the same time, on tables of their own.
//
// An ALTER outlives its client: the server finishes it. So it runs in a session that holds a lock
// named after the table, and what is missing is looked up with the lock held: a successor waits
// until the old session is through, then finds the indexes there. It waits until ctx ends.
func BuildIndexes(ctx context.Context, target *sql.DB, schema, table string, indexes []Index, o BuildOptions) ([]Index, error) {
	if len(indexes) == 0 {
		return nil, nil
	}
	conn, end, err := session(ctx, target, append(writeSession(), o.settings()...))
	if err != nil {
		return nil, fmt.Errorf("build indexes of %s.%s: %w", schema, table, err)
	}
	defer end()
	b := builder{conn, schema, table}
	if err := b.lock(ctx); err != nil {
		return nil, fmt.Errorf("build indexes of %s.%s: %w", schema, table, err)
	}
	return b.build(ctx, indexes)
}

func (o BuildOptions) settings() []setting {
	var s []setting
	if o.Threads > 0 {
		s = append(s, setting{optional, fmt.Sprintf("SET SESSION innodb_ddl_threads = %d", o.Threads)})
	}
	if o.Buffer > 0 {
		s = append(s, setting{optional, fmt.Sprintf("SET SESSION innodb_ddl_buffer_size = %d", o.Buffer)})
	}
	return s
}

type builder struct {
	conn          *sql.Conn
	schema, table string
}

// lock takes the table's lock; the end of the session lets it go. It asks again and again, so
// that an ended ctx doesn't leave a waiter behind on the server.
func (b builder) lock(ctx context.Context) error {
	sum := sha256.Sum256([]byte(b.schema + "\x00" + b.table))
	name := "changeover/index/" + hex.EncodeToString(sum[:16]) // 64 characters at most
	for {
		var got sql.NullInt64
		if err := b.conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, 1)", name).Scan(&got); err != nil {
			return err
		}
		if got.Int64 == 1 {
			return nil
		}
		if !got.Valid {
			return fmt.Errorf("the server gave no answer to GET_LOCK(%q)", name)
		}
	}
}

func (b builder) build(ctx context.Context, indexes []Index) ([]Index, error) {
	missing, err := b.missing(ctx, indexes)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	err = b.alter(ctx, missing, "")
	if serverCode(err) == errOnlineLogFull {
		// More was written to the table meanwhile than the server remembers
		// (innodb_online_alter_log_max_size): let the writes wait instead.
		err = b.alter(ctx, missing, ", LOCK=SHARED")
	}
	if err != nil && serverCode(err) != 0 {
		return nil, fault.New(fault.SchemaIndex, "build indexes of %s.%s: %w", b.schema, b.table, err)
	}
	if err != nil {
		return nil, fmt.Errorf("build indexes of %s.%s: %w", b.schema, b.table, err)
	}
	return missing, nil
}

// missing is those of the indexes that the table hasn't.
func (b builder) missing(ctx context.Context, indexes []Index) ([]Index, error) {
	create, err := showTable(ctx, b.conn, b.schema, b.table)
	if serverCode(err) == errNoSuchTable {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := Parse(create)
	if err != nil {
		return nil, err
	}
	present := d.names(PlainKey)
	var missing []Index
	for _, i := range indexes {
		if !contains(present, i.Name) {
			missing = append(missing, i)
		}
	}
	return missing, nil
}

func (b builder) alter(ctx context.Context, indexes []Index, options string) error {
	adds := make([]string, len(indexes))
	for i, x := range indexes {
		adds[i] = "ADD " + x.Text
	}
	return ddl(ctx, b.conn, "ALTER TABLE "+server.Name(b.schema, b.table)+" "+strings.Join(adds, ", ")+options)
}
