-- One statement, so that there is a table of that name at every moment. Runs when the last rows are
-- copied, with every writer waiting for it: for milliseconds.
RENAME TABLE activities TO activities_narrow, activities_wide TO activities;
