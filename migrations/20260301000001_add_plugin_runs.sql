-- The outbox: a run that has something to remember and what it asked for, written before anything is sent.
CREATE TABLE plugin_runs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    message_id UUID NOT NULL,
    plugin_id UUID NOT NULL REFERENCES plugins(id) ON DELETE CASCADE,
    guild_id UUID NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN (
        'ok', 'trap', 'out_of_fuel', 'out_of_memory', 'deadline', 'host_call_limit', 'invalid', 'internal')),
    detail TEXT NOT NULL,
    fuel_used BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    host_calls INTEGER NOT NULL,
    logs JSONB NOT NULL, -- The lines in order
    seed BIGINT NOT NULL, -- Replays the run together with message_time
    message_time TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    UNIQUE (message_id, plugin_id) -- A recorded run never runs again
);

CREATE INDEX idx_plugin_runs_plugin ON plugin_runs(plugin_id, created_at DESC);

CREATE TABLE plugin_intents (
    key UUID PRIMARY KEY, -- The idempotency key of the send
    run_id UUID NOT NULL REFERENCES plugin_runs(id) ON DELETE CASCADE,
    position INTEGER NOT NULL, -- Order of the sends within the run
    kind TEXT NOT NULL CHECK (kind IN ('send_message')),
    channel_id UUID NOT NULL,
    content TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'refused')),
    detail TEXT NOT NULL DEFAULT '', -- Id of the message sent, or why it is refused or still pending
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

CREATE INDEX idx_plugin_intents_run ON plugin_intents(run_id);
CREATE INDEX idx_plugin_intents_pending ON plugin_intents(updated_at) WHERE state = 'pending';

-- Every run is counted here, also those that leave no row in plugin_runs.
CREATE TABLE plugin_usage (
    plugin_id UUID NOT NULL REFERENCES plugins(id) ON DELETE CASCADE,
    hour TIMESTAMPTZ NOT NULL,
    outcome TEXT NOT NULL,
    runs BIGINT NOT NULL,
    fuel_used BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    PRIMARY KEY (plugin_id, hour, outcome)
);
