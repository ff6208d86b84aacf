INSERT INTO `select` VALUES (1,1,1,'x',1,1), (2,2,2,NULL,2,2), (3,3,3,'''',3,3);
INSERT INTO `ta``ble with space` VALUES (1,1,1,'日'), (2,2,NULL,''), (3,3,3,NULL);
INSERT INTO `größe-1.2@x` VALUES (1,1,1,1,1,1), (2,2,2,2,2,2), (3,3,3,3,3,3);
