CREATE TABLE key_kinds (
  id INT NOT NULL AUTO_INCREMENT, a INT, b VARCHAR(255), c TEXT, d INT NOT NULL, e BINARY(16), `weird ``name` INT,
  PRIMARY KEY (id), UNIQUE KEY u (a), UNIQUE u2 (b, d), KEY k (b(10)), INDEX k2 (c(20), a), FULLTEXT KEY ft (b, c), KEY `we``ird` (`weird ``name`), KEY (d), KEY (e) USING BTREE, KEY h (a, d) USING HASH
) AUTO_INCREMENT = 17;
CREATE TABLE key_options (id INT PRIMARY KEY, a INT UNIQUE COMMENT 'a column', b INT, KEY b (b) COMMENT 'a key', KEY b2 (b, a) KEY_BLOCK_SIZE=8);
CREATE TABLE descending (a INT, b INT, c INT, KEY ab (a DESC, b), KEY c (c ASC), PRIMARY KEY (b DESC, a));
CREATE TABLE no_primary (a INT NOT NULL, b INT, UNIQUE KEY (a, b));
CREATE TABLE composite (a INT, b INT, c CHAR(3), PRIMARY KEY (c, a), KEY b (b));
