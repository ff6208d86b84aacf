-- A script is a course: its levels are played in the order of their positions.
CREATE TABLE scripts (
    id       SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
    name     VARCHAR(40)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    title    VARCHAR(120) NOT NULL,
    kind     ENUM('hoc', 'course', 'dance', 'applab') NOT NULL,
    `group`  VARCHAR(40)  NOT NULL DEFAULT '',
    position SMALLINT UNSIGNED NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY scripts_name (name),
    UNIQUE KEY scripts_place (`group`, position)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- definition is what the page needs to play the level: the grid, the blocks, the goal.
CREATE TABLE levels (
    id           SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT,
    script_id    SMALLINT UNSIGNED NOT NULL,
    position     SMALLINT UNSIGNED NOT NULL,
    title        VARCHAR(120) NOT NULL,
    instructions LONGTEXT     NOT NULL,
    definition   JSON         NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY levels_place (script_id, position),
    FULLTEXT KEY levels_text (title, instructions)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- No primary key, as inherited.
CREATE TABLE concepts_levels (
    concept  VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    level_id SMALLINT UNSIGNED NOT NULL,
    KEY concepts_levels_level (level_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
