-- With a default: a server that hasn't seen the column yet inserts without it.
ALTER TABLE sections
    ADD COLUMN name VARCHAR(100) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL DEFAULT '' AFTER code;
