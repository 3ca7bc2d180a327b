-- The digest of the wasm is part of the row, so that a batch finds the compiled module of a plugin
-- without reading the blob, and the two can never disagree.
ALTER TABLE plugins ADD COLUMN wasm_sha256 BYTEA GENERATED ALWAYS AS (sha256(wasm_blob)) STORED NOT NULL;

CREATE INDEX idx_plugins_wasm_sha256 ON plugins(wasm_sha256);

-- One row for each module compiled for one engine. The object in S3 is loaded only while its bytes
-- match artifact_sha256, which only the compiler writes.
CREATE TABLE plugin_artifacts (
    wasm_sha256 BYTEA NOT NULL CHECK (octet_length(wasm_sha256) = 32),
    engine TEXT NOT NULL, -- Fingerprint of wasmtime's version, target and flags
    artifact_sha256 BYTEA NOT NULL CHECK (octet_length(artifact_sha256) = 32),
    artifact_bytes BIGINT NOT NULL CHECK (artifact_bytes > 0),
    memories JSONB NOT NULL, -- [[minimum, maximum or null], …] in 64 KiB pages, one for each memory of an instance
    created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
    PRIMARY KEY (wasm_sha256, engine)
);
