-- The statement that on_message and compile_plugin have in common.

-- name: wasm
-- The wasm of plugins and versions by its SHA-256. A plugin without a live version has an empty one.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
SELECT DISTINCT ON (wasm_sha256) wasm_sha256, wasm_blob
FROM (
    SELECT wasm_sha256, wasm_blob FROM plugins WHERE wasm_sha256 = ANY(:'digests')
    UNION ALL
    SELECT wasm_sha256, wasm_blob FROM plugin_versions WHERE wasm_sha256 = ANY(:'digests') AND wasm_blob IS NOT NULL
) AS stored
WHERE wasm_sha256 <> sha256('');
