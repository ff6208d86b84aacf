SET sql_mode = '', foreign_key_checks = 0
---
CREATE TABLE `every type` (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  ti tinyint(1) DEFAULT 1, si smallint unsigned, mi mediumint zerofill, f float, d double, de decimal(30,10) DEFAULT '1.5', b bit(64),
  da date DEFAULT '0000-00-00', ti6 time(6), dt datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  ts timestamp NOT NULL DEFAULT '0000-00-00 00:00:00', y year, c char(3) CHARACTER SET latin1, v varchar(9) COLLATE utf8mb4_bin,
  vb varbinary(9) DEFAULT 0x00ff, bi binary(4), t text, mt mediumtext DEFAULT ('x'), bl blob, e enum('a,b','c)','''') CHARACTER SET latin1, s set('x','y'),
  j json DEFAULT (json_array()), g geometry SRID 4326, p point NOT NULL SRID 0, vec vector(3), u varchar(40) DEFAULT (uuid()), em varchar(9) DEFAULT '😀',
  inv int INVISIBLE DEFAULT 7, gv int AS (length(v)) VIRTUAL, gs varchar(20) AS (concat(v, 'é😀')) STORED NOT NULL,
  SPATIAL KEY (p), FULLTEXT KEY ft (t) WITH PARSER ngram, UNIQUE KEY u (v, si), UNIQUE KEY fu ((lower(v)))
) COMMENT 'it''s (, a table' AUTO_INCREMENT = 77 STATS_PERSISTENT = 1
---
CREATE TABLE indexes (
  id int PRIMARY KEY, a varchar(30), b int, j json, t text,
  KEY plain (b), KEY prefix (a(5), b DESC), KEY functional ((lower(a)), b), KEY multi ((CAST(j->'$.a' AS UNSIGNED ARRAY))),
  KEY hidden (a) INVISIBLE, KEY said (b, a) COMMENT 'it''s, (x' KEY_BLOCK_SIZE = 4, KEY `emoji and ``tick` ((concat(a, '😀'))), FULLTEXT KEY ft (t)
)
---
CREATE TABLE checks (a int CHECK (a > 0), b varchar(9), c int, PRIMARY KEY (a), CONSTRAINT named CHECK (b <> '),('), CHECK (a <> c) NOT ENFORCED)
---
CREATE TABLE `order` (`select` int PRIMARY KEY, `a``b` int, ` spaced out` int, `日本` int, `key` int, KEY `key` (`key`), KEY `select` (`日本`, `a``b`))
---
CREATE TABLE loop_a (id int PRIMARY KEY, b int, self int, KEY later (id, b), CONSTRAINT loop_ab FOREIGN KEY (b) REFERENCES loop_b (id) ON DELETE CASCADE ON UPDATE SET NULL, FOREIGN KEY (self) REFERENCES loop_a (id))
---
CREATE TABLE loop_b (id int PRIMARY KEY, a int, x int, KEY later (x), CONSTRAINT loop_ba FOREIGN KEY (a) REFERENCES loop_a (id))
---
CREATE TABLE points_nowhere (id int PRIMARY KEY, n int, CONSTRAINT nowhere FOREIGN KEY (n) REFERENCES not_there (id))
---
CREATE TABLE parts (id int NOT NULL, y int NOT NULL, v varchar(9), PRIMARY KEY (id, y), KEY (y), KEY (v))
  PARTITION BY RANGE (y) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN (2000), PARTITION `p 1` VALUES LESS THAN MAXVALUE COMMENT 'x')
---
CREATE TABLE `is#part#p#p0/ä` (id int PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2
---
CREATE TABLE keyless (a int, b text, KEY (a))
---
CREATE TABLE auto_second (a int NOT NULL, id int NOT NULL AUTO_INCREMENT, PRIMARY KEY (a, id), KEY (id), KEY (a))
---
CREATE TABLE old (id int PRIMARY KEY, c varchar(5), KEY (c)) CHARSET latin1 ROW_FORMAT = COMPACT
---
CREATE TABLE squeezed (id int PRIMARY KEY) ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 8
---
CREATE TABLE con (id int PRIMARY KEY)
