CREATE TABLE `expressions` (
  `id` int NOT NULL,
  `n` int DEFAULT '1',
  `uu` varchar(40) COLLATE utf8mb4_general_ci DEFAULT (uuid()),
  `plus` int DEFAULT ((`n` + 1)),
  `cc` varchar(9) COLLATE utf8mb4_general_ci DEFAULT (concat(_utf8mb4'a',_utf8mb4'b')) COMMENT 'default',
  `lo` int GENERATED ALWAYS AS (length(`uu`)) VIRTUAL,
  `st` int GENERATED ALWAYS AS ((`n` + 1)) STORED,
  `inv` int DEFAULT '7' /*!80023 INVISIBLE */,
  `r` double DEFAULT (rand()),
  PRIMARY KEY (`id`),
  CONSTRAINT `expressions_chk_1` CHECK ((`r` > 0))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
