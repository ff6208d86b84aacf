INSERT INTO docs VALUES (1,1,'{}','[]'), (2,2,'null','"x"'), (3,3,'{"b":1,"aa":2,"a":[1,2.5,-0.0,1e20,1e-7,123456789012345678]}','[18446744073709551615,-9223372036854775808,1e15,1e300,5e-324]'), (4,4,NULL,'true'), (5,5,'"\\u2028é😀\\u0000\\"\\\\"','{"":"","a b":":,{}[]","日":null}'), (6,6,CONCAT(REPEAT('[',30),'1',REPEAT(']',30)),CONCAT('["',REPEAT('x',70000),'"]'));
/*!80000 INSERT INTO docs VALUES (7,7,CAST(12.50 AS JSON),JSON_OBJECT('d',CAST('2020-01-02' AS DATE),'t',CAST('01:02:03.5' AS TIME(3)),'dt',CAST('2020-01-02 03:04:05.25' AS DATETIME(2)))) */;
/*!80000 INSERT INTO docs VALUES (8,8,JSON_ARRAY(x'00ff',b'101',TRUE,1.10),CAST('{"z":1,"y":{"x":[1.0,2]}}' AS JSON)) */;
/*M!100000 INSERT INTO docs VALUES (7,7,'{"a":1,"a":2, "b" : 3}','  [1 , 2]') */;
