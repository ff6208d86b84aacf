INSERT INTO parent VALUES (1,1,'a'), (2,2,'b'), (4,4,NULL), (5,5,'e');
INSERT INTO child VALUES (1,3,1,'a'), (2,3,1,NULL), (3,3,NULL,'b'), (4,3,4,NULL);
INSERT INTO tree VALUES (1,1,NULL), (2,3,1), (4,4,1), (5,3,4);
INSERT INTO ring_a VALUES (1,1,NULL), (2,3,NULL);
INSERT INTO ring_b VALUES (1,1,1), (2,3,2);
UPDATE ring_a SET b = 1 WHERE id = 1;
