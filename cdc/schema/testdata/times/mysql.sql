CREATE TABLE `times` (
  `id` int NOT NULL,
  `created` datetime DEFAULT CURRENT_TIMESTAMP,
  `updated` timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  `odd` datetime(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  `zero` datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  `ts` timestamp NULL DEFAULT NULL,
  `tt` time(2) DEFAULT '00:00:01.00',
  `d` date DEFAULT (curdate()),
  `d2` date DEFAULT (now()),
  `v` varchar(30) COLLATE utf8mb4_general_ci DEFAULT (now()),
  `y` year DEFAULT '1999',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
