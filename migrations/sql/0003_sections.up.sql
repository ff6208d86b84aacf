-- A class. Its name is utf8mb3, as inherited: no emoji until step 10.
CREATE TABLE sections (
    id         INT UNSIGNED NOT NULL AUTO_INCREMENT,
    op_id      BINARY(16)   NOT NULL,
    op_digest  BINARY(16)   NOT NULL,
    teacher_id INT UNSIGNED NOT NULL,
    script_id  SMALLINT UNSIGNED NULL,
    code       CHAR(6) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    name       VARCHAR(100) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci NOT NULL,
    created_at DATETIME     NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY sections_op (op_id),
    UNIQUE KEY sections_code (code),
    KEY sections_teacher (teacher_id),
    CONSTRAINT sections_teacher FOREIGN KEY (teacher_id) REFERENCES users (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE section_students (
    section_id INT UNSIGNED NOT NULL,
    user_id    INT UNSIGNED NOT NULL,
    joined_at  DATETIME(3)  NOT NULL,
    PRIMARY KEY (section_id, user_id),
    KEY section_students_user (user_id),
    CONSTRAINT section_students_section FOREIGN KEY (section_id) REFERENCES sections (id) ON DELETE CASCADE,
    CONSTRAINT section_students_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
