package plan

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"

	"changeover/cdc/row"
	"changeover/internal/config"
)

// Schema is what the source has of the databases to move. Tables are those in scope.
type Schema struct {
	Databases   []string // those of the configuration that exist
	Tables      []Table
	Odd         []Table // in scope, but not plain tables: MariaDB's sequences and versioned tables
	ForeignKeys []ForeignKey
}

// baseTable is a plain table in information_schema's words.
const baseTable = "BASE TABLE"

// Table is one table in scope.
type Table struct {
	*row.Table
	Type      string // BASE TABLE, SEQUENCE, SYSTEM VERSIONED
	Rows      int64  // the server's estimate
	Bytes     int64  // data and indexes, the server's estimate
	NextID    uint64 // AUTO_INCREMENT; 0: none
	Options   string // CREATE_OPTIONS
	Partition bool
}

// Name is database.table.
func (t Table) Name() string { return t.Schema + "." + t.Table.Name }

// ForeignKey is one that touches a database to move, from either end.
type ForeignKey struct {
	Name, Child, Parent string // Child and Parent are database.table
	Update, Delete      string // the rules
}

// Cascades tells whether the server changes children by itself.
func (k ForeignKey) Cascades() bool {
	changes := func(rule string) bool { return rule == "CASCADE" || rule == "SET NULL" || rule == "SET DEFAULT" }
	return changes(k.Update) || changes(k.Delete)
}

func placeholders(names []string) (string, []any) {
	args := make([]any, len(names))
	for i, n := range names {
		args[i] = n
	}
	return "(?" + strings.Repeat(", ?", len(names)-1) + ")", args
}

func readSchema(ctx context.Context, q *sql.Conn, cfg *config.Config) (*Schema, error) {
	s := &Schema{}
	in, args := placeholders(cfg.Databases)
	found, err := records(ctx, q, "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN "+in, args...)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		if slices.Contains(cfg.Databases, r["name"]) {
			s.Databases = append(s.Databases, r["name"])
		}
	}
	if err := s.readTables(ctx, q, cfg, in, args); err != nil {
		return nil, err
	}
	return s, s.readForeignKeys(ctx, q, cfg, in, args)
}

func (s *Schema) readTables(ctx context.Context, q *sql.Conn, cfg *config.Config, in string, args []any) error {
	defined, err := row.LoadAll(ctx, q, s.Databases)
	if err != nil {
		return err
	}
	byName := make(map[string]*row.Table, len(defined))
	for _, t := range defined {
		byName[t.Schema+"."+t.Name] = t
	}
	rows, err := records(ctx, q, `
		SELECT TABLE_SCHEMA AS db, TABLE_NAME AS name, TABLE_TYPE AS type, ENGINE AS engine, TABLE_ROWS AS n,
			COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0) AS bytes, AUTO_INCREMENT AS next_id,
			LOWER(COALESCE(CREATE_OPTIONS, '')) AS options
		FROM information_schema.TABLES
		WHERE TABLE_TYPE <> 'VIEW' AND TABLE_SCHEMA IN `+in+`
		ORDER BY TABLE_SCHEMA, TABLE_NAME`, args...)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if !cfg.InScope(r["db"], r["name"]) {
			continue
		}
		t := Table{
			Table: byName[r["db"]+"."+r["name"]], Type: r["type"], Rows: r.int("n"), Bytes: r.int("bytes"),
			Options: r["options"], Partition: strings.Contains(r["options"], "partitioned"),
		}
		_, _ = fmt.Sscan(r["next_id"], &t.NextID)
		if t.Table == nil || t.Type != baseTable {
			t.Table = &row.Table{Schema: r["db"], Name: r["name"], Engine: r["engine"], RowKey: -1}
			s.Odd = append(s.Odd, t)
			continue
		}
		s.Tables = append(s.Tables, t)
	}
	return nil
}

func (s *Schema) readForeignKeys(ctx context.Context, q *sql.Conn, cfg *config.Config, in string, args []any) error {
	rows, err := records(ctx, q, `
		SELECT CONSTRAINT_NAME AS name, CONSTRAINT_SCHEMA AS child_db, TABLE_NAME AS child,
			UNIQUE_CONSTRAINT_SCHEMA AS parent_db, REFERENCED_TABLE_NAME AS parent,
			UPDATE_RULE AS on_update, DELETE_RULE AS on_delete
		FROM information_schema.REFERENTIAL_CONSTRAINTS
		WHERE CONSTRAINT_SCHEMA IN `+in+` OR UNIQUE_CONSTRAINT_SCHEMA IN `+in+`
		ORDER BY child_db, child, name`, slices.Concat(args, args)...)
	for _, r := range rows {
		if !cfg.InScope(r["child_db"], r["child"]) && !cfg.InScope(r["parent_db"], r["parent"]) {
			continue
		}
		s.ForeignKeys = append(s.ForeignKeys, ForeignKey{
			Name: r["name"], Child: r["child_db"] + "." + r["child"], Parent: r["parent_db"] + "." + r["parent"],
			Update: r["on_update"], Delete: r["on_delete"],
		})
	}
	return err
}

// Size is what is to be copied, by the server's estimates.
func (s *Schema) Size() (rows, bytes int64) {
	for _, t := range s.Tables {
		rows, bytes = rows+t.Rows, bytes+t.Bytes
	}
	return rows, bytes
}

// idLimit is the highest value of an AUTO_INCREMENT column.
func idLimit(c row.Column) uint64 {
	bits := map[string]int{"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}[c.Type]
	switch {
	case bits == 0:
		return math.MaxUint64 // FLOAT and DOUBLE may count too
	case c.Unsigned:
		return math.MaxUint64 >> (64 - bits)
	}
	return math.MaxUint64 >> (65 - bits)
}
