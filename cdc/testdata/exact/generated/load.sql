INSERT INTO gen (id, touch, a, b) VALUES (1,1,1,'x'), (2,2,-5,NULL), (3,3,NULL,'y'), (4,4,100,'日'), (5,5,NULL,NULL);
INSERT INTO uniq (id, touch, email) VALUES (1,1,'A@b'), (2,2,NULL), (3,3,'É@X'), (4,4,NULL);
INSERT INTO hidden (id, touch, secret) VALUES (1,1,11), (2,2,NULL), (3,3,33);
/*!80030 INSERT INTO gipk (touch, v) VALUES (1,'a'), (2,'b'), (3,'b'), (4,NULL) */;
/*!80013 INSERT INTO func VALUES (1,1,1,'X','[1,2]'), (2,2,NULL,NULL,NULL), (3,3,5,'é','[3]') */;
