-- The table that activities will be, with an id that doesn't run out. While it is there, servers
-- write each activity into both tables in one transaction, under the id that activities gave it; the
-- rows that are there already are copied before step 12.
CREATE TABLE activities_wide (
    id              BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    op_id           BINARY(16)   NOT NULL,
    op_digest       BINARY(16)   NOT NULL,
    user_id         INT UNSIGNED NOT NULL,
    script_id       SMALLINT UNSIGNED NOT NULL,
    level_id        SMALLINT UNSIGNED NOT NULL,
    level_source_id BIGINT UNSIGNED NOT NULL,
    result          TINYINT UNSIGNED NOT NULL,
    score           DECIMAL(5,2) NOT NULL,
    `time`          INT UNSIGNED NOT NULL,
    `lines`         SMALLINT UNSIGNED NOT NULL,
    passed          TINYINT GENERATED ALWAYS AS (result >= 20) STORED,
    created_at      DATETIME(3)  NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY activities_op (op_id),
    KEY activities_user (user_id, level_id),
    KEY activities_created (created_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
