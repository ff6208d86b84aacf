package state

import (
	"context"
	"database/sql"
	"fmt"

	"changeover/internal/fault"
)

// Database is the name of the database that holds all state, on both servers.
const Database = "_changeover"

// Role is the part that a server plays; it decides which tables it needs.
type Role uint8

// The roles.
const (
	Target Role = iota // the server that is written to: everything but the watermark
	Source             // the server that is read from: the watermark
)

func (r Role) String() string {
	if r == Source {
		return "source"
	}
	return "target"
}

// Version is the layout's number, kept in `_changeover`.version. A server with a higher one was
// written by a newer Changeover and is left alone.
const Version = 1

// Install creates what db's role needs and is not there yet. It may be called at every start and
// by several runners at once. An account that may not: fault.StateDenied.
func Install(ctx context.Context, db *sql.DB, role Role) error {
	for _, ddl := range append([]string{createDatabase, createVersion}, tables[role]...) {
		if _, err := db.ExecContext(ctx, ddl); err != nil {
			return installFault(role, err)
		}
	}
	return checkVersion(ctx, db)
}

// Installed tells whether the database is there, without creating anything.
func Installed(ctx context.Context, db *sql.DB) (bool, error) {
	var n int
	err := db.QueryRowContext(ctx,
		"SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '"+Database+"'").Scan(&n)
	return n > 0, wrap("look for "+Database, err)
}

func installFault(role Role, err error) error {
	switch Number(err) {
	case erDenied, erTableDenied, erSpecificDenied, erUnknownDatabase:
		return fault.New(fault.StateDenied, "the account may not create %s on the %s: %w", Database, role, err)
	}
	return fmt.Errorf("install %s on the %s: %w", Database, role, err)
}

func checkVersion(ctx context.Context, db *sql.DB) error {
	insert := fmt.Sprintf("INSERT IGNORE INTO `_changeover`.`version` (id, version) VALUES (1, %d)", Version)
	if _, err := db.ExecContext(ctx, insert); err != nil {
		return fmt.Errorf("write the version of %s: %w", Database, err)
	}
	var found int
	if err := db.QueryRowContext(ctx, "SELECT version FROM `_changeover`.`version`").Scan(&found); err != nil {
		return fmt.Errorf("read the version of %s: %w", Database, err)
	}
	if found != Version {
		return fault.New(fault.StateVersion, "%s has layout %d, this program knows %d", Database, found, Version)
	}
	return nil
}

