DROP TABLE section_students;

DROP TABLE sections;
