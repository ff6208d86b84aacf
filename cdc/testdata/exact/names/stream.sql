UPDATE `select` SET `order by` = 9, `a``b` = 'y`' WHERE `key` = 2;
ALTER TABLE `ta``ble with space` ADD COLUMN `gro``up` INT, DROP INDEX `uni``que`;
CREATE TABLE `neu;e` (id INT PRIMARY KEY, touch INT NOT NULL, `b,c` INT) DEFAULT CHARSET=utf8mb4;
INSERT INTO `neu;e` VALUES (1,1,1), (2,2,2), (3,3,3);
