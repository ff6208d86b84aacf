-- What a person makes: the source is JSON in a MEDIUMTEXT, as inherited. A save names the version
-- that it replaces; last_op is the operation that made the present one.
CREATE TABLE projects (
    id           INT UNSIGNED NOT NULL AUTO_INCREMENT,
    uuid         BINARY(16)   NOT NULL,
    op_id        BINARY(16)   NOT NULL,
    op_digest    BINARY(16)   NOT NULL,
    last_op      BINARY(16)   NOT NULL,
    last_digest  BINARY(16)   NOT NULL,
    owner_id     INT UNSIGNED NOT NULL,
    kind         ENUM('dance', 'applab') NOT NULL,
    title        VARCHAR(120) NOT NULL,
    source       MEDIUMTEXT   NOT NULL,
    version      INT UNSIGNED NOT NULL,
    shared       TINYINT(1)   NOT NULL DEFAULT 0,
    remixed_from INT UNSIGNED NULL,
    created_at   DATETIME     NOT NULL,
    updated_at   DATETIME(3)  NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY projects_uuid (uuid),
    UNIQUE KEY projects_op (op_id),
    KEY projects_owner (owner_id, updated_at),
    KEY projects_remixed (remixed_from),
    CONSTRAINT projects_remixed FOREIGN KEY (remixed_from) REFERENCES projects (id) ON DELETE SET NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- A file of a project. Its bytes are in the blob store under blob_key; preview is a small picture.
CREATE TABLE project_assets (
    project_id   INT UNSIGNED NOT NULL,
    name         VARCHAR(120) COLLATE utf8mb4_bin NOT NULL,
    op_id        BINARY(16)   NOT NULL,
    op_digest    BINARY(16)   NOT NULL,
    content_type VARCHAR(80)  CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
    size         INT UNSIGNED NOT NULL,
    digest       BINARY(32)   NOT NULL,
    blob_key     VARCHAR(160) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    preview      MEDIUMBLOB   NULL,
    created_at   DATETIME     NOT NULL,
    PRIMARY KEY (project_id, name),
    UNIQUE KEY project_assets_op (op_id),
    CONSTRAINT project_assets_project FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- Functions that an app offers to others, by version.
CREATE TABLE libraries (
    project_id  INT UNSIGNED NOT NULL,
    version     SMALLINT UNSIGNED NOT NULL,
    op_id       BINARY(16)   NOT NULL,
    op_digest   BINARY(16)   NOT NULL,
    name        VARCHAR(80)  NOT NULL,
    description TEXT         NOT NULL,
    source      MEDIUMTEXT   CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    functions   JSON         NOT NULL,
    created_at  DATETIME     NOT NULL,
    PRIMARY KEY (project_id, version),
    UNIQUE KEY libraries_op (op_id),
    FULLTEXT KEY libraries_text (name, description),
    CONSTRAINT libraries_project FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- The tables of an app, and the rows that whoever uses it has put there.
CREATE TABLE data_tables (
    project_id INT UNSIGNED NOT NULL,
    name       VARCHAR(60)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    columns    JSON         NOT NULL,
    last_id    BIGINT UNSIGNED NOT NULL,
    created_at DATETIME     NOT NULL,
    PRIMARY KEY (project_id, name),
    CONSTRAINT data_tables_project FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE data_records (
    project_id  INT UNSIGNED NOT NULL,
    table_name  VARCHAR(60)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    id          BIGINT UNSIGNED NOT NULL,
    op_id       BINARY(16)   NOT NULL,
    op_digest   BINARY(16)   NOT NULL,
    last_op     BINARY(16)   NOT NULL,
    last_digest BINARY(16)   NOT NULL,
    version     INT UNSIGNED NOT NULL,
    value       JSON         NOT NULL,
    PRIMARY KEY (project_id, table_name, id),
    UNIQUE KEY data_records_op (op_id),
    CONSTRAINT data_records_table FOREIGN KEY (project_id, table_name) REFERENCES data_tables (project_id, name) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

CREATE TABLE data_kvs (
    project_id  INT UNSIGNED NOT NULL,
    `key`       VARCHAR(120) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    value       JSON         NOT NULL,
    version     INT UNSIGNED NOT NULL,
    last_op     BINARY(16)   NOT NULL,
    last_digest BINARY(16)   NOT NULL,
    updated_at  DATETIME(3)  NOT NULL,
    PRIMARY KEY (project_id, `key`),
    CONSTRAINT data_kvs_project FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;
