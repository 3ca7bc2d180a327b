-- The read that a batch begins with.

-- name: snapshot
-- One row, whose columns are arrays of objects. Settings are text: an array of numbers takes six times its size as
-- jsonb. A shadow has the settings, secrets and state of the live version, so that they are read once.
-- grant: SELECT ON guild_settings
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT ON plugin_secrets
-- grant: SELECT ON plugin_artifacts
-- grant: SELECT ON plugin_refusals
-- grant: SELECT ON plugin_compile_failures
-- grant: SELECT ON plugin_runs
-- grant: SELECT ON plugin_shadow_runs
-- grant: SELECT ON plugin_intents
-- grant: SELECT ON plugin_state
-- grant: SELECT ON plugin_health
-- grant: SELECT ON guild_budgets
-- grant: SELECT ON raised_budgets
-- grant: SELECT ON guild_pauses
-- grant: SELECT (guild_id, message_id) ON deleted_messages
SELECT
    -- # Enabled plugins of the batch's guilds, with their artifacts, state and health
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', plugin.id,
        'guild_id', plugin.guild_id,
        'settings', CASE WHEN NOT running.beside THEN plugin.config::text END,
        'permissions', plugin.permissions,
        'bot_messages', plugin.bot_messages,
        'version_id', running.version_id,
        'shadow', running.shadow,
        'wasm_sha256', encode(running.wasm_sha256, 'hex'),
        'keep_content', coalesce(guild.keep_content, FALSE),
        'sealed', CASE WHEN NOT running.beside THEN (
            SELECT coalesce(jsonb_object_agg(secret.name, encode(secret.sealed, 'hex')), '{}')
            FROM plugin_secrets AS secret
            WHERE secret.plugin_id = plugin.id) END,
        'artifact', CASE WHEN artifact.signature IS NOT NULL THEN jsonb_build_object(
            'sha256', encode(artifact.artifact_sha256, 'hex'),
            'size', artifact.artifact_bytes,
            'object_sha256', encode(artifact.object_sha256, 'hex'),
            'object_size', artifact.object_bytes,
            'memories', artifact.memories,
            'signature', encode(artifact.signature, 'hex')) END,
        'refusal', CASE WHEN refusal.kind IS NOT NULL THEN refusal.reason END,
        'failure', CASE WHEN failure.wasm_sha256 IS NOT NULL THEN jsonb_build_object(
            'reason', failure.reason,
            'due', coalesce(failure.next_try_at <= now(), FALSE),
            'given_up', failure.next_try_at IS NULL) END,
        'state', CASE WHEN state.plugin_id IS NOT NULL AND NOT running.beside THEN jsonb_build_object(
            'version', state.version, 'entries', state.entries) END,
        'health', CASE WHEN health.plugin_id IS NOT NULL THEN jsonb_build_object(
            'failing', health.failures_in_a_row > 0 OR health.quarantined_at IS NOT NULL,
            'quarantine_seconds', extract(epoch FROM health.retry_at - now())) END
        ) ORDER BY running.shadow, plugin.created_at, plugin.id), '[]')
     FROM plugins AS plugin
     CROSS JOIN LATERAL (
        -- The live version. A plugin without one has an empty wasm. Wasm that somebody wrote into plugins directly is
        -- no version until sweep adopts it.
        SELECT (
            SELECT version.id FROM plugin_versions AS version
            WHERE version.id = plugin.live_version_id AND version.wasm_sha256 = plugin.wasm_sha256
            ) AS version_id, plugin.wasm_sha256, FALSE AS shadow, FALSE AS beside
        WHERE plugin.wasm_sha256 <> sha256('')
        UNION ALL
        -- The version that shadows it.
        SELECT version.id, version.wasm_sha256, TRUE, plugin.wasm_sha256 <> sha256('')
        FROM plugin_versions AS version
        WHERE version.id = plugin.shadow_version_id AND version.plugin_id = plugin.id AND version.state = 'ready'
     ) AS running
     LEFT JOIN plugin_artifacts AS artifact
        ON artifact.wasm_sha256 = running.wasm_sha256 AND artifact.engine = :'engine'
     LEFT JOIN plugin_refusals AS refusal
        ON refusal.wasm_sha256 = running.wasm_sha256 AND refusal.engine = :'engine'
     LEFT JOIN plugin_compile_failures AS failure
        ON failure.wasm_sha256 = running.wasm_sha256 AND failure.engine = :'engine'
     LEFT JOIN plugin_state AS state ON state.plugin_id = plugin.id
     LEFT JOIN plugin_health AS health
        ON health.plugin_id = plugin.id AND health.wasm_sha256 = running.wasm_sha256 AND NOT running.shadow
     LEFT JOIN guild_settings AS guild ON guild.guild_id = plugin.guild_id
     WHERE plugin.guild_id = ANY(:'guild_ids') AND plugin.enabled
        AND plugin.disabled_by_operator IS NULL) AS plugins,
    -- # Runs that earlier deliveries of the batch's messages recorded, with their pending intents
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'message_id', run.message_id,
        'guild_id', run.guild_id,
        'plugin_id', run.plugin_id,
        'message_sha256', encode(run.message_sha256, 'hex'),
        'root_id', coalesce(run.root_message_id, run.message_id),
        'hops', coalesce(run.hops, 1),
        'pending', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'key', intent.key,
                'position', intent.position,
                'channel_id', intent.channel_id,
                'content', intent.content
                ) ORDER BY intent.position), '[]')
            FROM plugin_intents AS intent
            WHERE intent.run_id = run.id AND intent.state = 'pending')
        ) ORDER BY run.created_at, run.message_time, run.message_id, plugin.created_at, plugin.id), '[]')
     FROM plugin_runs AS run
     JOIN plugins AS plugin ON plugin.id = run.plugin_id
     WHERE run.message_id = ANY(:'message_ids')) AS runs,
    -- # Runs of shadows that earlier deliveries recorded
    (SELECT coalesce(jsonb_agg(jsonb_build_array(message_id, version_id)), '[]')
     FROM plugin_shadow_runs
     WHERE message_id = ANY(:'message_ids')) AS shadow_runs,
    -- # Budgets
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'guild_id', guild_id, 'fuel', fuel_used, 'sends', sends, 'log_bytes', log_bytes)), '[]')
     FROM guild_budgets
     WHERE guild_id = ANY(:'guild_ids') AND minute = date_trunc('minute', now())) AS spent,
    extract(epoch FROM date_trunc('minute', now()) + interval '1 minute' - now())::float AS seconds_left,
    -- # Decisions of operators
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'guild_id', guild_id, 'fuel', fuel_per_minute, 'sends', sends_per_minute, 'log_bytes', log_bytes_per_minute)),
        '[]')
     FROM raised_budgets
     WHERE guild_id = ANY(:'guild_ids') AND until > now()) AS raised,
    (SELECT coalesce(jsonb_object_agg(guild_id, reason), '{}')
     FROM guild_pauses
     WHERE guild_id = ANY(:'guild_ids')) AS paused,
    -- # Messages that were deleted in the chat
    (SELECT coalesce(jsonb_agg(jsonb_build_array(guild_id, message_id)), '[]')
     FROM deleted_messages
     WHERE guild_id = ANY(:'guild_ids') AND message_id = ANY(:'message_ids')) AS deleted;
