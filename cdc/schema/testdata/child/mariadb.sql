CREATE TABLE `child` (
  `id` int(11) NOT NULL,
  `a` bigint(20) unsigned DEFAULT NULL,
  `b` bigint(20) unsigned DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `a` (`a`),
  KEY `xx` (`b`),
  CONSTRAINT `child_ibfk_1` FOREIGN KEY (`a`) REFERENCES `parent` (`id`) ON DELETE CASCADE,
  CONSTRAINT `xx` FOREIGN KEY (`b`) REFERENCES `parent` (`id`) ON UPDATE NO ACTION
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
