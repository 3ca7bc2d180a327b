-- Plugins and their sealed settings. A change and its entry in the audit log are one statement. The statement finds the
-- plugin by its guild as well, so that a plugin of another guild is not there, and by the revision that was read: of two
-- admins who change a plugin at the same time, one succeeds.

-- name: plugins
-- JSON and not JSONB, which would lose the order of the settings in a schema: forms show them in that order.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT ON plugin_secrets
-- grant: SELECT ON plugin_health
-- grant: SELECT ON plugin_compile_failures
SELECT json_build_object(
    'id', plugin.id,
    'guild_id', plugin.guild_id,
    'name', plugin.name,
    'description', coalesce(plugin.description, ''),
    'enabled', plugin.enabled,
    'disabled_by_operator', plugin.disabled_by_operator,
    'settings', CASE WHEN jsonb_typeof(plugin.config) = 'object' THEN plugin.config ELSE '{}' END,
    'permissions', plugin.permissions,
    'bot_messages', plugin.bot_messages,
    'revision', plugin.revision,
    'created_at', plugin.created_at,
    'updated_at', plugin.updated_at,
    'to_adopt', plugin.live_version_id IS NULL AND plugin.wasm_sha256 <> sha256(''),
    'live', versions.live,
    'previous', (SELECT number FROM plugin_versions AS version WHERE version.id = plugin.previous_version_id),
    'shadow', (SELECT number FROM plugin_versions AS version WHERE version.id = plugin.shadow_version_id),
    'latest', versions.latest,
    'secrets', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'name', secret.name, 'updated_at', secret.updated_at,
            'sealed_bytes', octet_length(secret.sealed)) ORDER BY secret.name), '[]')
        FROM plugin_secrets AS secret WHERE secret.plugin_id = plugin.id),
    'quarantine', CASE WHEN health.quarantined_at IS NOT NULL THEN jsonb_build_object(
        'since', health.quarantined_at,
        'reason', health.reason,
        'last_error', health.last_error,
        'retry_at', health.retry_at,
        'pauses', health.pauses) END,
    'last_failed_at', health.last_failed_at,
    'last_error', nullif(health.last_error, ''))
FROM plugins AS plugin
LEFT JOIN plugin_health AS health ON health.plugin_id = plugin.id AND health.wasm_sha256 = plugin.wasm_sha256
CROSS JOIN LATERAL (
    SELECT
        json_agg(described ORDER BY number DESC) -> 0 AS latest,
        json_agg(described) FILTER (WHERE id = plugin.live_version_id) -> 0 AS live
    FROM (
        SELECT version.id, version.number, json_build_object(
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
            'granted', plugin.permissions) AS described
        FROM plugin_versions AS version
        LEFT JOIN plugin_compile_failures AS failure ON failure.wasm_sha256 = version.wasm_sha256
        WHERE version.plugin_id = plugin.id AND (version.id = plugin.live_version_id OR version.number = (
            SELECT max(number) FROM plugin_versions WHERE plugin_id = plugin.id))
    ) AS live_and_latest
) AS versions
WHERE plugin.guild_id = :'guild_id'
    AND (:'plugin_id'::uuid IS NULL OR plugin.id = :'plugin_id')
    AND (:'after_at'::timestamptz IS NULL OR (plugin.created_at, plugin.id) > (:'after_at', :'after_id'::uuid))
ORDER BY plugin.created_at, plugin.id
LIMIT :'limit';

-- name: has_plugin
-- grant: SELECT ON plugins
SELECT TRUE FROM plugins AS plugin WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id';

