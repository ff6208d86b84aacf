CREATE TABLE `json` (
  `id` int NOT NULL,
  `j` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  `k` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT (_utf8mb4'{}'),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
