DROP VIEW section_progress;
