SET SESSION sql_mode='';
INSERT INTO sets VALUES (1,1,'a','','','2','é'), (2,2,'b,c','x','a,it''s','1','ü'), (3,3,'it''s','no member','日,\\,"','2',NULL), (4,4,'日本',NULL,'a,it''s,日,\\,"','1','é'), (5,5,'back\\slash','','','1','é'), (6,6,'"q"','x',NULL,'none','none'), (7,7,'none','none','none','none','none'), (8,8,0,0,0,'1','é');
