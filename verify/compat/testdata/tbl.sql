CREATE TABLE a (id INT PRIMARY KEY, rank INT, -- want TBL511
  `groups` INT, -- want TBL511
  name INT);
CREATE TABLE `Users` (id INT PRIMARY KEY);
CREATE TABLE `users` (id INT PRIMARY KEY); -- want TBL512
