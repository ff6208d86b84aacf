-- The algorithm is the server's choice: MySQL drops a column instantly from 8.0.29 on, and before
-- that in place, while writes go on.
ALTER TABLE projects DROP COLUMN description;

ALTER TABLE hoc_activity DROP COLUMN locale;
