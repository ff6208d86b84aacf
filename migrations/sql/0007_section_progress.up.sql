-- The teacher's grid: a line for each student of a section and level of the section's script.
CREATE VIEW section_progress AS
SELECT ss.section_id, ss.user_id, u.name, ul.script_id, ul.level_id, ul.attempts, ul.best_result, ul.updated_at
FROM section_students ss
JOIN users u ON u.id = ss.user_id
LEFT JOIN user_levels ul ON ul.user_id = ss.user_id;
