ALTER TABLE plugin_versions
    ADD COLUMN warnings JSONB NOT NULL DEFAULT '[]'; -- Properties of its build that no author wants; it runs with them
