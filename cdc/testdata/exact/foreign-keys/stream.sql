SET foreign_key_checks = 0;
INSERT INTO child VALUES (99,99,12345,'orphan');
SET foreign_key_checks = 1;
INSERT INTO parent VALUES (7,7,'g');
UPDATE parent SET touch = 0 WHERE id = 7;
DELETE FROM parent WHERE id = 5;
UPDATE tree SET up = 4 WHERE id = 1;
