package schema

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Fingerprint is the state of every table in some databases: what a DDL statement that was run
// would have changed (design §4). It is ordered by database and table, and may be kept as JSON.
//
// The AUTO_INCREMENT value is not part of it: rows that are loaded meanwhile move it.
type Fingerprint []TableFingerprint

// TableFingerprint is one table's state.
type TableFingerprint struct {
	Schema     string      `json:"schema"`
	Name       string      `json:"name"`
	Partitions []Partition `json:"partitions"` // one with an empty name where the table has none
	Create     string      `json:"create"`     // SHA-256 of SHOW CREATE TABLE, in hexadecimal
}

// Partition is what InnoDB calls a table.
type Partition struct {
	Name string `json:"name"` // as the dictionary has it, subpartitions too
	ID   uint64 `json:"id"`   // TABLE_ID: kept by RENAME, new after TRUNCATE or a rebuild
}

// Equal tells whether nothing has changed.
func (f Fingerprint) Equal(g Fingerprint) bool { return len(f.Diff(g)) == 0 }

// Diff lists the tables, as database.table, that are not the same in f and g, or only in one.
func (f Fingerprint) Diff(g Fingerprint) []string {
	was := make(map[string]TableFingerprint, len(f))
	for _, t := range f {
		was[t.Schema+"."+t.Name] = t
	}
	var changed []string
	for _, t := range g {
		name := t.Schema + "." + t.Name
		if before, ok := was[name]; !ok || !before.equal(t) {
			changed = append(changed, name)
		}
		delete(was, name)
	}
	for name := range was {
		changed = append(changed, name)
	}
	slices.Sort(changed)
	return changed
}

func (t TableFingerprint) equal(o TableFingerprint) bool {
	return t.Create == o.Create && slices.Equal(t.Partitions, o.Partitions)
}

// Fingerprints reads the state of those tables in the databases that are wanted. It needs PROCESS,
// for the dictionary. Nothing may run DDL on them meanwhile, or the answer is of no one moment.
func Fingerprints(ctx context.Context, target *sql.DB, databases []string, want func(schema, table string) bool) (Fingerprint, error) {
	conn, end, err := session(ctx, target, readSession())
	if err != nil {
		return nil, fmt.Errorf("read fingerprints: %w", err)
	}
	defer end()
	d, err := newDictionary(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("read fingerprints: %w", err)
	}
	var f Fingerprint
	for _, database := range databases {
		of, err := d.fingerprints(ctx, database, want)
		if err != nil {
			return nil, fmt.Errorf("read fingerprints of %s: %w", database, err)
		}
		f = append(f, of...)
	}
	slices.SortFunc(f, func(a, b TableFingerprint) int {
		return cmp.Or(strings.Compare(a.Schema, b.Schema), strings.Compare(a.Name, b.Name))
	})
	return f, nil
}

// TableID is InnoDB's TABLE_ID: kept by RENAME, new after TRUNCATE. A partitioned table has one
// for each partition; the lowest stands for it, so dropping the oldest partition changes it. A
// table that isn't there is sql.ErrNoRows.
func TableID(ctx context.Context, target *sql.DB, schema, table string) (uint64, error) {
	conn, err := target.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	id, err := tableID(ctx, conn, schema, table)
	if err != nil {
		return 0, fmt.Errorf("read the table id of %s.%s: %w", schema, table, err)
	}
	return id, nil
}

// IDs are the TABLE_IDs of all tables of some databases, as TableID has them: one question for each
// database, where TableID's each look at all of the dictionary.
type IDs struct {
	d  *dictionary
	by map[string]map[string][]Partition // database, encoded table
}

// TableIDs reads the ids of the databases' tables.
func TableIDs(ctx context.Context, target *sql.DB, databases []string) (*IDs, error) {
	conn, err := target.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	d, err := newDictionary(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("read the table ids: %w", err)
	}
	ids := &IDs{d: d, by: map[string]map[string][]Partition{}}
	for _, database := range databases {
		if ids.by[database], err = d.entries(ctx, database); err != nil {
			return nil, fmt.Errorf("read the table ids of %s: %w", database, err)
		}
	}
	return ids, nil
}

