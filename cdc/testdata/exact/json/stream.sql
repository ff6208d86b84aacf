UPDATE docs SET j = '{"changed": true}' WHERE id = 2;
/*!80000 UPDATE docs SET j = JSON_SET(j, '$.a[0]', 9, '$.new', CAST(1.5 AS DECIMAL(5,2))) WHERE id = 3 */;
