-- Runs, their counts, and the traces of messages.

-- name: runs
-- Runs of live versions and of shadows, the newest first. The details are left out of a list.
-- grant: SELECT ON plugin_versions
-- grant: SELECT ON plugin_runs
-- grant: SELECT ON plugin_shadow_runs
-- grant: SELECT ON plugin_intents
SELECT jsonb_build_object(
    'id', run.id,
    'message_id', run.message_id,
    'version', (SELECT number FROM plugin_versions AS version
                WHERE version.id = run.version_id AND version.plugin_id = run.plugin_id),
    'shadow', run.shadow,
    'outcome', run.outcome,
    'detail', run.detail,
    'fuel_used', run.fuel_used,
    'fuel_limit', run.fuel_limit,
    'duration_us', run.duration_us,
    'cpu_us', run.cpu_us,
    'host_calls', run.host_calls,
    'denied_calls', (SELECT count(*) FROM jsonb_array_elements(run.calls) AS made(call) WHERE call ->> 1 IS NOT NULL),
    'intents', jsonb_array_length(run.sends),
    'log_lines', jsonb_array_length(run.logs),
    'created_at', run.created_at
    ) || CASE WHEN :'detailed' THEN jsonb_build_object(
    'calls', run.calls,
    'logs', run.logs,
    'sends', run.sends,
    'message', run.message,
    'seed', run.seed,
    'message_time', run.message_time
    ) ELSE '{}' END
FROM (
    SELECT FALSE AS shadow, id, message_id, plugin_id, guild_id, version_id, outcome, detail, fuel_used, fuel_limit,
           duration_us, cpu_us, host_calls, coalesce(calls, '[]') AS calls, logs, message, seed, message_time,
           created_at,
           (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'kind', intent.kind, 'channel_id', intent.channel_id, 'content', intent.content,
                'state', intent.state, 'detail', intent.detail) ORDER BY intent.position), '[]')
            FROM plugin_intents AS intent WHERE intent.run_id = plugin_runs.id) AS sends
    FROM plugin_runs
    UNION ALL
    SELECT TRUE, id, message_id, plugin_id, guild_id, version_id, outcome, detail, fuel_used, fuel_limit,
           duration_us, cpu_us, host_calls, calls, logs, message, seed, message_time, created_at, intents
    FROM plugin_shadow_runs
) AS run
WHERE run.plugin_id = :'plugin_id' AND run.guild_id = :'guild_id'
    AND (:'shadow'::boolean IS NULL OR run.shadow = :'shadow')
    AND (:'run_id'::uuid IS NULL OR run.id = :'run_id')
    AND (:'message_id'::uuid IS NULL OR run.message_id = :'message_id')
    AND (:'outcome'::text IS NULL OR run.outcome = :'outcome')
    AND (:'version'::integer IS NULL OR run.version_id = (
        SELECT id FROM plugin_versions WHERE plugin_id = :'plugin_id' AND number = :'version'))
    AND (:'since'::timestamptz IS NULL OR run.created_at >= :'since')
    AND (:'until'::timestamptz IS NULL OR run.created_at < :'until')
    AND (:'before_at'::timestamptz IS NULL OR (run.created_at, run.id) < (:'before_at', :'before_id'::uuid))
ORDER BY run.created_at DESC, run.id DESC
LIMIT :'limit';

-- name: usage
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_usage
SELECT jsonb_build_object('hour', total.hour, 'outcome', total.outcome, 'runs', total.runs,
                          'fuel_used', total.fuel_used, 'duration_us', total.duration_us, 'cpu_us', total.cpu_us)
FROM plugin_usage AS total
JOIN plugins AS plugin ON plugin.id = total.plugin_id
WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id'
    AND total.hour > date_trunc('hour', now()) - make_interval(hours => :'hours')
ORDER BY total.hour, total.outcome;

-- name: message_traces
-- The traces of a message. Its time is known if a plugin of the guild left a row for it.
-- grant: SELECT (guild_id, message_id, deleted_at) ON deleted_messages
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_audit
-- grant: SELECT ON plugin_refusals
-- grant: SELECT ON plugin_runs
-- grant: SELECT ON plugin_usage
WITH seen AS (
    SELECT min(run.message_time) AS at FROM plugin_runs AS run
    WHERE run.message_id = :'message_id' AND run.guild_id = :'guild_id'
), changes AS (
    SELECT entry.* FROM plugin_audit AS entry, seen
    WHERE entry.guild_id = :'guild_id' AND entry.plugin_id = :'plugin_id' AND (seen.at IS NULL OR entry.at > seen.at)
    ORDER BY entry.id DESC
    LIMIT 50
), counted AS (
    SELECT total.outcome, total.runs FROM plugin_usage AS total, seen
    WHERE total.plugin_id = :'plugin_id' AND total.hour = date_trunc('hour', coalesce(seen.at, now()))
)
SELECT jsonb_build_object(
    'seen_at', (SELECT at FROM seen),
    'deleted_at', (SELECT deleted_at FROM deleted_messages
                   WHERE guild_id = :'guild_id' AND message_id = :'message_id'),
    'refusal', (SELECT refusal.reason FROM plugin_refusals AS refusal
                WHERE refusal.wasm_sha256 = plugin.wasm_sha256 ORDER BY refusal.created_at DESC LIMIT 1),
    'changes', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', id, 'at', at, 'plugin_id', plugin_id, 'actor_id', actor_id, 'actor_name', actor_name,
            'actor_kind', actor_kind, 'action', action, 'detail', detail) ORDER BY id DESC), '[]') FROM changes),
    'silent_runs', coalesce((SELECT runs FROM counted WHERE outcome = 'ok'), 0),
    'passed_over', coalesce((SELECT runs FROM counted WHERE outcome = 'quarantined'), 0))
FROM plugins AS plugin
WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id';
