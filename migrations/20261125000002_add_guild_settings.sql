-- What a guild has decided for all of its plugins. No row: the defaults.
CREATE TABLE guild_settings (
    guild_id UUID PRIMARY KEY,
    keep_content BOOLEAN NOT NULL DEFAULT FALSE, -- Whether runs are recorded with the message that they were given
    revision BIGINT NOT NULL DEFAULT 1,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
