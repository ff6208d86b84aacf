INSERT INTO parts VALUES (1,1,'1999-01-01'), (2,2,'2001-01-01'), (3,3,'2024-01-01'), (4,4,'2000-01-01'), (5,5,'9999-12-31');
INSERT INTO hashed VALUES (0,0,'a'), (1,1,'b'), (2,2,'c'), (-3,3,'d'), (77,7,NULL);
INSERT INTO listed VALUES (1,1,'a'), (2,2,'b'), (3,3,'c');
