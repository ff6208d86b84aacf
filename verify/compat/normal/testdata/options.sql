CREATE TABLE options (a INT) ENGINE = InnoDB ROW_FORMAT = DYNAMIC COMMENT = 'it''s a "table"' MAX_ROWS = 100 AVG_ROW_LENGTH = 10 STATS_PERSISTENT = 1 CHECKSUM = 0;
CREATE TABLE compact (a INT COMMENT 'ü🙂', b INT COMMENT '') ROW_FORMAT = COMPACT;
CREATE TABLE redundant (a INT COMMENT 'line\nbreak') ROW_FORMAT = REDUNDANT;
CREATE TABLE other_engine (a INT) ENGINE = MyISAM;
CREATE TABLE in_memory (a INT, KEY a (a) USING BTREE, KEY h (a) USING HASH) ENGINE = MEMORY;
CREATE TABLE `odd ``names`` (x)` (`a,b` INT, `c)` INT, `ü` INT, `select` INT, KEY `k,1` (`a,b`, `c)`));
