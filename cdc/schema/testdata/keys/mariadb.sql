CREATE TABLE `keys` (
  `id` int(11) NOT NULL,
  `a` varchar(20) DEFAULT NULL,
  `b` text DEFAULT NULL,
  `p` point NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uh` (`a`) USING HASH,
  KEY `ig` (`a`) IGNORED,
  KEY `hash` (`a`) USING HASH,
  KEY `de` (`a` DESC,`id`),
  SPATIAL KEY `sp` (`p`),
  KEY `co` (`b`(10)) COMMENT 'co, mm''ent',
  FULLTEXT KEY `ft` (`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci ROW_FORMAT=DYNAMIC
