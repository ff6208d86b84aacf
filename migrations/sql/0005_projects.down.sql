DROP TABLE data_kvs;

DROP TABLE data_records;

DROP TABLE data_tables;

DROP TABLE libraries;

DROP TABLE project_assets;

DROP TABLE projects;
