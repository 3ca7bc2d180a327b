-- The rows of a guild, in an order in which its plugins stop first. Each erasure deletes a limited number of rows, so that
-- locks are held briefly, and returns a number for each place. The row of `guilds` is the chat server's.

-- name: count_guild
-- grant: SELECT (id, guild_id) ON plugins
-- grant: SELECT ON plugin_runs
-- grant: SELECT ON plugin_intents
-- grant: SELECT ON plugin_shadow_runs
-- grant: SELECT ON plugin_usage
-- grant: SELECT (plugin_id) ON plugin_versions
-- grant: SELECT ON plugin_settings_versions
-- grant: SELECT (plugin_id) ON plugin_secrets
-- grant: SELECT ON plugin_state
-- grant: SELECT ON plugin_health
-- grant: SELECT ON guild_settings
-- grant: SELECT ON guild_budgets
-- grant: SELECT ON guild_pauses
-- grant: SELECT ON raised_budgets
-- grant: SELECT ON deleted_messages
-- grant: SELECT ON plugin_audit
WITH plugin AS MATERIALIZED (
    SELECT id FROM plugins WHERE guild_id = :'guild_id'
)
SELECT 'plugin_runs', count(*) FROM plugin_runs WHERE plugin_id IN (SELECT id FROM plugin)
UNION ALL
SELECT 'plugin_intents', count(*)
FROM plugin_runs AS run JOIN plugin_intents AS intent ON intent.run_id = run.id
WHERE run.plugin_id IN (SELECT id FROM plugin)
UNION ALL
SELECT 'plugin_shadow_runs', count(*) FROM plugin_shadow_runs WHERE plugin_id IN (SELECT id FROM plugin)
UNION ALL
SELECT 'plugin_usage', count(*) FROM plugin_usage WHERE plugin_id IN (SELECT id FROM plugin)
UNION ALL
SELECT 'plugin_versions', count(*) FROM plugin_versions WHERE plugin_id IN (SELECT id FROM plugin)
UNION ALL
SELECT 'plugins', count(*) FROM plugin
UNION ALL
SELECT 'plugin_settings_versions', count(*) FROM plugin_settings_versions WHERE plugin_id IN (SELECT id FROM plugin)
UNION ALL
SELECT 'plugin_secrets', count(*) FROM plugin_secrets WHERE plugin_id IN (SELECT id FROM plugin)
UNION ALL
SELECT 'plugin_state', count(*) FROM plugin_state WHERE plugin_id IN (SELECT id FROM plugin)
UNION ALL
SELECT 'plugin_health', count(*) FROM plugin_health WHERE plugin_id IN (SELECT id FROM plugin)
UNION ALL
SELECT 'guild_settings', count(*) FROM guild_settings WHERE guild_id = :'guild_id'
UNION ALL
SELECT 'guild_budgets', count(*) FROM guild_budgets WHERE guild_id = :'guild_id'
UNION ALL
SELECT 'guild_pauses', count(*) FROM guild_pauses WHERE guild_id = :'guild_id'
UNION ALL
SELECT 'raised_budgets', count(*) FROM raised_budgets WHERE guild_id = :'guild_id'
UNION ALL
SELECT 'deleted_messages', count(*) FROM deleted_messages WHERE guild_id = :'guild_id'
UNION ALL
SELECT 'plugin_audit', count(*) FROM plugin_audit WHERE guild_id = :'guild_id';