// Each DDL begins with the comment by which both streams know Changeover's own statements.
const (
	createDatabase = "/* changeover state */ CREATE DATABASE IF NOT EXISTS `_changeover`" +
		" DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	createVersion = "/* changeover state */ CREATE TABLE IF NOT EXISTS `_changeover`.`version` (" +
		"id TINYINT NOT NULL PRIMARY KEY, version INT NOT NULL" + layout
	layout = ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
)

// create is a table that is keyed by the migration's name, with the rest of its columns and keys.
func create(name, rest string) string {
	return "/* changeover state */ CREATE TABLE IF NOT EXISTS `_changeover`.`" + name +
		"` (migration VARCHAR(64) NOT NULL, " + rest + layout
}

var tables = map[Role][]string{
	Target: {
		create("migration", "uuid CHAR(36) NOT NULL, created DATETIME(6) NOT NULL, source LONGTEXT NOT NULL,"+
			" phase VARCHAR(64) NOT NULL, config VARCHAR(128) NOT NULL, PRIMARY KEY (migration)"),
		// The heartbeat is a row of its own: takers wait for the lease row, never for a heartbeat.
		create("lease", "token VARCHAR(32) NOT NULL, holder VARCHAR(255) NOT NULL, control VARCHAR(255) NOT NULL,"+
			" since DATETIME(6) NOT NULL, PRIMARY KEY (migration)"),
		create("heartbeat", "token VARCHAR(32) NOT NULL, beat DATETIME(6) NOT NULL, PRIMARY KEY (migration)"),
		// session and client name the connection that has the token, so that it can be ended.
		create("worker", "worker INT NOT NULL, token VARCHAR(32) NOT NULL, session BIGINT UNSIGNED NOT NULL,"+
			" client VARCHAR(255) NOT NULL, PRIMARY KEY (migration, worker)"),
		create("applied", "id VARBINARY(255) NOT NULL, seq BIGINT UNSIGNED NOT NULL, worker INT NOT NULL,"+
			" PRIMARY KEY (migration, id), KEY seq (migration, seq)"),
		// One row for each worker whose transaction carries no id: by it, or by one in applied, the stream
		// that goes the other way knows what is Changeover's own.
		create("mark", "worker INT NOT NULL, n BIGINT UNSIGNED NOT NULL, PRIMARY KEY (migration, worker)"),
		create("stream", "position LONGBLOB NOT NULL, seq BIGINT UNSIGNED NOT NULL, updated DATETIME(6) NOT NULL,"+
			" PRIMARY KEY (migration)"),
		// No unique key over the name: a RENAME that swaps two tables passes through both having one.
		create("tables", "table_id BIGINT UNSIGNED NOT NULL, schema_name VARCHAR(64) NOT NULL,"+
			" table_name VARCHAR(64) NOT NULL, state VARCHAR(16) NOT NULL,"+
			" rows_expected BIGINT UNSIGNED NOT NULL, bytes_expected BIGINT UNSIGNED NOT NULL,"+
			" started DATETIME(6) NULL, finished DATETIME(6) NULL, PRIMARY KEY (migration, table_id)"),
		create("chunks", "table_id BIGINT UNSIGNED NOT NULL, number BIGINT UNSIGNED NOT NULL,"+
			" low BLOB NULL, high BLOB NULL, rows_copied BIGINT UNSIGNED NOT NULL,"+
			" bytes_copied BIGINT UNSIGNED NOT NULL, PRIMARY KEY (migration, table_id, number)"),
		create("definition", "table_id BIGINT UNSIGNED NOT NULL, ddl LONGBLOB NOT NULL, PRIMARY KEY (migration, table_id)"),
		create("intent", "id VARBINARY(255) NOT NULL, statement LONGBLOB NOT NULL, session LONGBLOB NOT NULL,"+
			" fingerprint LONGBLOB NOT NULL, written DATETIME(6) NOT NULL, PRIMARY KEY (migration, id)"),
		create("decision", "id VARBINARY(255) NOT NULL, statement LONGBLOB NOT NULL, default_schema VARCHAR(64) NOT NULL,"+
			" reason LONGBLOB NOT NULL, action VARCHAR(8) NOT NULL, other LONGBLOB NOT NULL, written DATETIME(6) NOT NULL, PRIMARY KEY (migration, id)"),
		// What is compared, what is due, and from where the stream must be read again to know what else is.
		create("proof", "table_id BIGINT UNSIGNED NOT NULL, proof LONGBLOB NOT NULL, PRIMARY KEY (migration, table_id)"),
		create("due", "table_id BIGINT UNSIGNED NOT NULL, part INT UNSIGNED NOT NULL, keys_due LONGBLOB NOT NULL,"+
			" PRIMARY KEY (migration, table_id, part)"),
		create("proof_position", "position LONGBLOB NOT NULL, seq BIGINT UNSIGNED NOT NULL, updated DATETIME(6) NOT NULL,"+
			" PRIMARY KEY (migration)"),
		create("proven", "n BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, at DATETIME(6) NOT NULL, complete TINYINT NOT NULL,"+
			" document LONGBLOB NOT NULL, PRIMARY KEY (n), KEY migration (migration, n)"),
		create("journal", "n BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, at DATETIME(6) NOT NULL,"+
			" kind VARCHAR(64) NOT NULL, text TEXT NOT NULL, PRIMARY KEY (n), KEY migration (migration, n)"),
	},
	Source: {
		create("watermark", "token VARCHAR(32) NOT NULL, n BIGINT UNSIGNED NOT NULL, sent DATETIME(6) NOT NULL,"+
			" PRIMARY KEY (migration)"),
	},
}
