CREATE TABLE `strings` (
  `id` int NOT NULL,
  `v` varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT 'it''s \\ (x',
  `e` enum('a,b','c)','''') COLLATE utf8mb4_general_ci NOT NULL,
  `s` set('x','y') COLLATE utf8mb4_general_ci DEFAULT 'x,y',
  `bin` varbinary(4) DEFAULT 0x00FF,
  `fixed` binary(2) DEFAULT 'a\0',
  `bl` blob DEFAULT (0x616263),
  `t` text COLLATE utf8mb4_general_ci DEFAULT (_utf8mb4'a\'bc'),
  `nt` mediumtext COLLATE utf8mb4_general_ci,
  `emoji` varchar(9) COLLATE utf8mb4_general_ci DEFAULT '?',
  `sw` varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_swedish_ci DEFAULT NULL COMMENT 'it''s, (x',
  `u3` varchar(5) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT '',
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`v`(3),`e`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='tab, (le'
