package schema

import (
	"strings"
	"testing"

	"changeover/internal/fault"
	"changeover/internal/server"
)

func TestStatementsOfTheBinlogInTheTargetsDialect(t *testing.T) {
	there := func(schema, table string) (*Definition, error) {
		if table != "t" {
			return nil, nil
		}
		return Parse("CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `old` int,\n  `J` longtext,\n  PRIMARY KEY (`id`),\n  KEY `k` (`old`),\n  CONSTRAINT `c` CHECK ((`id` > 0))\n) ENGINE=InnoDB")
	}
	target := &Target{Collations: map[string]bool{"utf8mb4_general_ci": true, "utf8mb4_unicode_520_ci": true, "latin1_bin": true}}
	const text = "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	uuid := "char(36) CHARACTER SET ascii COLLATE ascii_general_ci"
	same := "the same"
	for _, c := range []struct{ from, want string }{
		{"CREATE TABLE t2 (id INT(11) PRIMARY KEY, j JSON NOT NULL, json INT, `k` json default '{}', KEY json (json))",
			"CREATE TABLE t2 (id INT PRIMARY KEY, j " + text + " NOT NULL, json INT, `k` " + text + " default ('{}'), KEY json (json))"},
		{"CREATE OR REPLACE TABLE IF NOT EXISTS db.t2 (u UUID DEFAULT uuid() NOT NULL, i INET6 NULL) PAGE_CHECKSUM=1 COLLATE=utf8mb4_uca1400_ai_ci",
			"CREATE OR REPLACE TABLE IF NOT EXISTS db.t2 (u " + uuid + " DEFAULT (uuid()) NOT NULL, i varchar(45) CHARACTER SET ascii COLLATE ascii_general_ci NULL) COLLATE=utf8mb4_unicode_520_ci"},
		{"CREATE TABLE t2 LIKE t", same},
		{"CREATE TABLE t2 (LIKE t)", same},
		{"CREATE TABLE t2 (v TEXT DEFAULT 'x' COMMENT 'uuid, json', w INT AS (id + 1) PERSISTENT) AS SELECT 1 AS json",
			"CREATE TABLE t2 (v TEXT DEFAULT ('x') COMMENT 'uuid, json', w INT AS (id + 1) STORED) AS SELECT 1 AS json"},
		{"ALTER TABLE t ADD COLUMN json JSON AFTER old", "ALTER TABLE t ADD COLUMN json " + text + " AFTER old"},
		{"ALTER TABLE t ADD json INT FIRST, ADD x UUID FIRST", "ALTER TABLE t ADD json INT FIRST, ADD x " + uuid + " FIRST"},
		{"ALTER TABLE t ADD (a INT, b JSON CHECK (JSON_VALID(b)), INDEX (a))", "ALTER TABLE t ADD (a INT, b " + text + ", INDEX (a))"},
		{"ALTER TABLE t CHANGE old json JSON", "ALTER TABLE t CHANGE old json " + text},
		{"ALTER TABLE t CHANGE COLUMN IF EXISTS json old INT, MODIFY IF EXISTS J JSON", "ALTER TABLE t MODIFY J " + text},
		{"alter table t add column if not exists old int, add column if not exists fresh int", "alter table t add column fresh int"},
		{"ALTER TABLE t ADD COLUMN IF NOT EXISTS OLD int", ""},
		{"ALTER TABLE t ADD COLUMN IF NOT EXISTS (old int, x uuid, id int)", "ALTER TABLE t ADD COLUMN ( x " + uuid + ")"},
		{"ALTER TABLE t DROP COLUMN IF EXISTS nothing, DROP IF EXISTS old", "ALTER TABLE t DROP old"},
		{"ALTER TABLE t DROP INDEX IF EXISTS k, DROP CONSTRAINT IF EXISTS d, ADD INDEX IF NOT EXISTS k (id), ADD UNIQUE KEY IF NOT EXISTS k2 (id)",
			"ALTER TABLE t DROP INDEX k, ADD UNIQUE KEY k2 (id)"},
		{"ALTER ONLINE IGNORE TABLE IF EXISTS t WAIT 10 ADD x INT, ALGORITHM=NOCOPY, LOCK=NONE", "ALTER TABLE t ADD x INT"},
		{"ALTER TABLE t NOWAIT ADD x INT", "ALTER TABLE t ADD x INT"},
		{"ALTER TABLE t ADD wait INT, ADD nowait INT, RENAME COLUMN wait TO nowait", same},
		{"CREATE INDEX IF NOT EXISTS k ON t (id)", ""},
		{"CREATE UNIQUE INDEX IF NOT EXISTS k2 ON t (id) ALGORITHM = INPLACE LOCK=NONE", "CREATE UNIQUE INDEX k2 ON t (id)"},
		{"DROP INDEX IF EXISTS k2 ON t", ""},
		{"DROP INDEX IF EXISTS k ON t", "DROP INDEX k ON t"},
		{"DROP TABLE IF EXISTS t WAIT 5", "DROP TABLE IF EXISTS t"},
		{"DROP TABLE nowait, `wait`", same},
		{"TRUNCATE TABLE t NOWAIT", "TRUNCATE TABLE t"},
		{"RENAME TABLE t WAIT 3 TO json, wait TO nowait", "RENAME TABLE t TO json, wait TO nowait"},
		{"ALTER TABLE t COMMENT 'ADD x JSON, IF EXISTS'", same},
		{"ALTER TABLE t ADD PARTITION (PARTITION p1 VALUES LESS THAN (10))", same},
		{"ALTER TABLE t MODIFY v VARCHAR(20) COLLATE latin1_bin", same},
		{"ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (old), ADD CONSTRAINT f FOREIGN KEY (old) REFERENCES p (id)", same},
	} {
		got, _, err := TranslateStatement(Statement{SQL: c.from, From: server.MariaDB}, target, there)
		want := c.want
		if want == same {
			want = c.from
		}
		if err != nil || got != want {
			t.Errorf("%s\n got %s, %v\nwant %s", c.from, got, err, want)
		}
	}
	if got, _, _ := TranslateStatement(Statement{SQL: `ALTER TABLE "t" ADD "a b" JSON, ADD COLUMN IF NOT EXISTS "old" INT`, From: server.MariaDB, Quotes: true}, target, there); got != `ALTER TABLE "t" ADD "a b" `+text {
		t.Errorf("with ANSI_QUOTES: %s", got)
	}
	for _, bad := range []string{"CREATE TABLE t2 (id INT) ENGINE=Aria", "ALTER TABLE t ADD SYSTEM VERSIONING, WITH SYSTEM VERSIONING", "CREATE TABLE t2 (v VECTOR(3))", "CREATE TABLE t2 (a INT COLLATE utf8mb4_nonsense_ci)"} {
		if got, _, err := TranslateStatement(Statement{SQL: bad, From: server.MariaDB}, target, there); !fault.Is(err, fault.SchemaUnsupported) {
			t.Errorf("%s: %s, %v", bad, got, err)
		}
	}
	// MySQL's own is left as it is, but for how it is done.
	for from, want := range map[string]string{
		"ALTER TABLE t ADD COLUMN j JSON, ALGORITHM=INSTANT": "ALTER TABLE t ADD COLUMN j JSON",
		"ALTER TABLE t LOCK=NONE, ADD v VECTOR(3)":           "ALTER TABLE t ADD v VECTOR(3)",
		"CREATE TABLE t2 (id INT(11) ZEROFILL)":              "CREATE TABLE t2 (id INT(11) ZEROFILL)",
		"ALTER TABLE t ALGORITHM=INPLACE":                    "",
	} {
		if got, _, err := TranslateStatement(Statement{SQL: from, From: server.MySQL}, target, there); err != nil || strings.TrimSpace(got) != want {
			t.Errorf("%s: %q, %v, want %q", from, got, err, want)
		}
	}
}
