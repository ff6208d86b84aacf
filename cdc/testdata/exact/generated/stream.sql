UPDATE uniq SET email = CASE id WHEN 1 THEN 'é@x2' WHEN 3 THEN 'a@B' END WHERE id = 1;
UPDATE gen SET a = a + 1 WHERE id = 4;
/*!80030 UPDATE gipk SET v = 'c' WHERE touch = 3 */;
/*!80030 SELECT 1 */;
