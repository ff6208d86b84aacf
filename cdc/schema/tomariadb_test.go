package schema

import (
	"testing"

	"changeover/internal/fault"
	"changeover/internal/server"
)

func TestStatementsOfMySQLInMariaDBsDialect(t *testing.T) {
	target := &Target{Flavor: server.MariaDB, Collations: map[string]bool{"utf8mb4_general_ci": true, "utf8mb4_bin": true,
		"utf8mb4_uca1400_nopad_ai_ci": true, "utf8mb4_nopad_bin": true, "latin1_swedish_ci": true}}
	const json, same, nopad = "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "the same", "utf8mb4_uca1400_nopad_ai_ci"
	translate := func(sql, collation string) (string, error) {
		text, _, err := TranslateStatement(Statement{SQL: sql, From: server.MySQL, UTF8MB4: collation}, target, func(string, string) (*Definition, error) { return nil, nil })
		return text, err
	}
	for _, c := range []struct{ from, want string }{
		{"CREATE TABLE t2 (id INT PRIMARY KEY, j JSON NOT NULL, json INT, `k` json, KEY json (json))",
			"CREATE TABLE t2 (id INT PRIMARY KEY, j " + json + " NOT NULL, json INT, `k` " + json + ", KEY json (json))"},
		{"CREATE TABLE t2 (v VARCHAR(9) CHARACTER SET utf8mb4 NOT NULL, w TEXT CHARSET utf8mb4 COLLATE utf8mb4_0900_bin, x CHAR(2) CHARACTER SET latin1) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
			"CREATE TABLE t2 (v VARCHAR(9) CHARACTER SET utf8mb4 COLLATE " + nopad + " NOT NULL, w TEXT CHARSET utf8mb4 COLLATE utf8mb4_nopad_bin, x CHAR(2) CHARACTER SET latin1) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE " + nopad},
		{"CREATE TABLE t2 (id INT) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci", "CREATE TABLE t2 (id INT) DEFAULT CHARSET=utf8mb4 COLLATE=" + nopad},
		{"CREATE TABLE t2 (id INT) COLLATE utf8mb4_bin CHARSET 'utf8mb4'", same},
		{"CREATE TABLE t2 (id INT /*!80023 INVISIBLE */, v INT /*M!100000 COMPRESSED */) /*!50100 PARTITION BY HASH (id) */",
			"CREATE TABLE t2 (id INT   INVISIBLE  , v INT)   PARTITION BY HASH (id)  "},
		{"CREATE TABLE t2 (p POINT NOT NULL SRID 4326, g GEOMCOLLECTION, v INT VISIBLE COLUMN_FORMAT DYNAMIC STORAGE DISK, SPATIAL KEY (p), KEY a (v) INVISIBLE, KEY b (v) VISIBLE)",
			"CREATE TABLE t2 (p POINT NOT NULL, g geometrycollection, v INT, SPATIAL KEY (p), KEY a (v) IGNORED, KEY b (v))"},
		{"CREATE TABLE t2 (id INT, CHECK ((id + 1) > 0) ENFORCED) ENCRYPTION='N' AUTOEXTEND_SIZE 4M COMMENT='x'", "CREATE TABLE t2 (id INT, CHECK ((id + 1) > 0)) COMMENT='x'"},
		{"CREATE TABLE t2 LIKE t", same},
		{"CREATE TABLE t2 (u CHAR(36) DEFAULT (UUID()), d DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3))", same},
		{"ALTER TABLE t ADD COLUMN j JSON AFTER id, ALGORITHM=INSTANT", "ALTER TABLE t ADD COLUMN j " + json + " AFTER id"},
		{"ALTER TABLE t ADD (a INT, b JSON, KEY (a) INVISIBLE), LOCK=NONE", "ALTER TABLE t ADD (a INT, b " + json + ", KEY (a) IGNORED)"},
		{"ALTER TABLE t MODIFY v VARCHAR(10) CHARACTER SET utf8mb4, CHANGE COLUMN a j JSON", "ALTER TABLE t MODIFY v VARCHAR(10) CHARACTER SET utf8mb4 COLLATE " + nopad + ", CHANGE COLUMN a j " + json},
		{"ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4", "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE " + nopad},
		{"ALTER TABLE t DEFAULT CHARACTER SET = utf8mb4, COMMENT='x'", "ALTER TABLE t DEFAULT CHARACTER SET = utf8mb4 COLLATE " + nopad + ", COMMENT='x'"},
		{"ALTER TABLE t DROP CHECK c, ALTER INDEX k INVISIBLE, ALTER INDEX l VISIBLE, ALTER COLUMN a SET DEFAULT (1 + 1)", "ALTER TABLE t DROP CONSTRAINT c, ALTER INDEX k IGNORED, ALTER INDEX l NOT IGNORED, ALTER COLUMN a SET DEFAULT (1 + 1)"},
		{"ALTER TABLE t ENGINE=InnoDB, WITHOUT VALIDATION", "ALTER TABLE t ENGINE=InnoDB"},
		{"ALTER TABLE t RENAME COLUMN a TO json, RENAME TO t2", same},
		{"CREATE UNIQUE INDEX k ON t (a, b DESC) VISIBLE ALGORITHM=INPLACE", "CREATE UNIQUE INDEX k ON t (a, b DESC)"},
		{"DROP INDEX k ON t LOCK=NONE", "DROP INDEX k ON t"},
		{"CREATE DATABASE d /*!40100 DEFAULT CHARACTER SET utf8mb4 */", "CREATE DATABASE d   DEFAULT CHARACTER SET utf8mb4 COLLATE " + nopad + "  "},
		{"ALTER DATABASE d COLLATE utf8mb4_0900_ai_ci ENCRYPTION='N'", "ALTER DATABASE d COLLATE " + nopad},
		{"RENAME TABLE a TO b, b TO c", same},
		{"TRUNCATE t", same},
	} {
		got, err := translate(c.from, "")
		want := c.want
		if want == same {
			want = c.from
		}
		if err != nil || got != want {
			t.Errorf("%s\n got %s, %v\nwant %s", c.from, got, err, want)
		}
	}
	if got, err := translate("CREATE TABLE t (v TEXT) CHARSET utf8mb4", "utf8mb4_general_ci"); err != nil || got != "CREATE TABLE t (v TEXT) CHARSET utf8mb4 COLLATE utf8mb4_general_ci" {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{
		"CREATE TABLE t2 (v VECTOR(3))",
		"CREATE TABLE t2 (a INT, KEY ((a + 1)))",
		"CREATE INDEX k ON t ((LOWER(a)))",
		"ALTER TABLE t ADD UNIQUE KEY (b, (a + 1))",
		"ALTER TABLE t ADD CHECK (a > 0) NOT ENFORCED",
		"ALTER TABLE t ALTER CHECK c NOT ENFORCED",
		"ALTER TABLE t ALTER COLUMN c SET INVISIBLE",
		"CREATE TABLE t2 (a VARCHAR(9) COLLATE utf8mb4_de_pb_0900_ai_ci)",
	} {
		if got, err := translate(bad, ""); !fault.Is(err, fault.SchemaUnsupported) {
			t.Errorf("%s: %s, %v", bad, got, err)
		}
	}
}
