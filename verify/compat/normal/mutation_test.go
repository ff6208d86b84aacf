package normal_test

import (
	"strings"
	"testing"

	"changeover/internal/sandbox/sandboxtest"
	"changeover/verify/compat"
	"changeover/verify/compat/normal"
)

// whole is a schema with one of everything, to change one thing in.
var whole = []string{
	`CREATE TABLE p (id INT PRIMARY KEY, x INT NOT NULL, UNIQUE KEY x (x))`,
	`CREATE TABLE t (
		id INT NOT NULL AUTO_INCREMENT, a INT NOT NULL DEFAULT 1, b VARCHAR(20) NOT NULL DEFAULT 'x', c DATETIME(3) NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
		d DECIMAL(10,2) UNSIGNED, e ENUM('x','y'), f INT AS (a + 1) STORED, g INT AS (a * 2), k VARCHAR(30), m VARCHAR(36) DEFAULT (UUID()), n INT COMMENT 'n', o TINYINT(1), zf INT(7) ZEROFILL,
		PRIMARY KEY (id), UNIQUE KEY u (a, b), KEY n (n), KEY k (k), FULLTEXT KEY ft (b),
		CONSTRAINT ck CHECK (a > 0)
	) COMMENT 'of all'`,
	`CREATE TABLE r (p INT, KEY p (p), CONSTRAINT fp FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)`,
	`CREATE TABLE q (id INT NOT NULL PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN MAXVALUE)`,
	`CREATE TABLE geo (g POINT NOT NULL)`,
	`CREATE VIEW v AS SELECT a, b FROM t WHERE a > 1`,
	`CREATE TRIGGER tr BEFORE INSERT ON p FOR EACH ROW SET NEW.x = NEW.x + 1`,
	`CREATE PROCEDURE pr(IN i INT) COMMENT 'pr' BEGIN SELECT i + 1; SELECT 'x'; END`,
	`CREATE FUNCTION fu(i INT) RETURNS INT DETERMINISTIC NO SQL RETURN i + 1`,
	`CREATE EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO DELETE FROM p WHERE id < 0`,
}

// mutation is a change and what comes of it.
type mutation struct {
	rule     string
	severity string // "written": an error within one flavor, a warning between two; "alike": an info within one only
	object   string
	sql      string // statements, with ";;" between two
	only     string // the flavor that has such a thing; empty: both
}

