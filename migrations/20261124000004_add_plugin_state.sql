-- What a plugin remembers in its guild. Written as a whole: who read an older version than there is writes nothing.
CREATE TABLE plugin_state (
    plugin_id UUID PRIMARY KEY REFERENCES plugins(id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    entries JSONB NOT NULL CHECK (jsonb_typeof(entries) = 'object'), -- Texts by key
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
