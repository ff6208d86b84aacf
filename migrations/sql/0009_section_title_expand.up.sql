-- A section's name, with every character there is. Servers that see both columns write both and read
-- COALESCE(title, name); the rows that are there already are filled in before step 10.
ALTER TABLE sections ADD COLUMN title VARCHAR(100) NULL, ALGORITHM = INSTANT;
