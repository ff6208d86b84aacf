DROP TABLE hoc_activity;

DROP TABLE teacher_feedbacks;

DROP TABLE user_levels;

DROP TABLE activities;

DROP TABLE level_sources;
