-- An artifact lies in S3 compressed, and is checked before it is decompressed. Rows of the version before have
-- neither column: they count as not compiled.
ALTER TABLE plugin_artifacts
    ADD COLUMN object_sha256 BYTEA CHECK (octet_length(object_sha256) = 32),
    ADD COLUMN object_bytes BIGINT CHECK (object_bytes > 0);

-- What the compiler refused: nobody tries it again with the same engine.
CREATE TABLE plugin_refusals (
    wasm_sha256 BYTEA NOT NULL CHECK (octet_length(wasm_sha256) = 32),
    engine TEXT NOT NULL, -- As in plugin_artifacts
    reason TEXT NOT NULL, -- For the guild's admins
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (wasm_sha256, engine)
);
