CREATE TABLE `select` (`key` INT PRIMARY KEY, touch INT NOT NULL, `order by` INT, `a``b` VARCHAR(20), `naïve` INT, `q'uote"s` INT) DEFAULT CHARSET=utf8mb4;
CREATE TABLE `ta``ble with space` (id INT PRIMARY KEY, touch INT NOT NULL, `from` INT, `日本` VARCHAR(10), UNIQUE KEY `uni``que` (`from`)) DEFAULT CHARSET=utf8mb4;
CREATE TABLE `größe-1.2@x` (id INT PRIMARY KEY, touch INT NOT NULL, `%` INT, `;` INT, `--` INT, `/*` INT) DEFAULT CHARSET=utf8mb4;
