-- The default was there for the way down only: see the way down of step 10. Runs while the table is
-- locked, after the last names are filled in from the titles.
ALTER TABLE sections DROP COLUMN title, ALTER COLUMN name DROP DEFAULT;
