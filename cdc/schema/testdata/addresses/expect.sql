CREATE TABLE `addresses` (
  `id` char(36) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL DEFAULT (uuid()),
  `six` varchar(45) CHARACTER SET ascii COLLATE ascii_general_ci DEFAULT '::1',
  `four` varchar(15) CHARACTER SET ascii COLLATE ascii_general_ci DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
