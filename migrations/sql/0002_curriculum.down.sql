DROP TABLE concepts_levels;

DROP TABLE levels;

DROP TABLE scripts;
