CREATE TABLE a (id INT PRIMARY KEY,
  t TIMESTAMP, -- want TYP301
  ts TIMESTAMP DEFAULT CURRENT_TIMESTAMP, -- want TYP301
  tn TIMESTAMP DEFAULT NULL, u TIMESTAMP NULL, v TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, w DATETIME NOT NULL,
  z DATE DEFAULT '0000-00-00', -- want TYP303
  z2 DATETIME DEFAULT '2020-00-01 00:00:00', -- want TYP303
  z3 DATE DEFAULT '2020-01-01', y YEAR,
  f FLOAT(7,2), -- want TYP305
  g DECIMAL(7,2) UNSIGNED, -- want TYP305
  h DECIMAL(7,2), i FLOAT, d INT UNSIGNED,
  w1 INT(11), -- want TYP309
  w2 INT ZEROFILL, -- want TYP309
  w3 TINYINT(1), w4 BIGINT);
CREATE TABLE y (id INT PRIMARY KEY,
  y2 YEAR(2), -- want TYP304
  y4 YEAR(4)); -- want TYP304
CREATE TABLE b (id DOUBLE AUTO_INCREMENT PRIMARY KEY); -- want TYP306
CREATE TABLE en (id INT PRIMARY KEY,
  a ENUM('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')); -- want TYP308
CREATE TABLE en2 (id INT PRIMARY KEY, a ENUM('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'));
CREATE TABLE en3 (id INT PRIMARY KEY, a ENUM('a', 'A ')); -- want TYP308
CREATE TABLE en4 (id INT PRIMARY KEY, a SET('a', 'b,c')); -- want TYP308
CREATE TABLE en5 (id INT PRIMARY KEY, a ENUM('a', 'A') COLLATE utf8mb4_bin, b ENUM('a', 'A') CHARACTER SET binary, c ENUM('it''s', 'b,c'), d SET('a', 'b'));
CREATE TABLE en6 (id INT PRIMARY KEY, a SET('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12', '13', '14', '15', '16', '17', '18', '19', '20', '21', '22', '23', '24', '25', '26', '27', '28', '29', '30', '31', '32', '33', '34', '35', '36', '37', '38', '39', '40', '41', '42', '43', '44', '45', '46', '47', '48', '49', '50', '51', '52', '53', '54', '55', '56', '57', '58', '59', '60', '61', '62', '63', '64')); -- want TYP308
CREATE TABLE sp (id INT PRIMARY KEY, p POINT NOT NULL,
  SPATIAL KEY p (p)); -- want TYP310
CREATE TABLE sp2 (id INT PRIMARY KEY, p POINT NOT NULL SRID 4326, q POINT, SPATIAL KEY p (p));
CREATE TABLE g1 (id INT PRIMARY KEY, a DATETIME AS (NOW())); -- want TYP312
CREATE TABLE g2 (id INT PRIMARY KEY, a DATETIME AS (CURRENT_TIMESTAMP)); -- want TYP312
CREATE TABLE g3 (id INT PRIMARY KEY, a INT AS ((SELECT 1))); -- want TYP312
CREATE TABLE g4 (id INT PRIMARY KEY, a INT AS (@x)); -- want TYP312
CREATE TABLE g5 (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, a INT AS (id + 1)); -- want TYP312
CREATE TABLE g6 (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, user INT, now DATE, a INT AS (user + 1), b INT AS (LENGTH('now()')), c INT AS (YEAR(now)) STORED);
CREATE TABLE c1 (id INT PRIMARY KEY, a DATE, CHECK (a < NOW())); -- want TYP314
CREATE TABLE c2 (id INT PRIMARY KEY, a INT CHECK (a IN (SELECT 1))); -- want TYP314
CREATE TABLE c3 (id INT PRIMARY KEY, a INT CHECK (a <> @x)); -- want TYP314
CREATE TABLE c4 (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, CHECK (id > 0)); -- want TYP314
CREATE TABLE c5 (id INT PRIMARY KEY, a INT CHECK (id > 0)); -- want TYP314
CREATE TABLE cp (id INT PRIMARY KEY);
CREATE TABLE c6 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES cp (id) ON DELETE SET NULL,
  CHECK (p > 0)); -- want TYP314
CREATE TABLE c7 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES cp (id) ON UPDATE CASCADE,
  CONSTRAINT c7 CHECK (p > 0)); -- want TYP314
CREATE TABLE c8 (id INT PRIMARY KEY, p INT CHECK (p > 0), q INT, FOREIGN KEY (p) REFERENCES cp (id) ON DELETE CASCADE, CHECK (id <> q), CHECK (q <> LENGTH('p')));
CREATE TABLE ai (id INT AUTO_INCREMENT PRIMARY KEY); -- want TYP316
CREATE TABLE ai2 (id SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY); -- want TYP316
CREATE TABLE ai3 (id BIGINT AUTO_INCREMENT PRIMARY KEY);
CREATE TABLE en7 (id INT PRIMARY KEY, e ENUM('a', 'A'), f ENUM('x', 'X') CHARACTER SET binary) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE en8 (id INT PRIMARY KEY, e ENUM('a', 'A')) DEFAULT CHARSET=latin1; -- want TYP308