-- name: plugins_of_guild
-- A plugin with everything that belongs to it but its runs, its wasm and the values of its secrets.
-- grant: SELECT (id, guild_id, name, description, config, enabled, permissions, bot_messages, wasm_sha256, created_at, updated_at) ON plugins
-- grant: SELECT (id, plugin_id, number, state, reasons, wasm_sha256, wasm_bytes, settings_schema, created_by, created_at) ON plugin_versions
-- grant: SELECT ON plugin_settings_versions
-- grant: SELECT (plugin_id, name, updated_at) ON plugin_secrets
-- grant: SELECT ON plugin_state
-- grant: SELECT ON plugin_health
-- grant: SELECT ON plugin_usage
SELECT plugin.id::text, jsonb_build_object(
    'id', plugin.id,
    'guild_id', plugin.guild_id,
    'name', plugin.name,
    'description', plugin.description,
    'config', plugin.config,
    'enabled', plugin.enabled,
    'permissions', plugin.permissions,
    'bot_messages', plugin.bot_messages,
    'wasm_sha256', encode(plugin.wasm_sha256, 'hex'),
    'created_at', plugin.created_at,
    'updated_at', plugin.updated_at,
    'versions', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', version.id, 'number', version.number, 'state', version.state, 'reasons', version.reasons,
            'wasm_sha256', encode(version.wasm_sha256, 'hex'), 'wasm_bytes', version.wasm_bytes,
            'settings_schema', version.settings_schema, 'created_by', version.created_by,
            'created_at', version.created_at) ORDER BY version.number), '[]')
        FROM plugin_versions AS version WHERE version.plugin_id = plugin.id),
    'settings_versions', (SELECT coalesce(jsonb_agg(to_jsonb(saved) ORDER BY saved.number), '[]')
        FROM plugin_settings_versions AS saved WHERE saved.plugin_id = plugin.id),
    'secrets', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'name', secret.name, 'updated_at', secret.updated_at) ORDER BY secret.name), '[]')
        FROM plugin_secrets AS secret WHERE secret.plugin_id = plugin.id),
    'state', (SELECT to_jsonb(state) FROM plugin_state AS state WHERE state.plugin_id = plugin.id),
    'health', (SELECT to_jsonb(health) FROM plugin_health AS health WHERE health.plugin_id = plugin.id),
    'usage', (SELECT coalesce(jsonb_agg(to_jsonb(total) ORDER BY total.hour, total.outcome), '[]')
        FROM plugin_usage AS total WHERE total.plugin_id = plugin.id))
FROM plugins AS plugin
WHERE plugin.guild_id = :'guild_id' AND (:'after_id'::text IS NULL OR plugin.id > :'after_id'::uuid)
ORDER BY plugin.id
LIMIT :'limit';

-- name: runs_of_guild
-- Plugin by plugin, the newest run first, as the index has them: the rest of the plugin at the position, and the plugins
-- after it.
-- grant: SELECT (id, guild_id) ON plugins
-- grant: SELECT ON plugin_runs
-- grant: SELECT ON plugin_intents
WITH page AS (
    (SELECT run.* FROM plugin_runs AS run
    WHERE run.plugin_id = split_part(:'after_run', '/', 1)::uuid
        AND run.created_at <= split_part(:'after_run', '/', 2)::timestamptz
        AND (run.created_at, run.id)
            < (split_part(:'after_run', '/', 2)::timestamptz, split_part(:'after_run', '/', 3)::uuid)
    ORDER BY run.created_at DESC, run.id DESC
    LIMIT :'limit')
    UNION ALL
    (SELECT run.* FROM plugins AS plugin CROSS JOIN LATERAL (
        SELECT * FROM plugin_runs WHERE plugin_id = plugin.id
        ORDER BY created_at DESC, id DESC
        LIMIT :'limit') AS run
    WHERE plugin.guild_id = :'guild_id' AND (:'after_run'::text IS NULL OR plugin.id > split_part(:'after_run', '/', 1)::uuid)
    ORDER BY run.plugin_id, run.created_at DESC, run.id DESC
    LIMIT :'limit')
)
SELECT concat_ws('/', run.plugin_id, run.created_at, run.id), to_jsonb(run) || jsonb_build_object('intents', (
    SELECT coalesce(jsonb_agg(to_jsonb(intent) ORDER BY intent.position), '[]')
    FROM plugin_intents AS intent WHERE intent.run_id = run.id))
FROM page AS run
ORDER BY run.plugin_id, run.created_at DESC, run.id DESC
LIMIT :'limit';

-- name: shadow_runs_of_guild
-- As runs_of_guild.
-- grant: SELECT (id, guild_id) ON plugins
-- grant: SELECT ON plugin_shadow_runs
WITH page AS (
    (SELECT run.* FROM plugin_shadow_runs AS run
    WHERE run.plugin_id = split_part(:'after_run', '/', 1)::uuid
        AND run.created_at <= split_part(:'after_run', '/', 2)::timestamptz
        AND (run.created_at, run.id)
            < (split_part(:'after_run', '/', 2)::timestamptz, split_part(:'after_run', '/', 3)::uuid)
    ORDER BY run.created_at DESC, run.id DESC
    LIMIT :'limit')
    UNION ALL
    (SELECT run.* FROM plugins AS plugin CROSS JOIN LATERAL (
        SELECT * FROM plugin_shadow_runs WHERE plugin_id = plugin.id
        ORDER BY created_at DESC, id DESC
        LIMIT :'limit') AS run
    WHERE plugin.guild_id = :'guild_id' AND (:'after_run'::text IS NULL OR plugin.id > split_part(:'after_run', '/', 1)::uuid)
    ORDER BY run.plugin_id, run.created_at DESC, run.id DESC
    LIMIT :'limit')
)
SELECT concat_ws('/', run.plugin_id, run.created_at, run.id), to_jsonb(run)
FROM page AS run
ORDER BY run.plugin_id, run.created_at DESC, run.id DESC
LIMIT :'limit';

