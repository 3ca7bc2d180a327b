-- The check of an uploaded version. A state only moves forward; ready and refused are final.

-- name: begin
-- A check that was interrupted goes on from where it was, also if two do so at the same time.
-- grant: SELECT, UPDATE (state, updated_at) ON plugin_versions
UPDATE plugin_versions
SET state = CASE state WHEN 'compiling' THEN state ELSE 'checking' END, updated_at = now()
WHERE id = :'id' AND state NOT IN ('ready', 'refused') 
    AND (wasm_blob IS NOT NULL OR state = 'checking' OR NOT :'stored')
RETURNING id, state, wasm_sha256, wasm_bytes, wasm_blob;

-- name: accept
-- grant: SELECT, UPDATE (state, updated_at, wasm_blob, imports, unavailable, needs, settings_schema, warnings) ON plugin_versions
UPDATE plugin_versions
SET state = 'compiling', updated_at = now(), wasm_blob = :'wasm', warnings = :'warnings',
    imports = :'imports', unavailable = :'unavailable', needs = :'needs', settings_schema = :'settings_schema'
WHERE id = :'id' AND state IN ('expected', 'uploaded', 'checking')
RETURNING id;

-- name: ready
-- grant: SELECT, UPDATE (state, updated_at) ON plugin_versions
UPDATE plugin_versions SET state = 'ready', updated_at = now()
WHERE id = :'id' AND state = 'compiling' AND wasm_blob IS NOT NULL
RETURNING id;

-- name: refuse
-- grant: SELECT, UPDATE (state, updated_at, reasons, wasm_blob) ON plugin_versions
UPDATE plugin_versions SET state = 'refused', updated_at = now(), reasons = :'reasons', wasm_blob = NULL
WHERE id = :'id' AND state NOT IN ('ready', 'refused')
RETURNING id;

-- name: ready_sha256
-- grant: SELECT ON plugin_versions
SELECT wasm_sha256 FROM plugin_versions WHERE id = :'id' AND state = 'ready';

-- name: ready_wasm
-- grant: SELECT ON plugin_versions
SELECT wasm_blob FROM plugin_versions WHERE id = :'id' AND state = 'ready';
