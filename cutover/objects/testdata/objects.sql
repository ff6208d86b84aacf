SET sql_mode = 'NO_ENGINE_SUBSTITUTION'
---
CREATE TABLE t (id int PRIMARY KEY, v varchar(20) CHARACTER SET utf8mb4)
---
CREATE TABLE log (id int AUTO_INCREMENT PRIMARY KEY, what varchar(40))
---
CREATE TABLE gap (id int AUTO_INCREMENT PRIMARY KEY)
---
CREATE TABLE plain_one (id int AUTO_INCREMENT PRIMARY KEY, d date NOT NULL DEFAULT '0000-00-00')
---
INSERT INTO gap (id) VALUES (1), (2), (3), (41)
---
DELETE FROM gap WHERE id = 41
---
CREATE DEFINER = 'app'@'%' FUNCTION plus(n int) RETURNS int DETERMINISTIC RETURN n + 1
---
CREATE DEFINER = 'app'@'%' SQL SECURITY INVOKER VIEW c_base AS SELECT id, plus(id) AS p, v FROM t
---
CREATE DEFINER = 'app'@'%' VIEW b_middle AS SELECT id, 'é' AS c FROM c_base WHERE v <> '😀'
---
SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'
---
CREATE DEFINER = "app"@"%" PROCEDURE "strange ` name"(IN x varchar(9)) COMMENT 'DEFINER=`x`@`y`' BEGIN INSERT INTO "log" (what) VALUES ('<' || x || '>'); END
---
SET NAMES latin1
---
CREATE DEFINER = "app"@"%" PROCEDURE in_latin1() BEGIN INSERT INTO log (what) VALUES ('LATIN'); END
---
SET NAMES utf8mb4
---
CREATE DEFINER = "app"@"%" TRIGGER quotes AFTER INSERT ON t FOR EACH ROW INSERT INTO "log" (what) VALUES ('<' || NEW.v || '>')
---
SET sql_mode = ''
---
CREATE DEFINER = 'app'@'%' TRIGGER second BEFORE INSERT ON t FOR EACH ROW INSERT INTO log (what) VALUES ('second')
---
CREATE DEFINER = 'app'@'%' TRIGGER third BEFORE INSERT ON t FOR EACH ROW FOLLOWS second INSERT INTO log (what) VALUES ('third')
---
CREATE DEFINER = 'nobody'@'nowhere' TRIGGER before_it BEFORE DELETE ON t FOR EACH ROW SET @gone = OLD.id
---
DROP TRIGGER before_it
---
CREATE DEFINER = 'app'@'%' TRIGGER before_it BEFORE INSERT ON t FOR EACH ROW PRECEDES second INSERT INTO log (what) VALUES ('before it')
---
CREATE DEFINER = 'nobody'@'nowhere' TRIGGER of_nobody AFTER UPDATE ON gap FOR EACH ROW SET @gone = OLD.id
---
SET time_zone = '+05:30'
---
CREATE DEFINER = 'app'@'%' EVENT tick ON SCHEDULE EVERY 1 HOUR STARTS '2030-01-01 00:00:00' COMMENT 'DO ENABLE' DO INSERT INTO log (what) VALUES ('tick')
---
SET sql_mode = 'ANSI_QUOTES'
---
CREATE DEFINER = "app"@"%" EVENT quoted ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' ON COMPLETION PRESERVE DO INSERT INTO "log" (what) VALUES ('quoted')
---
CREATE DEFINER = "app"@"%" EVENT off ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DISABLE DO SET @x = 1
