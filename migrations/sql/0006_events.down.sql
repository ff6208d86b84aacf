DROP TABLE hoc_events;