// mutations are changes of it, each with the rule, the severity and the object of the one difference that it makes.
var mutations = []mutation{
	{"DIF1101", "error", "w", `CREATE TABLE w (id INT PRIMARY KEY)`, ""},
	{"DIF1101", "error", "q", `DROP TABLE q`, ""},
	{"DIF1101", "error", "q", `DROP TABLE q;;CREATE VIEW q AS SELECT id FROM p`, ""},
	{"DIF1101", "error", "v", `DROP VIEW v`, ""},
	{"DIF1101", "error", "tr", `DROP TRIGGER tr`, ""},
	{"DIF1101", "error", "pr", `DROP PROCEDURE pr`, ""},
	{"DIF1101", "error", "ev", `DROP EVENT ev`, ""},
	{"DIF1101", "error", "se", `CREATE SEQUENCE se`, "mariadb"},
	{"DIF1102", "error", "t.z", `ALTER TABLE t ADD z INT`, ""},
	{"DIF1102", "error", "t.d", `ALTER TABLE t DROP d`, ""},
	{"DIF1102", "info", "t.d", `ALTER TABLE t CHANGE d D DECIMAL(10,2) UNSIGNED`, ""},
	{"DIF1103", "error", "t.a", `ALTER TABLE t MODIFY a BIGINT NOT NULL DEFAULT 1`, ""},
	{"DIF1103", "error", "t.n", `ALTER TABLE t MODIFY n INT UNSIGNED COMMENT 'n'`, ""},
	{"DIF1103", "error", "t.b", `ALTER TABLE t MODIFY b VARCHAR(21) NOT NULL DEFAULT 'x'`, ""},
	{"DIF1103", "error", "t.d", `ALTER TABLE t MODIFY d DECIMAL(10,3) UNSIGNED`, ""},
	{"DIF1103", "error", "t.e", `ALTER TABLE t MODIFY e ENUM('x','y','z')`, ""},
	{"DIF1103", "error", "t.e", `ALTER TABLE t MODIFY e ENUM('y','x')`, ""},
	{"DIF1103", "error", "t.f", `ALTER TABLE t MODIFY f INT`, ""},
	{"DIF1103", "error", "t.g", `ALTER TABLE t DROP g;;ALTER TABLE t ADD g INT AS (a * 2) STORED AFTER f`, ""},
	{"DIF1103", "error", "t.g", `ALTER TABLE t DROP g;;ALTER TABLE t ADD g INT AS (a * 3) AFTER f`, ""},
	{"DIF1103", "warning", "t.o", `ALTER TABLE t MODIFY o TINYINT`, ""},
	{"DIF1103", "error", "t.zf", `ALTER TABLE t MODIFY zf INT(8) ZEROFILL`, ""},
	{"DIF1103", "error", "t.zf", `ALTER TABLE t MODIFY zf INT(7) UNSIGNED`, ""},
	{"DIF1104", "error", "t.k", `ALTER TABLE t MODIFY k VARCHAR(30) NOT NULL`, ""},
	{"DIF1104", "error", "t.a", `ALTER TABLE t MODIFY a INT DEFAULT 1`, ""},
	{"DIF1105", "error", "t.a", `ALTER TABLE t ALTER a SET DEFAULT 2`, ""},
	{"DIF1105", "error", "t.a", `ALTER TABLE t ALTER a DROP DEFAULT`, ""},
	{"DIF1105", "error", "t.b", `ALTER TABLE t ALTER b SET DEFAULT 'X'`, ""},
	{"DIF1105", "error", "t.b", `ALTER TABLE t ALTER b SET DEFAULT ''`, ""},
	{"DIF1105", "error", "t.k", `ALTER TABLE t ALTER k SET DEFAULT 'NULL'`, ""},
	{"DIF1105", "error", "t.c", `ALTER TABLE t MODIFY c DATETIME(3) NULL DEFAULT CURRENT_TIMESTAMP(3)`, ""},
	{"DIF1105", "error", "t.c", `ALTER TABLE t MODIFY c DATETIME(3) NULL ON UPDATE CURRENT_TIMESTAMP(3)`, ""},
	{"DIF1105", "written", "t.m", `ALTER TABLE t MODIFY m VARCHAR(36) DEFAULT (UPPER(UUID()))`, ""},
	{"DIF1105", "error", "t.id", `ALTER TABLE t MODIFY id INT NOT NULL`, ""},
	{"DIF1106", "error", "t.k", `ALTER TABLE t MODIFY k VARCHAR(30) COLLATE utf8mb4_bin`, ""},
	{"DIF1106", "warning", "t.m", `ALTER TABLE t MODIFY m VARCHAR(36) COLLATE utf8mb4_bin DEFAULT (UUID())`, ""},
	{"DIF1106", "warning", "t.e", `ALTER TABLE t MODIFY e ENUM('x','y') CHARACTER SET latin1`, ""},
	{"DIF1106", "warning", "q", `ALTER TABLE q DEFAULT CHARACTER SET latin1`, ""},
	{"DIF1107", "error", "t.k", `ALTER TABLE t DROP KEY k`, ""},
	{"DIF1107", "error", "t.w", `ALTER TABLE t ADD KEY w (k)`, ""},
	{"DIF1107", "error", "t.u", `ALTER TABLE t DROP KEY u, ADD UNIQUE KEY u (b, a)`, ""},
	{"DIF1107", "error", "t.k", `ALTER TABLE t DROP KEY k, ADD KEY k (k(10))`, ""},
	{"DIF1107", "error", "p.x", `ALTER TABLE p DROP KEY x, ADD KEY x (x)`, ""},
	{"DIF1107", "error", "q.PRIMARY", `ALTER TABLE q DROP PRIMARY KEY`, ""},
	{"DIF1107", "error", "t.ft", `ALTER TABLE t DROP KEY ft`, ""},
	{"DIF1107", "info", "t.k", `ALTER TABLE t DROP KEY k, ADD KEY k (k DESC)`, ""},
	{"DIF1107", "info", "t.n", `ALTER TABLE t RENAME KEY n TO n2`, ""},
	{"DIF1107", "info", "t.n", `ALTER TABLE t ALTER INDEX n INVISIBLE`, "mysql"},
	{"DIF1107", "info", "t.n", `ALTER TABLE t ALTER INDEX n IGNORED`, "mariadb"},
	{"DIF1107", "alike", "t", `ALTER TABLE t DROP KEY n;;ALTER TABLE t ADD KEY n (n)`, ""},
	{"DIF1108", "error", "r.fp", `ALTER TABLE r DROP FOREIGN KEY fp`, ""},
	{"DIF1108", "error", "r.fp", `ALTER TABLE r DROP FOREIGN KEY fp;;ALTER TABLE r ADD CONSTRAINT fp FOREIGN KEY (p) REFERENCES p (id)`, ""},
	{"DIF1108", "error", "r.fp", `ALTER TABLE r DROP FOREIGN KEY fp;;ALTER TABLE r ADD CONSTRAINT fp FOREIGN KEY (p) REFERENCES p (x) ON DELETE CASCADE`, ""},
	{"DIF1108", "info", "r.fp", `ALTER TABLE r DROP FOREIGN KEY fp;;ALTER TABLE r ADD CONSTRAINT fp2 FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE`, ""},
	{"DIF1109", "error", "t.ck", `ALTER TABLE t DROP CONSTRAINT ck`, ""},
	{"DIF1109", "error", "t.ck2", `ALTER TABLE t ADD CONSTRAINT ck2 CHECK (a <> 77)`, ""},
	{"DIF1109", "error", "t.ck", `ALTER TABLE t DROP CONSTRAINT ck;;ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 1)`, ""},
	{"DIF1109", "written", "t.ck", `ALTER TABLE t DROP CONSTRAINT ck;;ALTER TABLE t ADD CONSTRAINT ck CHECK (a >= 0)`, ""},
	{"DIF1103", "written", "t.g", `ALTER TABLE t DROP g;;ALTER TABLE t ADD g INT AS (a + 2) AFTER f`, ""},
	{"DIF1109", "info", "t.ck", `ALTER TABLE t DROP CONSTRAINT ck;;ALTER TABLE t ADD CONSTRAINT ckk CHECK (a > 0)`, ""},
	{"DIF1109", "error", "t.ck", `ALTER TABLE t ALTER CHECK ck NOT ENFORCED`, "mysql"},
	{"DIF1110", "error", "q", `ALTER TABLE q REMOVE PARTITIONING`, ""},
	{"DIF1110", "error", "q", `ALTER TABLE q REORGANIZE PARTITION a, b INTO (PARTITION a VALUES LESS THAN (9), PARTITION b VALUES LESS THAN MAXVALUE)`, ""},
	{"DIF1110", "error", "q", `ALTER TABLE q DROP PARTITION b`, ""},
	{"DIF1110", "error", "q", `ALTER TABLE q PARTITION BY HASH (id) PARTITIONS 2`, ""},
	{"DIF1111", "warning", "t", `ALTER TABLE t MODIFY n INT COMMENT 'n' FIRST`, ""},
	{"DIF1111", "warning", "t.n", `ALTER TABLE t MODIFY n INT INVISIBLE COMMENT 'n'`, ""},
	{"DIF1112", "warning", "q", `ALTER TABLE q ROW_FORMAT = COMPACT`, ""},
	{"DIF1112", "warning", "geo", `ALTER TABLE geo ENGINE = MyISAM`, ""},
	{"DIF1112", "warning", "geo", `ALTER TABLE geo COMPRESSION = 'zlib'`, "mysql"},
	{"DIF1112", "warning", "t.m", `ALTER TABLE t MODIFY m VARCHAR(36) COMPRESSED DEFAULT (UUID())`, "mariadb"},
	{"DIF1103", "warning", "geo.g", `ALTER TABLE geo MODIFY g POINT NOT NULL SRID 4326`, "mysql"},
	{"DIF1107", "error", "t.ft", `ALTER TABLE t DROP KEY ft;;ALTER TABLE t ADD FULLTEXT KEY ft (b) WITH PARSER ngram`, "mysql"},
	{"DIF1107", "error", "geo.s", `ALTER TABLE geo ADD SPATIAL KEY s (g)`, ""},
	{"DIF1112", "error", "p", `ALTER TABLE p ADD SYSTEM VERSIONING`, "mariadb"},
	{"DIF1112", "warning", "q", `ALTER TABLE q PAGE_COMPRESSED = 1`, "mariadb"},
	{"DIF1113", "info", "t", `ALTER TABLE t COMMENT 'of none'`, ""},
	{"DIF1113", "info", "t.n", `ALTER TABLE t MODIFY n INT`, ""},
	{"DIF1113", "info", "t.k", `ALTER TABLE t DROP KEY k, ADD KEY k (k) COMMENT 'k'`, ""},
	{"DIF1113", "info", "pr", `ALTER PROCEDURE pr COMMENT 'other'`, ""},
	{"DIF1114", "warning", "v", `CREATE OR REPLACE VIEW v AS SELECT a, b FROM t WHERE a > 2`, ""},
	{"DIF1114", "warning", "v", `CREATE OR REPLACE VIEW v AS SELECT a, b AS b FROM t WHERE a >= 1`, ""},
	{"DIF1114", "warning", "v", `CREATE OR REPLACE SQL SECURITY INVOKER VIEW v AS SELECT a, b FROM t WHERE a > 1`, ""},
	{"DIF1114", "warning", "v", `CREATE OR REPLACE VIEW v AS SELECT a, b FROM t WHERE a > 1 WITH CHECK OPTION`, ""},
	{"DIF1114", "info", "v", `CREATE OR REPLACE ALGORITHM = MERGE VIEW v AS SELECT a, b FROM t WHERE a > 1`, ""},
	{"DIF1114", "warning", "tr", `DROP TRIGGER tr;;CREATE TRIGGER tr BEFORE INSERT ON p FOR EACH ROW SET NEW.x = NEW.x + 2`, ""},
	{"DIF1114", "warning", "tr", `DROP TRIGGER tr;;CREATE TRIGGER tr BEFORE UPDATE ON p FOR EACH ROW SET NEW.x = NEW.x + 1`, ""},
	{"DIF1114", "warning", "pr", `DROP PROCEDURE pr;;CREATE PROCEDURE pr(IN i INT) COMMENT 'pr' BEGIN SELECT i + 1; SELECT 'y'; END`, ""},
	{"DIF1114", "warning", "pr", `DROP PROCEDURE pr;;CREATE PROCEDURE pr(INOUT i INT) COMMENT 'pr' BEGIN SELECT i + 1; SELECT 'x'; END`, ""},
	{"DIF1114", "warning", "pr", `ALTER PROCEDURE pr SQL SECURITY INVOKER`, ""},
	{"DIF1114", "warning", "fu", `DROP FUNCTION fu;;CREATE FUNCTION fu(i INT) RETURNS BIGINT DETERMINISTIC NO SQL RETURN i + 1`, ""},
	{"DIF1114", "warning", "fu", `DROP FUNCTION fu;;CREATE FUNCTION fu(i INT) RETURNS INT NO SQL RETURN i + 1`, ""},
	{"DIF1114", "warning", "ev", `ALTER EVENT ev DO DELETE FROM p WHERE id < 1`, ""},
	{"DIF1114", "warning", "ev", `ALTER EVENT ev ON SCHEDULE EVERY 2 DAY STARTS '2030-01-01 00:00:00'`, ""},
	{"DIF1114", "info", "ev", `ALTER EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2031-01-01 00:00:00'`, ""},
	{"DIF1114", "info", "ev", `ALTER EVENT ev ENABLE`, ""},
}

