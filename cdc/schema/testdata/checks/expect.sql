CREATE TABLE `checks` (
  `id` int NOT NULL,
  `a` int DEFAULT NULL CHECK (`a` > 0),
  `b` varchar(9) DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `named` CHECK (`b` <> '),'),
  CHECK (`a` < 10),
  CHECK (`b` is not null)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
