-- Failures of plugins, and quarantine. A row counts for the wasm that it names: a new upload starts afresh. It never
-- touches plugins.enabled, which is the admins' own.
CREATE TABLE plugin_health (
    plugin_id UUID PRIMARY KEY REFERENCES plugins(id) ON DELETE CASCADE,
    wasm_sha256 BYTEA NOT NULL,
    failures_in_a_row INTEGER NOT NULL,
    hour TIMESTAMPTZ NOT NULL,
    failures_in_hour INTEGER NOT NULL, -- In the hour that begins at `hour`
    last_error TEXT NOT NULL,
    last_failed_at TIMESTAMPTZ,
    quarantined_at TIMESTAMPTZ, -- NULL: it runs
    reason TEXT, -- Why it is quarantined
    retry_at TIMESTAMPTZ, -- From then on one run is tried
    pauses INTEGER NOT NULL DEFAULT 0, -- How often it was paused since it last ran well; each pause is twice as long
    CHECK ((quarantined_at IS NULL) = (reason IS NULL) AND (quarantined_at IS NULL) = (retry_at IS NULL))
);