// Of is a table's id; a table that is not there is sql.ErrNoRows.
func (ids *IDs) Of(schema, table string) (uint64, error) {
	partitions := ids.by[schema][ids.d.encode(table)]
	if len(partitions) == 0 {
		return 0, fmt.Errorf("the table id of %s.%s: %w", schema, table, sql.ErrNoRows)
	}
	return lowest(partitions), nil
}

func lowest(partitions []Partition) uint64 {
	return slices.MinFunc(partitions, func(a, b Partition) int { return cmp.Compare(a.ID, b.ID) }).ID
}

func tableID(ctx context.Context, conn *sql.Conn, schema, table string) (uint64, error) {
	d, err := newDictionary(ctx, conn)
	if err != nil {
		return 0, err
	}
	partitions, err := d.partitions(ctx, schema, table)
	if err != nil {
		return 0, err
	}
	if len(partitions) == 0 {
		return 0, sql.ErrNoRows
	}
	return lowest(partitions), nil
}

// dictionary reads InnoDB's dictionary.
type dictionary struct {
	conn  *sql.Conn
	codes filenames
	view  string
	lower bool // lower_case_table_names=1: names are kept in lower case
}

func newDictionary(ctx context.Context, conn *sql.Conn) (*dictionary, error) {
	d := &dictionary{conn: conn, codes: newFilenames(), view: "INNODB_TABLES"}
	var version string
	var lower int
	if err := conn.QueryRowContext(ctx, "SELECT VERSION(), @@GLOBAL.lower_case_table_names").Scan(&version, &lower); err != nil {
		return nil, err
	}
	d.lower = lower == 1
	if strings.Contains(version, "MariaDB") {
		d.view = "INNODB_SYS_TABLES"
	}
	return d, nil
}

// partitions lists the dictionary's entries of one table.
func (d *dictionary) partitions(ctx context.Context, schema, table string) ([]Partition, error) {
	all, err := d.entries(ctx, schema)
	return all[d.encode(table)], err
}

// entries lists what the dictionary has of a database, by the tables' encoded names.
func (d *dictionary) entries(ctx context.Context, schema string) (map[string][]Partition, error) {
	prefix := d.encode(schema) + "/"
	rows, err := collect(ctx, d.conn, func(rows *sql.Rows, p *Partition) error { return rows.Scan(&p.Name, &p.ID) },
		"SELECT NAME, TABLE_ID FROM information_schema."+d.view+" WHERE LEFT(NAME, ?) = ? ORDER BY NAME", len(prefix), prefix)
	if err != nil {
		return nil, err
	}
	by := map[string][]Partition{}
	for _, p := range rows {
		entry, ok := strings.CutPrefix(p.Name, prefix) // the server compares without case
		if !ok {
			continue
		}
		var table string
		table, p.Name = tableOf(entry)
		by[table] = append(by[table], p)
	}
	return by, nil
}

func (d *dictionary) encode(name string) string {
	if d.lower {
		name = strings.ToLower(name)
	}
	return d.codes.encode(name)
}

func (d *dictionary) fingerprints(ctx context.Context, schema string, want func(schema, table string) bool) (Fingerprint, error) {
	entries, err := d.entries(ctx, schema)
	if err != nil {
		return nil, err
	}
	names, err := reader{conn: d.conn}.names(ctx, `SELECT TABLE_NAME FROM information_schema.TABLES
		WHERE TABLE_SCHEMA = ? AND TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW') ORDER BY TABLE_NAME`, schema)
	if err != nil {
		return nil, err
	}
	var f Fingerprint
	for _, name := range names {
		if !want(schema, name) {
			continue
		}
		create, err := showTable(ctx, d.conn, schema, name)
		if err != nil {
			return nil, err
		}
		sum, err := createSum(create)
		if err != nil {
			return nil, err
		}
		f = append(f, TableFingerprint{schema, name, entries[d.encode(name)], sum})
	}
	return f, nil
}

// createSum is the digest of a table's definition without its AUTO_INCREMENT value.
func createSum(create string) (string, error) {
	d, err := Parse(create)
	if err != nil {
		return "", err
	}
	r := newRewrite(d.Options)
	if at := r.find(0, "AUTO_INCREMENT", "="); at >= 0 {
		r.drop(at, at+3)
	}
	d.Options = r.String()
	sum := sha256.Sum256([]byte(d.SQL("", d.Name)))
	return hex.EncodeToString(sum[:]), nil
}
