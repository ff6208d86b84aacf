CREATE TABLE `strings` (
  `id` int NOT NULL,
  `v` varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT 'it''s \\ (x',
  `e` enum('a,b','c)','''') NOT NULL,
  `s` set('x','y') DEFAULT 'x,y',
  `bin` varbinary(4) DEFAULT 0x00FF,
  `fixed` binary(2) DEFAULT 0x6100,
  `bl` blob DEFAULT (0x616263),
  `t` text DEFAULT ('a\'bc'),
  `nt` mediumtext DEFAULT NULL,
  `emoji` varchar(9) DEFAULT '?',
  `sw` varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_swedish_ci DEFAULT NULL COMMENT 'it''s, (x',
  `u3` varchar(5) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci DEFAULT '',
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`v`(3),`e`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci COMMENT='tab, (le'