-- name: settings_of_guild
-- grant: SELECT ON guild_settings
SELECT guild_id::text, to_jsonb(settings) FROM guild_settings AS settings
WHERE guild_id = :'guild_id' AND :'after_id'::text IS NULL
LIMIT :'limit';

-- name: budget_of_guild
-- grant: SELECT ON guild_budgets
SELECT guild_id::text, to_jsonb(budget) FROM guild_budgets AS budget
WHERE guild_id = :'guild_id' AND :'after_id'::text IS NULL
LIMIT :'limit';

-- name: pause_of_guild
-- grant: SELECT ON guild_pauses
SELECT guild_id::text, to_jsonb(pause) FROM guild_pauses AS pause
WHERE guild_id = :'guild_id' AND :'after_id'::text IS NULL
LIMIT :'limit';

-- name: raised_budget_of_guild
-- grant: SELECT ON raised_budgets
SELECT guild_id::text, to_jsonb(raised) FROM raised_budgets AS raised
WHERE guild_id = :'guild_id' AND :'after_id'::text IS NULL
LIMIT :'limit';

-- name: deleted_messages_of_guild
-- grant: SELECT ON deleted_messages
SELECT message_id::text, to_jsonb(deleted)
FROM deleted_messages AS deleted
WHERE guild_id = :'guild_id' AND (:'after_id'::text IS NULL OR message_id > :'after_id'::uuid)
ORDER BY message_id
LIMIT :'limit';

-- name: audit_of_guild
-- grant: SELECT ON plugin_audit
SELECT entry.id::text, to_jsonb(entry)
FROM plugin_audit AS entry
WHERE entry.guild_id = :'guild_id' AND (:'after_number'::text IS NULL OR entry.id > :'after_number'::bigint)
ORDER BY entry.id
LIMIT :'limit';

-- name: stop_plugins_of_guild
-- Messages start no new runs from now on.
-- grant: SELECT (id, guild_id, enabled, revision), UPDATE (enabled, revision, updated_at) ON plugins
WITH stopped AS (
    UPDATE plugins SET enabled = FALSE, revision = revision + 1, updated_at = now()
    WHERE guild_id = :'guild_id' AND enabled
    RETURNING id
)
SELECT 'plugins.enabled', count(*) FROM stopped;

-- name: erase_runs_of_guild
-- grant: SELECT (id, guild_id) ON plugins
-- grant: SELECT, DELETE ON plugin_runs
-- grant: SELECT ON plugin_intents
WITH theirs AS MATERIALIZED (
    SELECT run.id FROM plugins AS plugin
    CROSS JOIN LATERAL (SELECT id FROM plugin_runs WHERE plugin_id = plugin.id LIMIT :'limit') AS run
    WHERE plugin.guild_id = :'guild_id'
    LIMIT :'limit'
), intent AS MATERIALIZED (
    SELECT count(*) AS number FROM plugin_intents WHERE run_id IN (SELECT id FROM theirs)
), deleted AS (
    DELETE FROM plugin_runs AS run USING theirs WHERE run.id = theirs.id RETURNING run.id
)
SELECT 'plugin_runs', count(*) FROM deleted
UNION ALL
SELECT 'plugin_intents', number FROM intent;

-- name: erase_shadow_runs_of_guild
-- grant: SELECT (id, guild_id) ON plugins
-- grant: SELECT, DELETE ON plugin_shadow_runs
WITH theirs AS MATERIALIZED (
    SELECT run.id FROM plugins AS plugin
    CROSS JOIN LATERAL (SELECT id FROM plugin_shadow_runs WHERE plugin_id = plugin.id LIMIT :'limit') AS run
    WHERE plugin.guild_id = :'guild_id'
    LIMIT :'limit'
), deleted AS (
    DELETE FROM plugin_shadow_runs AS run USING theirs WHERE run.id = theirs.id RETURNING run.id
)
SELECT 'plugin_shadow_runs', count(*) FROM deleted;

-- name: erase_usage_of_guild
-- grant: SELECT (id, guild_id) ON plugins
-- grant: SELECT, DELETE ON plugin_usage
WITH theirs AS MATERIALIZED (
    SELECT total.plugin_id, total.hour, total.outcome
    FROM plugins AS plugin JOIN plugin_usage AS total ON total.plugin_id = plugin.id
    WHERE plugin.guild_id = :'guild_id'
    LIMIT :'limit'
), deleted AS (
    DELETE FROM plugin_usage AS total USING theirs
    WHERE total.plugin_id = theirs.plugin_id AND total.hour = theirs.hour AND total.outcome = theirs.outcome
    RETURNING total.hour
)
SELECT 'plugin_usage', count(*) FROM deleted;