-- name: create_plugin
-- The chat server says that the guild exists. A database of guildhook's own may not have a row for it yet. The chat
-- server's own database has one, and would refuse one without its other columns. An id that was used before is refused.
-- Two admins at the same time can exceed the limit by one plugin.
-- grant: SELECT (id), INSERT (id) ON guilds
-- grant: SELECT, INSERT ON plugins
-- grant: SELECT, INSERT ON plugin_audit
WITH guild AS (
    INSERT INTO guilds (id) SELECT :'guild_id'
    WHERE NOT EXISTS (SELECT FROM guilds WHERE id = :'guild_id')
    ON CONFLICT DO NOTHING
), changed AS (
    INSERT INTO plugins (id, guild_id, name, description, wasm_blob)
    SELECT :'plugin_id', :'guild_id', :'name', :'description', ''
    WHERE (SELECT count(*) FROM plugins WHERE guild_id = :'guild_id') < :'limit'
        AND NOT EXISTS (SELECT FROM plugin_audit WHERE guild_id = :'guild_id' AND plugin_id = :'plugin_id')
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: creation
-- The first entry about a plugin, if it is of the given action.
-- grant: SELECT ON plugin_audit
SELECT detail FROM plugin_audit
WHERE guild_id = :'guild_id' AND plugin_id = :'plugin_id' AND action = :'action'
ORDER BY id LIMIT 1;

-- name: change_plugin
-- grant: SELECT, UPDATE ON plugins
-- grant: INSERT ON plugin_audit
WITH changed AS (
    UPDATE plugins AS plugin
    SET name = coalesce(:'name', plugin.name),
        description = coalesce(:'description', plugin.description),
        enabled = coalesce(:'enabled', plugin.enabled),
        config = coalesce(:'settings', plugin.config),
        permissions = coalesce(:'permissions', plugin.permissions),
        bot_messages = coalesce(:'bot_messages', plugin.bot_messages),
        revision = plugin.revision + 1,
        updated_at = now()
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id' AND plugin.revision = :'revision'
    RETURNING plugin.id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: delete_plugin
-- grant: SELECT, DELETE ON plugins
-- grant: INSERT ON plugin_audit
WITH changed AS (
    DELETE FROM plugins AS plugin
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id' AND plugin.revision = :'revision'
    RETURNING plugin.id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: go_live
-- FOR SHARE waits for a transaction that deletes the version; the version is not there afterwards. Going live and
-- deleting a version both lock the version first, and then the plugin. Saved settings are copied here and not sent by the
-- caller, who cannot hold every number that Postgres can. The secrets among the current settings stay.
-- grant: SELECT, UPDATE ON plugins
-- grant: SELECT, UPDATE (updated_at) ON plugin_versions
-- grant: SELECT ON plugin_settings_versions
-- grant: INSERT ON plugin_audit
WITH version AS MATERIALIZED (
    SELECT version.id, version.wasm_blob
    FROM plugin_versions AS version
    WHERE version.plugin_id = :'plugin_id' AND version.id = :'version_id'
        AND version.state = 'ready' AND version.wasm_blob IS NOT NULL
    FOR SHARE
), saved AS MATERIALIZED (
    SELECT saved.settings || (
        SELECT coalesce(jsonb_object_agg(key, value), '{}')
        FROM plugins AS plugin
        CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(plugin.config) WHEN 'object' THEN plugin.config ELSE '{}' END)
        WHERE plugin.id = :'plugin_id' AND key = ANY (ARRAY(
            SELECT unnest(withheld) FROM plugin_settings_versions
            WHERE plugin_id = :'plugin_id' AND number = (
                SELECT max(number) FROM plugin_settings_versions WHERE plugin_id = :'plugin_id')))) AS settings
    FROM plugin_settings_versions AS saved
    WHERE saved.plugin_id = :'plugin_id' AND saved.number = :'settings_number'
), changed AS (
    UPDATE plugins AS plugin
    SET wasm_blob = version.wasm_blob,
        previous_version_id = CASE WHEN plugin.live_version_id = version.id
            THEN plugin.previous_version_id ELSE plugin.live_version_id END,
        live_version_id = version.id,
        shadow_version_id = nullif(plugin.shadow_version_id, version.id),
        permissions = :'permissions',
        config = coalesce(:'settings', saved.settings, plugin.config),
        revision = plugin.revision + 1,
        updated_at = now()
    FROM version LEFT JOIN saved ON TRUE
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id' AND plugin.revision = :'revision'
        AND (:'settings_number'::integer IS NULL OR saved.settings IS NOT NULL)
    RETURNING plugin.id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: set_shadow
-- The version is locked as by go_live. Without a version the shadow ends.
-- grant: SELECT, UPDATE ON plugins
-- grant: SELECT, UPDATE (updated_at) ON plugin_versions
-- grant: INSERT ON plugin_audit
WITH version AS MATERIALIZED (
    SELECT version.id
    FROM plugin_versions AS version
    WHERE version.plugin_id = :'plugin_id' AND version.id = :'version_id'
        AND version.state = 'ready' AND version.wasm_blob IS NOT NULL
    FOR SHARE
), changed AS (
    UPDATE plugins AS plugin
    SET shadow_version_id = :'version_id', revision = plugin.revision + 1, updated_at = now()
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id' AND plugin.revision = :'revision'
        AND (:'version_id'::uuid IS NULL
            OR EXISTS (SELECT FROM version) AND plugin.live_version_id IS DISTINCT FROM :'version_id')
    RETURNING plugin.id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: end_quarantine
-- Without its row a plugin has no failures: record begins to count anew.
-- grant: SELECT, UPDATE ON plugins
-- grant: SELECT, DELETE ON plugin_health
-- grant: INSERT ON plugin_audit
WITH changed AS (
    UPDATE plugins AS plugin
    SET revision = plugin.revision + 1, updated_at = now()
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id' AND plugin.revision = :'revision'
    RETURNING plugin.id
), forgotten AS (
    DELETE FROM plugin_health AS health USING changed WHERE health.plugin_id = changed.id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: set_sealed_value
-- grant: SELECT, UPDATE ON plugins
-- grant: SELECT, INSERT, UPDATE ON plugin_secrets
-- grant: INSERT ON plugin_audit
WITH changed AS (
    UPDATE plugins AS plugin
    SET revision = plugin.revision + 1, updated_at = now()
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id' AND plugin.revision = :'revision'
    RETURNING plugin.id
), saved AS (
    INSERT INTO plugin_secrets (plugin_id, name, sealed)
    SELECT id, :'name', :'sealed' FROM changed
    ON CONFLICT (plugin_id, name) DO UPDATE SET sealed = excluded.sealed, updated_at = now()
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: delete_sealed_value
-- grant: SELECT, UPDATE ON plugins
-- grant: SELECT, DELETE ON plugin_secrets
-- grant: INSERT ON plugin_audit
WITH changed AS (
    UPDATE plugins AS plugin
    SET revision = plugin.revision + 1, updated_at = now()
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id' AND plugin.revision = :'revision'
    RETURNING plugin.id
), forgotten AS (
    DELETE FROM plugin_secrets AS secret USING changed WHERE secret.plugin_id = changed.id AND secret.name = :'name'
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: sealed_values
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_secrets
SELECT secret.name, secret.sealed
FROM plugin_secrets AS secret
JOIN plugins AS plugin ON plugin.id = secret.plugin_id
WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id';
