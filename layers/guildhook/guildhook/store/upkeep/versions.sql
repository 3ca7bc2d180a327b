-- Versions whose upload or check did not end, and wasm that is no version yet.

-- name: forget_abandoned
-- The file was never uploaded, or S3 never sent a notice of it.
-- grant: SELECT, UPDATE (updated_at), DELETE ON plugin_versions
WITH abandoned AS MATERIALIZED (
    SELECT id FROM plugin_versions
    WHERE state IN ('expected', 'uploaded') AND wasm_blob IS NULL
        AND updated_at < now() - make_interval(hours => :'hours')
    ORDER BY updated_at
    LIMIT :'limit'
    FOR UPDATE SKIP LOCKED
)
DELETE FROM plugin_versions AS version USING abandoned WHERE version.id = abandoned.id RETURNING version.id;

-- name: give_up_stuck
-- Neither the request for the version nor a record of its failure is left. The version stays as it is, since nothing is
-- known against it: an admin can let it be tried again.
-- grant: SELECT, UPDATE (updated_at) ON plugin_versions
-- grant: SELECT, INSERT, UPDATE (next_try_at) ON plugin_compile_failures
WITH stuck AS MATERIALIZED (
    SELECT version.id, version.plugin_id, version.wasm_sha256 FROM plugin_versions AS version
    WHERE state IN ('checking', 'compiling') AND updated_at < now() - make_interval(mins => :'minutes')
        AND NOT EXISTS (
            SELECT FROM plugin_compile_failures AS failure
            WHERE failure.wasm_sha256 = version.wasm_sha256
                AND (failure.next_try_at IS NULL OR failure.next_try_at > now() - make_interval(mins => :'minutes')))
    ORDER BY updated_at
    LIMIT :'limit'
    FOR UPDATE SKIP LOCKED
), given_up AS (
    INSERT INTO plugin_compile_failures (wasm_sha256, engine, tries, reason)
    SELECT DISTINCT wasm_sha256, '', 0, :'reason' FROM stuck
    ON CONFLICT (wasm_sha256) DO UPDATE SET next_try_at = NULL
)
SELECT id, plugin_id FROM stuck;

-- name: adopt
-- Makes a live version of wasm that was written into plugins directly. If an admin makes a version of the same plugin
-- at the same moment, that version gets the number, and the next sweep adopts the wasm.
-- grant: SELECT, UPDATE (live_version_id, previous_version_id, revision) ON plugins
-- grant: SELECT, INSERT ON plugin_versions
WITH found AS MATERIALIZED (
    SELECT plugin.id, plugin.wasm_sha256, plugin.wasm_blob
    FROM plugins AS plugin
    WHERE plugin.wasm_sha256 <> sha256('') AND NOT EXISTS (
        SELECT FROM plugin_versions AS version
        WHERE version.id = plugin.live_version_id AND version.wasm_sha256 = plugin.wasm_sha256)
    ORDER BY plugin.id
    LIMIT :'limit'
    FOR UPDATE OF plugin SKIP LOCKED
), adopted AS (
    INSERT INTO plugin_versions (plugin_id, number, state, wasm_sha256, wasm_bytes, wasm_blob, created_by)
    SELECT found.id,
           1 + coalesce((SELECT max(number) FROM plugin_versions WHERE plugin_id = found.id), 0),
           'uploaded', found.wasm_sha256, octet_length(found.wasm_blob), found.wasm_blob, ''
    FROM found
    ON CONFLICT DO NOTHING
    RETURNING id, plugin_id
), live AS (
    UPDATE plugins AS plugin
    SET live_version_id = adopted.id, previous_version_id = plugin.live_version_id, revision = plugin.revision + 1
    FROM adopted
    WHERE plugin.id = adopted.plugin_id
)
SELECT id FROM adopted;

-- name: take_unchecked
-- Adopted versions whose check has not begun: the request for it is lost. Claimed versions are not claimed again for
-- the same period.
-- grant: SELECT, UPDATE (updated_at) ON plugin_versions
WITH unchecked AS MATERIALIZED (
    SELECT id FROM plugin_versions
    WHERE state = 'uploaded' AND wasm_blob IS NOT NULL AND updated_at < now() - make_interval(mins => :'minutes')
    ORDER BY updated_at
    LIMIT :'limit'
    FOR UPDATE SKIP LOCKED
)
UPDATE plugin_versions AS version SET updated_at = now() FROM unchecked WHERE version.id = unchecked.id
RETURNING version.id;
