-- Every change that somebody has made, written with it. It outlives the plugin, and has no setting's value in it.
CREATE TABLE plugin_audit (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    guild_id UUID NOT NULL,
    plugin_id UUID,
    at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    actor_id TEXT NOT NULL, -- Id of a user of the chat server
    actor_name TEXT NOT NULL, -- As the token had it
    action TEXT NOT NULL,
    detail JSONB NOT NULL
);

CREATE INDEX idx_plugin_audit_guild ON plugin_audit(guild_id, id DESC);
CREATE INDEX idx_plugin_audit_at ON plugin_audit(at);
