CREATE TABLE `checks` (
  `id` int(11) NOT NULL,
  `a` int(11) DEFAULT NULL CHECK (`a` > 0),
  `b` varchar(9) DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `named` CHECK (`b` <> '),'),
  CONSTRAINT `CONSTRAINT_1` CHECK (`a` < 10),
  CONSTRAINT `CONSTRAINT_2` CHECK (`b` is not null)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
