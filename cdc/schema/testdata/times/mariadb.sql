CREATE TABLE `times` (
  `id` int(11) NOT NULL,
  `created` datetime DEFAULT current_timestamp(),
  `updated` timestamp(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
  `odd` datetime(6) DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  `zero` datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  `ts` timestamp NULL DEFAULT NULL,
  `tt` time(2) DEFAULT '00:00:01.00',
  `d` date DEFAULT curdate(),
  `d2` date DEFAULT current_timestamp(),
  `v` varchar(30) DEFAULT current_timestamp(),
  `y` year(4) DEFAULT 1999,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
