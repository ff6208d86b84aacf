-- Runs when every row of it is known to be in activities.
DROP TABLE activities_narrow;
