SET sql_mode = 'NO_ENGINE_SUBSTITUTION'
---
CREATE TABLE t (id int PRIMARY KEY, v varchar(20) CHARACTER SET utf8mb4)
---
CREATE TABLE log (id int AUTO_INCREMENT PRIMARY KEY, what varchar(40))
---
CREATE FUNCTION plus(n int) RETURNS int DETERMINISTIC RETURN n + 1
---
CREATE DEFINER = 'app'@'%' SQL SECURITY INVOKER VIEW c_base AS SELECT id, plus(id) AS p, v FROM t
---
CREATE VIEW b_middle AS SELECT * FROM c_base
---
CREATE DEFINER = 'nobody'@'nowhere' VIEW a_top AS SELECT id, 'é' AS c FROM b_middle WHERE v <> '😀'
---
SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'
---
CREATE DEFINER = "app"@"%" PROCEDURE "strange ` name"(IN x varchar(9)) COMMENT 'DEFINER=`x`@`y`' BEGIN INSERT INTO "log" (what) VALUES ('<' || x || '>'); END
---
SET NAMES latin1
---
CREATE PROCEDURE in_latin1() BEGIN INSERT INTO log (what) VALUES ('LATIN'); END
---
SET NAMES utf8mb4
---
SET sql_mode = ''
---
CREATE TRIGGER second BEFORE INSERT ON t FOR EACH ROW INSERT INTO log (what) VALUES ('first to be made')
---
CREATE TRIGGER before_it BEFORE INSERT ON t FOR EACH ROW PRECEDES second INSERT INTO log (what) VALUES ('fires first')
---
CREATE DEFINER = 'nobody'@'nowhere' EVENT tick ON SCHEDULE EVERY 1 SECOND COMMENT 'DO ENABLE' DO INSERT INTO log (what) VALUES ('tick')
---
CREATE EVENT off ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO SELECT 1
