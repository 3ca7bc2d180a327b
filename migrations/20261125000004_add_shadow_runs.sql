-- Runs of shadow versions: what they would have sent is recorded, and goes nowhere.
CREATE TABLE plugin_shadow_runs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    message_id UUID NOT NULL,
    plugin_id UUID NOT NULL REFERENCES plugins(id) ON DELETE CASCADE,
    guild_id UUID NOT NULL,
    version_id UUID NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    fuel_used BIGINT NOT NULL,
    fuel_limit BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    host_calls INTEGER NOT NULL,
    calls JSONB NOT NULL, -- As in plugin_runs
    logs JSONB NOT NULL,
    intents JSONB NOT NULL, -- [{kind, channel_id, content}, …] in their order
    seed BIGINT NOT NULL,
    message_time TIMESTAMPTZ NOT NULL,
    message TEXT, -- As in plugin_runs
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    UNIQUE (message_id, version_id)
);

CREATE INDEX idx_plugin_shadow_runs_plugin ON plugin_shadow_runs(plugin_id, created_at DESC);
CREATE INDEX idx_plugin_shadow_runs_created ON plugin_shadow_runs(created_at);
