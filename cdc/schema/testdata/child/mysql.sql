CREATE TABLE `child` (
  `id` int NOT NULL,
  `a` bigint unsigned DEFAULT NULL,
  `b` bigint unsigned DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `a` (`a`),
  KEY `xx` (`b`),
  CONSTRAINT `child_ibfk_1` FOREIGN KEY (`a`) REFERENCES `parent` (`id`) ON DELETE CASCADE,
  CONSTRAINT `xx` FOREIGN KEY (`b`) REFERENCES `parent` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
