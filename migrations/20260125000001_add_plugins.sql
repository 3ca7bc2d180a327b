CREATE TABLE plugins (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    guild_id UUID NOT NULL REFERENCES guilds(id) ON DELETE CASCADE,
    name VARCHAR(64) NOT NULL,
    description TEXT,
    wasm_blob BYTEA NOT NULL, -- The compiled .wasm binary
    config JSONB NOT NULL DEFAULT '{}', -- Env vars / settings for the bot
    enabled BOOLEAN NOT NULL DEFAULT TRUE,
    permissions JSONB NOT NULL DEFAULT '[]', -- List of capabilities: ["SEND_MESSAGES", "KICK"]
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

CREATE INDEX idx_plugins_guild ON plugins(guild_id);
