-- Versions of a plugin. The statements that change something are built as those in plugins.sql.

-- name: versions
-- The newest first. The objects are those of the statement `plugins`.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT ON plugin_compile_failures
SELECT json_build_object(
    'id', version.id,
    'number', version.number,
    'state', version.state,
    'reasons', version.reasons,
    'warnings', version.warnings,
    'wasm_sha256', encode(version.wasm_sha256, 'hex'),
    'wasm_bytes', version.wasm_bytes,
    'imports', version.imports,
    'unavailable', version.unavailable,
    'needs', version.needs,
    'settings_schema', version.settings_schema,
    'live', version.id IS NOT DISTINCT FROM plugin.live_version_id,
    'shadow', version.id IS NOT DISTINCT FROM plugin.shadow_version_id,
    'created_by', version.created_by,
    'created_at', version.created_at,
    'updated_at', version.updated_at,
    'failure', CASE WHEN failure.wasm_sha256 IS NOT NULL THEN json_build_object(
        'reason', failure.reason,
        'tries', failure.tries,
        'tried_at', failure.tried_at,
        'next_try_at', failure.next_try_at) END,
    'granted', plugin.permissions)
FROM plugin_versions AS version
JOIN plugins AS plugin ON plugin.id = version.plugin_id
LEFT JOIN plugin_compile_failures AS failure ON failure.wasm_sha256 = version.wasm_sha256
WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id'
    AND (:'number'::integer IS NULL OR version.number = :'number')
    AND (:'version_id'::uuid IS NULL OR version.id = :'version_id')
    AND (:'before'::integer IS NULL OR version.number < :'before')
ORDER BY version.number DESC
LIMIT :'limit';

-- name: guild_wasm_bytes
-- The bytes that count against the guild's limit. The wasm of a refused version is not kept.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
SELECT coalesce(sum(version.wasm_bytes), 0)::bigint
FROM plugins AS plugin JOIN plugin_versions AS version ON version.plugin_id = plugin.id
WHERE plugin.guild_id = :'guild_id' AND version.state <> 'refused';

-- name: create_version
-- If another version takes the number at the same moment, nothing is done, and the caller tries again.
-- grant: SELECT ON plugins
-- grant: SELECT, INSERT ON plugin_versions
-- grant: INSERT ON plugin_audit
WITH changed AS (
    INSERT INTO plugin_versions (id, plugin_id, number, state, wasm_sha256, wasm_bytes, created_by)
    SELECT :'version_id', plugin.id,
           1 + coalesce((SELECT max(number) FROM plugin_versions WHERE plugin_id = plugin.id), 0),
           'expected', :'wasm_sha256', :'wasm_bytes', :'actor_id'
    FROM plugins AS plugin
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id'
        AND (SELECT count(*) FROM plugin_versions WHERE plugin_id = plugin.id) < :'most_versions'
        AND (
            SELECT coalesce(sum(version.wasm_bytes), 0)::bigint
            FROM plugins AS plugin JOIN plugin_versions AS version ON version.plugin_id = plugin.id
            WHERE plugin.guild_id = :'guild_id' AND version.state <> 'refused') + :'wasm_bytes' <= :'guild_wasm_bytes'
    ON CONFLICT DO NOTHING
    RETURNING plugin_id AS id, number
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action',
           :'detail'::jsonb || jsonb_build_object('version', number)
    FROM changed
)
SELECT id FROM changed;

-- name: confirm_upload
-- grant: SELECT ON plugins
-- grant: SELECT, UPDATE (state, updated_at) ON plugin_versions
UPDATE plugin_versions AS version
SET state = 'uploaded', updated_at = now()
FROM plugins AS plugin
WHERE plugin.id = version.plugin_id AND version.number = :'number' AND version.state = 'expected'
    AND plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id'
RETURNING version.id;

-- name: try_version_again
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT, UPDATE (next_try_at, tries) ON plugin_compile_failures
UPDATE plugin_compile_failures AS failure
SET tries = 0, next_try_at = now()
FROM plugin_versions AS version
JOIN plugins AS plugin ON plugin.id = version.plugin_id
WHERE version.wasm_sha256 = failure.wasm_sha256 AND version.id = :'version_id'
    AND plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id'
RETURNING version.id;

-- name: delete_version
-- A version that is in use is not deleted. The plugin's revision changes, since the number may be given to the next
-- version: an admin who has seen the deleted one does not mean the next one by it.
-- grant: SELECT, UPDATE ON plugins
-- grant: SELECT, UPDATE (updated_at), DELETE ON plugin_versions
-- grant: INSERT ON plugin_audit
WITH version AS MATERIALIZED (
    SELECT version.id, version.plugin_id FROM plugin_versions AS version
    WHERE version.plugin_id = :'plugin_id' AND version.number = :'number'
    FOR UPDATE
), unused AS MATERIALIZED (
    SELECT version.id
    FROM version
    JOIN plugins AS plugin ON plugin.id = version.plugin_id
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id'
        AND version.id IS DISTINCT FROM plugin.live_version_id
        AND version.id IS DISTINCT FROM plugin.previous_version_id
        AND version.id IS DISTINCT FROM plugin.shadow_version_id
    FOR UPDATE OF plugin
), changed AS (
    DELETE FROM plugin_versions AS version USING unused WHERE version.id = unused.id
    RETURNING version.plugin_id AS id
), bumped AS (
    UPDATE plugins AS plugin SET revision = plugin.revision + 1, updated_at = now()
    FROM changed
    WHERE plugin.id = changed.id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: trial_inputs
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT ON plugin_artifacts
-- grant: SELECT ON plugin_refusals
-- grant: SELECT ON plugin_state
SELECT jsonb_build_object(
    'artifacts', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'engine', artifact.engine,
            'sha256', encode(artifact.artifact_sha256, 'hex'),
            'size', artifact.artifact_bytes,
            'object_sha256', encode(artifact.object_sha256, 'hex'),
            'object_size', artifact.object_bytes,
            'memories', artifact.memories,
            'signature', encode(artifact.signature, 'hex')) ORDER BY artifact.engine), '[]')
        FROM plugin_artifacts AS artifact
        WHERE artifact.wasm_sha256 = version.wasm_sha256 AND artifact.signature IS NOT NULL),
    'refusals', (SELECT coalesce(jsonb_agg(refusal.reason ORDER BY refusal.engine), '[]')
        FROM plugin_refusals AS refusal WHERE refusal.wasm_sha256 = version.wasm_sha256 AND refusal.kind IS NOT NULL),
    'state', coalesce(state.entries, '{}'))
FROM plugin_versions AS version
JOIN plugins AS plugin ON plugin.id = version.plugin_id
LEFT JOIN plugin_state AS state ON state.plugin_id = plugin.id
WHERE version.id = :'version_id' AND plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id';
