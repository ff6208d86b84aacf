DROP TABLE activities_wide;
