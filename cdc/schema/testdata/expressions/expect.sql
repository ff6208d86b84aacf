CREATE TABLE `expressions` (
  `id` int NOT NULL,
  `n` int DEFAULT 1,
  `uu` varchar(40) DEFAULT (uuid()),
  `plus` int DEFAULT (`n` + 1),
  `cc` varchar(9) DEFAULT (concat('a','b')) COMMENT 'default',
  `lo` int GENERATED ALWAYS AS (octet_length(`uu`)) VIRTUAL,
  `st` int GENERATED ALWAYS AS (`n` + 1) STORED,
  `inv` int INVISIBLE DEFAULT 7,
  `r` double DEFAULT (rand()) CHECK (`r` > 0),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
