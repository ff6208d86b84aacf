CREATE TABLE `seqd` (
  `id` int(11) NOT NULL DEFAULT nextval(`tt`.`seq`),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
