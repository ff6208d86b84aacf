-- Whoever uses the platform; an anonymous visitor is a guest until the work is claimed.
-- The address of a person is never kept, only its SHA-256; one address has one living account.
CREATE TABLE users (
    id           INT UNSIGNED NOT NULL AUTO_INCREMENT,
    op_id        BINARY(16)   NOT NULL,
    op_digest    BINARY(16)   NOT NULL,
    kind         ENUM('guest', 'student', 'teacher', 'organiser', 'admin') NOT NULL,
    name         VARCHAR(80)  NOT NULL,
    login        VARCHAR(40)  CHARACTER SET ascii COLLATE ascii_general_ci NULL,
    email_hash   BINARY(32)   NULL,
    password     VARBINARY(60) NULL,
    birth_year   YEAR         NULL,
    flags        BIT(8)       NOT NULL DEFAULT b'0',
    locale       VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'en',
    settings     JSON         NULL,
    total_lines  INT UNSIGNED NOT NULL DEFAULT 0,
    created_at   DATETIME(6)  NOT NULL,
    updated_at   TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    deleted_at   DATETIME     NULL,
    living_email BINARY(32)   GENERATED ALWAYS AS (IF(deleted_at IS NULL, email_hash, NULL)) VIRTUAL,
    PRIMARY KEY (id),
    UNIQUE KEY users_op (op_id),
    UNIQUE KEY users_email (living_email),
    UNIQUE KEY users_login (login),
    KEY users_name (name(12))
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- The key is the SHA-256 of what the browser's cookie holds.
CREATE TABLE sessions (
    id         BINARY(32)   NOT NULL,
    user_id    INT UNSIGNED NOT NULL,
    data       JSON         NULL,
    created_at DATETIME     NOT NULL,
    seen_at    DATETIME     NOT NULL,
    PRIMARY KEY (id),
    KEY sessions_user (user_id),
    KEY sessions_seen (seen_at),
    CONSTRAINT sessions_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
