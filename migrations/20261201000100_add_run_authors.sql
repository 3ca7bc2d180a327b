-- The author of the message that a run was given, by which a person's runs are found. NULL if the id cannot be an id of a
-- user (user_ids.py), or if a version of guildhook before this one recorded the run.
ALTER TABLE plugin_runs ADD COLUMN author_id TEXT;
ALTER TABLE plugin_shadow_runs ADD COLUMN author_id TEXT;
