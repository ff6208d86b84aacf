CREATE TABLE `checks` (
  `id` int NOT NULL,
  `a` int DEFAULT NULL,
  `b` varchar(9) COLLATE utf8mb4_general_ci DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `checks_chk_1` CHECK ((`a` > 0)),
  CONSTRAINT `checks_chk_2` CHECK ((`a` < 10)),
  CONSTRAINT `checks_chk_3` CHECK ((`b` is not null)),
  CONSTRAINT `named` CHECK ((`b` <> _utf8mb4'),'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
