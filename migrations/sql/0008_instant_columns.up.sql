-- Columns with defaults: the server notes them and touches no row. INSTANT, so that a server which
-- would have to rewrite the table says so instead of doing it. users gets none in this way: MariaDB
-- rewrites a table that has an index on a virtual column, and nobody can write to it meanwhile.
ALTER TABLE hoc_activity
    ADD COLUMN locale VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    ALGORITHM = INSTANT;

ALTER TABLE projects
    ADD COLUMN description VARCHAR(500) NOT NULL DEFAULT '',
    ALGORITHM = INSTANT;
