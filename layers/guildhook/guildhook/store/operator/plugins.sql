-- Plugins of all guilds, without their settings, secrets and state.

-- name: operated_plugins
-- In the order of their ids.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT ON plugin_health
SELECT jsonb_build_object(
    'id', plugin.id,
    'guild_id', plugin.guild_id,
    'name', plugin.name,
    'enabled', plugin.enabled,
    'disabled_by_operator', plugin.disabled_by_operator,
    'live', (SELECT number FROM plugin_versions AS version WHERE version.id = plugin.live_version_id),
    'wasm_sha256', encode(plugin.wasm_sha256, 'hex'),
    'updated_at', plugin.updated_at,
    'quarantine', CASE WHEN health.quarantined_at IS NOT NULL THEN jsonb_build_object(
        'since', health.quarantined_at, 'reason', health.reason, 'last_error', health.last_error,
        'retry_at', health.retry_at, 'pauses', health.pauses) END,
    'failures_in_a_row', coalesce(health.failures_in_a_row, 0),
    'last_failed_at', health.last_failed_at,
    'last_error', nullif(health.last_error, ''))
FROM plugins AS plugin
LEFT JOIN plugin_health AS health ON health.plugin_id = plugin.id AND health.wasm_sha256 = plugin.wasm_sha256
WHERE (:'guild_id'::uuid IS NULL OR plugin.guild_id = :'guild_id')
    AND (:'plugin_id'::uuid IS NULL OR plugin.id = :'plugin_id')
    AND (:'after_id'::uuid IS NULL OR plugin.id > :'after_id')
ORDER BY plugin.id
LIMIT :'limit';

-- name: failing_plugins
-- The plugins whose live version has failed lately, the latest failure first.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT ON plugin_health
SELECT jsonb_build_object(
    'id', plugin.id,
    'guild_id', plugin.guild_id,
    'name', plugin.name,
    'enabled', plugin.enabled,
    'disabled_by_operator', plugin.disabled_by_operator,
    'live', (SELECT number FROM plugin_versions AS version WHERE version.id = plugin.live_version_id),
    'wasm_sha256', encode(plugin.wasm_sha256, 'hex'),
    'updated_at', plugin.updated_at,
    'quarantine', CASE WHEN health.quarantined_at IS NOT NULL THEN jsonb_build_object(
        'since', health.quarantined_at, 'reason', health.reason, 'last_error', health.last_error,
        'retry_at', health.retry_at, 'pauses', health.pauses) END,
    'failures_in_a_row', health.failures_in_a_row,
    'last_failed_at', health.last_failed_at,
    'last_error', nullif(health.last_error, ''))
FROM plugin_health AS health
JOIN plugins AS plugin ON plugin.id = health.plugin_id AND plugin.wasm_sha256 = health.wasm_sha256
WHERE health.last_failed_at > now() - make_interval(hours => :'hours')
    AND (NOT :'quarantined'::boolean OR health.quarantined_at IS NOT NULL)
    AND (:'before_at'::timestamptz IS NULL OR (health.last_failed_at, plugin.id) < (:'before_at', :'before_id'::uuid))
ORDER BY health.last_failed_at DESC, plugin.id DESC
LIMIT :'limit';

-- name: causes_of_quarantine
-- The quarantines that began lately, by their cause. One cause for many plugins is hardly theirs.
-- grant: SELECT ON plugin_health
SELECT jsonb_build_object('outcome', outcome, 'wasm_sha256', wasm_sha256, 'plugins', plugins, 'first_at', first_at)
FROM (
    SELECT split_part(last_error, ':', 1) AS outcome, encode(wasm_sha256, 'hex') AS wasm_sha256,
           count(*) AS plugins, min(quarantined_at) AS first_at
    FROM plugin_health
    WHERE quarantined_at > now() - make_interval(hours => :'hours')
    GROUP BY 1, 2
    ORDER BY 3 DESC, 1, 2
    LIMIT :'limit'
) AS cause
ORDER BY plugins DESC, outcome, wasm_sha256;

