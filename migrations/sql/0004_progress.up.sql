-- Each different program once for its level: digest is the first 20 bytes of its SHA-256.
CREATE TABLE level_sources (
    id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    level_id   SMALLINT UNSIGNED NOT NULL,
    digest     BINARY(20)  NOT NULL,
    program    MEDIUMTEXT  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    created_at DATETIME    NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY level_sources_program (level_id, digest)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- A row for each click on Run. Its id is a signed INT, as inherited: see step 12. No foreign keys,
-- as in each of the tables that are written to most.
CREATE TABLE activities (
    id              INT          NOT NULL AUTO_INCREMENT,
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

-- How far a student is on a level; state is what the page wants back.
CREATE TABLE user_levels (
    user_id         INT UNSIGNED NOT NULL,
    script_id       SMALLINT UNSIGNED NOT NULL,
    level_id        SMALLINT UNSIGNED NOT NULL,
    attempts        INT UNSIGNED NOT NULL,
    best_result     TINYINT UNSIGNED NOT NULL,
    level_source_id BIGINT UNSIGNED NOT NULL,
    state           JSON         NULL,
    created_at      DATETIME     NOT NULL,
    updated_at      DATETIME(3)  NOT NULL,
    PRIMARY KEY (user_id, script_id, level_id),
    KEY user_levels_level (level_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE teacher_feedbacks (
    id          INT UNSIGNED NOT NULL AUTO_INCREMENT,
    op_id       BINARY(16)   NOT NULL,
    op_digest   BINARY(16)   NOT NULL,
    teacher_id  INT UNSIGNED NOT NULL,
    student_id  INT UNSIGNED NOT NULL,
    script_id   SMALLINT UNSIGNED NOT NULL,
    level_id    SMALLINT UNSIGNED NOT NULL,
    activity_id BIGINT       NULL,
    comment     TEXT         NOT NULL,
    rating      ENUM('none', 'begun', 'nearly', 'there', 'beyond') NOT NULL DEFAULT 'none',
    details     JSON         NULL,
    created_at  DATETIME     NOT NULL,
    seen_at     DATETIME     NULL,
    PRIMARY KEY (id),
    UNIQUE KEY teacher_feedbacks_op (op_id),
    KEY teacher_feedbacks_student (student_id, level_id),
    KEY teacher_feedbacks_teacher (teacher_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- An Hour of Code: begun, and perhaps finished. The certificate's code is in its address.
CREATE TABLE hoc_activity (
    id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    op_id       BINARY(16)   NOT NULL,
    op_digest   BINARY(16)   NOT NULL,
    finish_op   BINARY(16)   NULL,
    user_id     INT UNSIGNED NOT NULL,
    script_id   SMALLINT UNSIGNED NOT NULL,
    ip          VARBINARY(16) NOT NULL,
    country     CHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    referer     VARCHAR(200) NOT NULL DEFAULT '',
    started_at  DATETIME(3)  NOT NULL,
    finished_at DATETIME(3)  NULL,
    certificate BINARY(16)   NULL,
    name        VARCHAR(80)  NULL,
    PRIMARY KEY (id),
    UNIQUE KEY hoc_activity_op (op_id),
    UNIQUE KEY hoc_activity_certificate (certificate),
    KEY hoc_activity_started (script_id, started_at),
    KEY hoc_activity_user (user_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
