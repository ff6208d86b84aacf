CREATE TABLE `addresses` (
  `id` uuid NOT NULL DEFAULT uuid(),
  `six` inet6 DEFAULT '::1',
  `four` inet4 DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