-- name: disable_plugin
-- grant: SELECT, UPDATE ON plugins
-- grant: INSERT ON plugin_audit
WITH changed AS (
    UPDATE plugins AS plugin
    SET disabled_by_operator = :'reason', revision = plugin.revision + 1, updated_at = now()
    WHERE plugin.id = :'plugin_id'
    RETURNING plugin.id, plugin.guild_id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, actor_kind, action, detail)
    SELECT guild_id, id, :'actor_id', :'actor_name', 'operator', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: enable_plugin
-- grant: SELECT, UPDATE ON plugins
-- grant: INSERT ON plugin_audit
WITH changed AS (
    UPDATE plugins AS plugin
    SET disabled_by_operator = NULL, revision = plugin.revision + 1, updated_at = now()
    WHERE plugin.id = :'plugin_id' AND plugin.disabled_by_operator IS NOT NULL
    RETURNING plugin.id, plugin.guild_id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, actor_kind, action, detail)
    SELECT guild_id, id, :'actor_id', :'actor_name', 'operator', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: quarantine_plugin
-- For the wasm that is live, as every quarantine. When the time is over one run is tried.
-- grant: SELECT, UPDATE ON plugins
-- grant: SELECT, INSERT, UPDATE ON plugin_health
-- grant: INSERT ON plugin_audit
WITH changed AS (
    UPDATE plugins AS plugin
    SET revision = plugin.revision + 1, updated_at = now()
    WHERE plugin.id = :'plugin_id' AND plugin.wasm_sha256 <> sha256('')
    RETURNING plugin.id, plugin.guild_id, plugin.wasm_sha256
), quarantined AS (
    INSERT INTO plugin_health AS health (plugin_id, wasm_sha256, failures_in_a_row, hour, failures_in_hour, last_error,
                                         quarantined_at, reason, retry_at)
    SELECT id, wasm_sha256, 0, date_trunc('hour', now()), 0, '', now(), :'reason',
           now() + make_interval(mins => :'minutes')
    FROM changed
    ON CONFLICT (plugin_id) DO UPDATE SET
        wasm_sha256 = excluded.wasm_sha256,
        quarantined_at = coalesce(health.quarantined_at, excluded.quarantined_at),
        reason = excluded.reason,
        retry_at = excluded.retry_at
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, actor_kind, action, detail)
    SELECT guild_id, id, :'actor_id', :'actor_name', 'operator', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: lift_quarantines
-- The quarantine of a plugin, or those that began lately. The rows are locked in key order, as by record, which avoids
-- deadlocks. A row that a batch judges just now is waited for: skipping it would end the lift without a word.
-- grant: SELECT ON plugins
-- grant: SELECT, UPDATE (reason), DELETE ON plugin_health
-- grant: INSERT ON plugin_audit
WITH chosen AS MATERIALIZED (
    SELECT health.plugin_id, health.reason
    FROM plugin_health AS health
    WHERE health.quarantined_at IS NOT NULL
        AND (:'plugin_id'::uuid IS NULL OR health.plugin_id = :'plugin_id')
        AND (:'hours'::integer IS NULL OR health.quarantined_at > now() - make_interval(hours => :'hours'))
    ORDER BY health.plugin_id
    LIMIT :'limit'
    FOR UPDATE
), lifted AS (
    DELETE FROM plugin_health AS health USING chosen WHERE health.plugin_id = chosen.plugin_id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, actor_kind, action, detail)
    SELECT plugin.guild_id, plugin.id, :'actor_id', :'actor_name', 'operator', :'action',
           :'detail'::jsonb || jsonb_build_object('quarantine', chosen.reason)
    FROM chosen JOIN plugins AS plugin ON plugin.id = chosen.plugin_id
)
SELECT plugin_id FROM chosen;
