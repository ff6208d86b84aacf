CREATE TABLE `numbers` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `tiny` tinyint DEFAULT -1,
  `flag` tinyint(1) NOT NULL DEFAULT 1,
  `padded` int(5) unsigned zerofill DEFAULT 00005,
  `price` decimal(10,2) DEFAULT 0.00,
  `ratio` float(7,3) DEFAULT 1.500,
  `dbl` double DEFAULT 10000000000,
  `b` bit(7) DEFAULT b'101',
  `y` year DEFAULT 2000,
  `n` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `flag` (`flag`)
) ENGINE=InnoDB AUTO_INCREMENT=77 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