// fill makes the whole schema in an empty database.
func (b *bed) fill(t *testing.T) {
	t.Helper()
	for _, q := range whole {
		b.exec(t, q)
	}
}

// restore makes anew what a mutation changed: its object, whatever that is now, with its trigger.
func (b *bed) restore(t *testing.T, object string) {
	t.Helper()
	name, _, _ := strings.Cut(object, ".")
	b.exec(t, "SET foreign_key_checks = 0")
	for _, kind := range []string{"VIEW", "TABLE", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT"} {
		b.exec(t, "DROP "+kind+" IF EXISTS "+name)
	}
	if name == "se" {
		b.exec(t, "DROP SEQUENCE IF EXISTS se")
	}
	for _, q := range whole {
		if words := strings.FieldsFunc(q, func(r rune) bool { return r == ' ' || r == '(' }); words[2] == name || name == "p" && words[2] == "tr" {
			b.exec(t, q)
		}
	}
	b.exec(t, "SET foreign_key_checks = 1")
}

// One change on one side makes one difference, of the rule that is about it: within a vendor's servers, and
// from MySQL to MariaDB and back.
func TestEachChangeIsFoundByItsRule(t *testing.T) {
	flavors := []string{"mysql", "mariadb"}
	start := map[string]func(testing.TB, ...sandboxtest.Option) *sandboxtest.Server{"mysql": sandboxtest.MySQLSource, "mariadb": sandboxtest.MariaDBSource}
	still := map[string]*compat.Picture{}
	changed := map[string]*bed{}
	for _, f := range flavors {
		s := start[f](t)
		b := newBed(t, s)
		b.fill(t)
		still[f] = b.look(t)
		changed[f] = newBed(t, s)
		changed[f].fill(t)
	}
	if d := compat.Differences(still["mysql"], still["mariadb"], nil); len(d) > 0 {
		t.Fatal("before any change: ", d)
	}
	for _, f := range flavors {
		t.Run(f, func(t *testing.T) {
			t.Parallel()
			for _, m := range mutations {
				if m.only == "" || m.only == f {
					changed[f].mutate(t, m, still, f)
				}
			}
		})
	}
}

// mutate makes one change and compares with what was before, on either flavor.
func (b *bed) mutate(t *testing.T, m mutation, still map[string]*compat.Picture, on string) {
	t.Helper()
	defer b.restore(t, m.object)
	for _, q := range strings.Split(m.sql, ";;") {
		if err := b.try(q); err != nil {
			t.Errorf("%s: %v", q, err)
			return
		}
	}
	now := b.look(t)
	for from, was := range still {
		want := m.severity
		if want == "written" {
			want = map[bool]string{true: "error", false: "warning"}[from == on]
		}
		d := compat.Differences(was, now, nil)
		if m.severity == "alike" {
			want = "info"
			if from != on && len(d) == 0 {
				continue
			}
		}
		if len(d) != 1 || d[0].Rule != m.rule || string(d[0].Severity) != want || object(d[0]) != m.object {
			t.Errorf("%s, compared with %s\n\twant %s %s %s\n\tfound %v", m.sql, from, m.rule, want, m.object, lines(d))
		}
	}
}

func object(d normal.Difference) string { return strings.TrimPrefix(d.Object(), d.Schema+".") }

func lines(all []normal.Difference) (l []string) {
	for _, d := range all {
		l = append(l, "\n\t\t"+said(d))
	}
	return l
}