-- name: erase_versions_of_guild
-- grant: SELECT (id, guild_id) ON plugins
-- grant: SELECT (id, plugin_id), DELETE ON plugin_versions
WITH theirs AS MATERIALIZED (
    SELECT version.id FROM plugins AS plugin JOIN plugin_versions AS version ON version.plugin_id = plugin.id
    WHERE plugin.guild_id = :'guild_id'
    LIMIT :'limit'
), deleted AS (
    DELETE FROM plugin_versions AS version USING theirs WHERE version.id = theirs.id RETURNING version.id
)
SELECT 'plugin_versions', count(*) FROM deleted;

-- name: erase_plugins_of_guild
-- What is left of a plugin is deleted with it.
-- grant: SELECT (id, guild_id), DELETE ON plugins
-- grant: SELECT ON plugin_settings_versions
-- grant: SELECT (plugin_id) ON plugin_secrets
-- grant: SELECT ON plugin_state
-- grant: SELECT ON plugin_health
WITH theirs AS MATERIALIZED (
    SELECT id FROM plugins WHERE guild_id = :'guild_id' LIMIT :'limit'
), counted AS MATERIALIZED (
    SELECT
        (SELECT count(*) FROM plugin_settings_versions WHERE plugin_id IN (SELECT id FROM theirs)) AS settings_versions,
        (SELECT count(*) FROM plugin_secrets WHERE plugin_id IN (SELECT id FROM theirs)) AS secrets,
        (SELECT count(*) FROM plugin_state WHERE plugin_id IN (SELECT id FROM theirs)) AS states,
        (SELECT count(*) FROM plugin_health WHERE plugin_id IN (SELECT id FROM theirs)) AS health
), deleted AS (
    DELETE FROM plugins AS plugin USING theirs WHERE plugin.id = theirs.id RETURNING plugin.id
)
SELECT 'plugins', count(*) FROM deleted
UNION ALL
SELECT 'plugin_settings_versions', settings_versions FROM counted
UNION ALL
SELECT 'plugin_secrets', secrets FROM counted
UNION ALL
SELECT 'plugin_state', states FROM counted
UNION ALL
SELECT 'plugin_health', health FROM counted;

-- name: erase_deleted_messages_of_guild
-- grant: SELECT, DELETE ON deleted_messages
WITH theirs AS MATERIALIZED (
    SELECT guild_id, message_id FROM deleted_messages WHERE guild_id = :'guild_id' LIMIT :'limit'
), deleted AS (
    DELETE FROM deleted_messages AS deleted USING theirs
    WHERE deleted.guild_id = theirs.guild_id AND deleted.message_id = theirs.message_id
    RETURNING deleted.message_id
)
SELECT 'deleted_messages', count(*) FROM deleted;

-- name: erase_audit_of_guild
-- grant: SELECT, DELETE ON plugin_audit
WITH theirs AS MATERIALIZED (
    SELECT id FROM plugin_audit WHERE guild_id = :'guild_id' LIMIT :'limit'
), deleted AS (
    DELETE FROM plugin_audit AS entry USING theirs WHERE entry.id = theirs.id RETURNING entry.id
)
SELECT 'plugin_audit', count(*) FROM deleted;

-- name: erase_settings_of_guild
-- grant: SELECT, DELETE ON guild_settings
-- grant: SELECT, DELETE ON guild_budgets
-- grant: SELECT, DELETE ON guild_pauses
-- grant: SELECT, DELETE ON raised_budgets
WITH settings AS (
    DELETE FROM guild_settings WHERE guild_id = :'guild_id' RETURNING guild_id
), budget AS (
    DELETE FROM guild_budgets WHERE guild_id = :'guild_id' RETURNING guild_id
), pause AS (
    DELETE FROM guild_pauses WHERE guild_id = :'guild_id' RETURNING guild_id
), raised AS (
    DELETE FROM raised_budgets WHERE guild_id = :'guild_id' RETURNING guild_id
)
SELECT 'guild_settings', count(*) FROM settings
UNION ALL
SELECT 'guild_budgets', count(*) FROM budget
UNION ALL
SELECT 'guild_pauses', count(*) FROM pause
UNION ALL
SELECT 'raised_budgets', count(*) FROM raised;
