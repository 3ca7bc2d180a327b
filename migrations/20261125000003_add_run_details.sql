-- What admins see of a run. Rows of the version before have none of it.
ALTER TABLE plugin_runs
    ADD COLUMN version_id UUID, -- That was live
    ADD COLUMN fuel_limit BIGINT,
    ADD COLUMN calls JSONB, -- [[function, why it was denied or null], …] in their order
    ADD COLUMN message TEXT; -- What the plugin was given, where the guild keeps that
