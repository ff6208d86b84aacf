-- As on the way up, once the narrow table has every row again.
RENAME TABLE activities TO activities_wide, activities_narrow TO activities;
