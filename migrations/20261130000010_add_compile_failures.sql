-- Compiles that failed through no fault of the plugin, by the wasm. They are tried again. A row is deleted when its wasm
-- is compiled or refused.
CREATE TABLE plugin_compile_failures (
    wasm_sha256 BYTEA PRIMARY KEY CHECK (octet_length(wasm_sha256) = 32),
    engine TEXT NOT NULL, -- That of the last try, as in plugin_artifacts; another engine begins to count anew
    tries INTEGER NOT NULL CHECK (tries >= 0),
    reason TEXT NOT NULL, -- For the guild's admins
    tried_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    next_try_at TIMESTAMPTZ -- NULL after the last try
);

-- The ground for the refusal. It is NULL if a version of guildhook refused the plugin that also did so for faults of the
-- surroundings: such a refusal counts as not compiled.
ALTER TABLE plugin_refusals ADD COLUMN kind TEXT;
