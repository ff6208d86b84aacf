-- Runs while the table is locked, after the last titles are filled in. The algorithm is the server's
-- choice: MySQL drops a column instantly from 8.0.29 on, and before that in place.
ALTER TABLE sections DROP COLUMN name;
