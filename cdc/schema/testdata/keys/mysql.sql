CREATE TABLE `keys` (
  `id` int NOT NULL,
  `a` varchar(20) COLLATE utf8mb4_general_ci DEFAULT NULL,
  `b` text COLLATE utf8mb4_general_ci,
  `p` point NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uh` (`a`),
  SPATIAL KEY `sp` (`p`),
  FULLTEXT KEY `ft` (`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci ROW_FORMAT=DYNAMIC
