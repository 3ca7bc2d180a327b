-- Runs of all guilds. Logs are among them only where the caller has seen to it that the operator gave a reason.

-- name: operated_runs
-- Recorded runs of a plugin, or of the plugins of a guild, the newest first. Each plugin's are found by an index.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_runs
SELECT jsonb_build_object(
    'id', run.id, 'guild_id', run.guild_id, 'plugin_id', run.plugin_id, 'plugin_name', plugin.name,
    'message_id', run.message_id, 'outcome', run.outcome, 'detail', run.detail, 'fuel_used', run.fuel_used,
    'duration_us', run.duration_us, 'cpu_us', run.cpu_us, 'log_lines', jsonb_array_length(run.logs),
    'created_at', run.created_at,
    'logs', NULL)
FROM plugins AS plugin
CROSS JOIN LATERAL (
    SELECT * FROM plugin_runs AS run
    WHERE run.plugin_id = plugin.id
        AND (:'outcome'::text IS NULL OR run.outcome = :'outcome')
        AND (:'since'::timestamptz IS NULL OR run.created_at >= :'since')
        AND (:'until'::timestamptz IS NULL OR run.created_at < :'until')
        AND (:'before_at'::timestamptz IS NULL OR (run.created_at, run.id) < (:'before_at', :'before_id'::uuid))
    ORDER BY run.created_at DESC, run.id DESC
    LIMIT :'limit'
) AS run
WHERE (plugin.id = :'plugin_id' OR :'plugin_id'::uuid IS NULL)
    AND (plugin.guild_id = :'guild_id' OR :'guild_id'::uuid IS NULL)
ORDER BY run.created_at DESC, run.id DESC
LIMIT :'limit';

-- name: tail
-- Runs after a position, the oldest first. A run has the time when its batch began to be written, so a moment passes
-- before a time is shown: a run that comes later than that is in the list of runs alone. The position is at most an
-- hour old, so that the index on the time leads to few rows.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_runs
SELECT jsonb_build_object(
    'id', run.id, 'guild_id', run.guild_id, 'plugin_id', run.plugin_id, 'plugin_name', plugin.name,
    'message_id', run.message_id, 'outcome', run.outcome, 'detail', run.detail, 'fuel_used', run.fuel_used,
    'duration_us', run.duration_us, 'cpu_us', run.cpu_us, 'log_lines', jsonb_array_length(run.logs),
    'created_at', run.created_at,
    'logs', CASE WHEN :'with_logs' THEN run.logs END)
FROM plugin_runs AS run
JOIN plugins AS plugin ON plugin.id = run.plugin_id
WHERE (run.created_at, run.id) > (:'after_at', :'after_id'::uuid)
    AND run.created_at > now() - interval '1 hour'
    AND run.created_at <= now() - make_interval(secs => :'delay_seconds')
    AND (:'guild_id'::uuid IS NULL OR run.guild_id = :'guild_id')
ORDER BY run.created_at, run.id
LIMIT :'limit';

-- name: current_time
SELECT now();

-- name: note
-- An entry without another change: content is looked at, or something outside of the database is changed.
-- grant: INSERT ON plugin_audit
INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, actor_kind, action, detail)
VALUES (:'guild_id', :'plugin_id', :'actor_id', :'actor_name', 'operator', :'action', :'detail');

-- name: has_opened_content
-- The entry in the audit log is what lets an operator see the content of a guild.
-- grant: SELECT ON plugin_audit
SELECT EXISTS (
    SELECT FROM plugin_audit
    WHERE guild_id = :'guild_id' AND actor_id = :'actor_id' AND actor_kind = 'operator' AND action = :'action'
        AND at > now() - make_interval(mins => :'minutes'));

-- name: expired_sends
-- Messages that were given up, by guild, channel and reason.
-- grant: SELECT ON plugin_runs
-- grant: SELECT ON plugin_intents
SELECT jsonb_build_object('guild_id', guild_id, 'channel_id', channel_id, 'detail', detail, 'sends', sends,
                          'first_at', first_at)
FROM (
    SELECT run.guild_id, intent.channel_id, intent.detail, count(*) AS sends, min(run.created_at) AS first_at
    FROM plugin_runs AS run
    JOIN plugin_intents AS intent ON intent.run_id = run.id
    WHERE intent.state = 'refused' AND intent.detail LIKE 'EXPIRED %'
        AND intent.updated_at > now() - make_interval(hours => :'hours')
        AND run.created_at > now() - make_interval(hours => :'hours') - interval '7 days'
    GROUP BY 1, 2, 3
    ORDER BY 4 DESC, 1, 2, 3
    LIMIT :'limit'
) AS expired
ORDER BY sends DESC, guild_id, channel_id, detail;
