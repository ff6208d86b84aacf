CREATE TABLE `expressions` (
  `id` int(11) NOT NULL,
  `n` int(11) DEFAULT 1,
  `uu` varchar(40) DEFAULT uuid(),
  `plus` int(11) DEFAULT (`n` + 1),
  `cc` varchar(9) DEFAULT concat('a','b') COMMENT 'default',
  `lo` int(11) GENERATED ALWAYS AS (octet_length(`uu`)) VIRTUAL,
  `st` int(11) GENERATED ALWAYS AS (`n` + 1) STORED,
  `inv` int(11) INVISIBLE DEFAULT 7,
  `r` double DEFAULT rand() CHECK (`r` > 0),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
