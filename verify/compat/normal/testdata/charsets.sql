CREATE TABLE of_the_database (a VARCHAR(10), b TEXT);
CREATE TABLE explicit (a VARCHAR(10), b VARCHAR(10) CHARACTER SET latin1, c VARCHAR(10) COLLATE utf8mb4_bin, d VARCHAR(10) CHARACTER SET ascii COLLATE ascii_bin, e CHAR(3) CHARACTER SET utf8 COLLATE utf8_bin) DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_general_ci;
CREATE TABLE latin (a VARCHAR(10), b VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, e ENUM('ä')) DEFAULT CHARSET = latin1;
CREATE TABLE three (a VARCHAR(10), b VARCHAR(10) COLLATE utf8_unicode_ci) DEFAULT CHARSET = utf8;
-- differs: DIF1106 the default collation of utf8mb4 is not the same
CREATE TABLE charset_only (a VARCHAR(10), b INT) DEFAULT CHARSET = utf8mb4;
CREATE TABLE octets (a VARCHAR(10), b TEXT) DEFAULT CHARSET = binary;
CREATE TABLE words (a VARCHAR(10) ASCII, b VARCHAR(10) UNICODE, c CHAR(5) BYTE) DEFAULT CHARSET = latin1 COLLATE latin1_bin;
