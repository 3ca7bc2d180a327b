-- Settings that nobody reads but the plugin. They are sealed with a key that is not in the database.
CREATE TABLE plugin_secrets (
    plugin_id UUID NOT NULL REFERENCES plugins(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (plugin_id, name)
);
