CREATE TABLE `collated` (
  `id` int NOT NULL,
  `a` varchar(5) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci DEFAULT NULL,
  `b` varchar(5) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin DEFAULT NULL,
  `c` text CHARACTER SET utf8mb3 COLLATE utf8mb3_unicode_520_ci,
  `g` varchar(9) COLLATE utf8mb4_unicode_520_ci GENERATED ALWAYS AS ((`a` collate utf8mb4_0900_as_cs)) VIRTUAL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_520_ci
