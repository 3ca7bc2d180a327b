-- Uploads. A version never changes once it is ready; which of them runs is plugins.live_version_id, whose wasm is
-- copied into plugins.wasm_blob in the same statement. A plugin without a live version has an empty blob, and is not run.
CREATE TABLE plugin_versions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    plugin_id UUID NOT NULL REFERENCES plugins(id) ON DELETE CASCADE,
    number INTEGER NOT NULL CHECK (number > 0), -- 1 for the first of the plugin
    state TEXT NOT NULL CHECK (state IN ('expected', 'uploaded', 'checking', 'compiling', 'ready', 'refused')),
    reasons JSONB NOT NULL DEFAULT '[]', -- Why it is refused, for the guild's admins
    wasm_sha256 BYTEA NOT NULL CHECK (octet_length(wasm_sha256) = 32), -- As announced; nothing else is taken
    wasm_bytes BIGINT NOT NULL CHECK (wasm_bytes > 0), -- The same
    wasm_blob BYTEA, -- NULL until the inspection has accepted it
    imports JSONB NOT NULL DEFAULT '[]',
    unavailable JSONB NOT NULL DEFAULT '[]', -- Imports that do nothing
    needs JSONB NOT NULL DEFAULT '[]', -- Permissions without which calls of it are refused
    settings_schema JSON, -- What it says of its settings, in the order of its author
    created_by TEXT NOT NULL, -- Id of a user of the chat server; empty if guildhook found the wasm in plugins
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    UNIQUE (plugin_id, number)
);

CREATE INDEX idx_plugin_versions_wasm_sha256 ON plugin_versions(wasm_sha256);
CREATE INDEX idx_plugin_versions_unfinished ON plugin_versions(updated_at) WHERE state NOT IN ('ready', 'refused');

ALTER TABLE plugins
    ADD COLUMN live_version_id UUID, -- NULL: none, or the wasm was written here directly and is still to be adopted
    ADD COLUMN previous_version_id UUID, -- The one that was live before, to roll back to
    ADD COLUMN shadow_version_id UUID, -- Runs on the same messages, and sends nothing
    ADD COLUMN revision BIGINT NOT NULL DEFAULT 1; -- Of what admins change: the entity tag
