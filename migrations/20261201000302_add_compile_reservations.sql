-- The compiles that are under way, so that two requests for the same wasm do not compile it twice.
CREATE TABLE plugin_compile_reservations (
    wasm_sha256 BYTEA NOT NULL CHECK (octet_length(wasm_sha256) = 32),
    engine TEXT NOT NULL, -- As in plugin_artifacts
    until TIMESTAMPTZ NOT NULL, -- A process that was killed releases nothing
    PRIMARY KEY (wasm_sha256, engine)
);
