"""The SQL statements of on_message. A batch needs the same number of them, whatever its size."""

from typing import Final, LiteralString

# A plugin is there once for the version that is live, and once more for one that shadows it. One without a live
# version has an empty wasm. What somebody has written into plugins directly is no version until the sweep adopts it.
SNAPSHOT: Final[LiteralString] = """
SELECT
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', plugin.id,
        'guild_id', plugin.guild_id,
        'settings', plugin.config,
        'permissions', plugin.permissions,
        'bot_messages', plugin.bot_messages,
        'version_id', running.version_id,
        'shadow', running.shadow,
        'wasm_sha256', encode(running.wasm_sha256, 'hex'),
        'keep_content', coalesce(guild.keep_content, FALSE),
        'sealed', (
            SELECT coalesce(jsonb_object_agg(secret.name, encode(secret.sealed, 'hex')), '{}')
            FROM plugin_secrets AS secret
            WHERE secret.plugin_id = plugin.id),
        'artifact', CASE WHEN artifact.object_sha256 IS NOT NULL THEN jsonb_build_object(
            'sha256', encode(artifact.artifact_sha256, 'hex'),
            'size', artifact.artifact_bytes,
            'object_sha256', encode(artifact.object_sha256, 'hex'),
            'object_size', artifact.object_bytes,
            'memories', artifact.memories) END,
        'refusal', refusal.reason,
        'state', CASE WHEN state.plugin_id IS NOT NULL THEN jsonb_build_object(
            'version', state.version, 'entries', state.entries) END,
        'health', CASE WHEN health.plugin_id IS NOT NULL THEN jsonb_build_object(
            'failing', health.failures_in_a_row > 0 OR health.quarantined_at IS NOT NULL,
            'quarantine_seconds', extract(epoch FROM health.retry_at - now())) END
        ) ORDER BY running.shadow, plugin.created_at, plugin.id), '[]')
     FROM plugins AS plugin
     CROSS JOIN LATERAL (
        SELECT (
            SELECT version.id FROM plugin_versions AS version
            WHERE version.id = plugin.live_version_id AND version.wasm_sha256 = plugin.wasm_sha256
            ) AS version_id, plugin.wasm_sha256, FALSE AS shadow
        WHERE plugin.wasm_sha256 <> sha256('')
        UNION ALL
        SELECT version.id, version.wasm_sha256, TRUE FROM plugin_versions AS version
        WHERE version.id = plugin.shadow_version_id AND version.plugin_id = plugin.id AND version.state = 'ready'
     ) AS running
     LEFT JOIN plugin_artifacts AS artifact
        ON artifact.wasm_sha256 = running.wasm_sha256 AND artifact.engine = %(engine)s
     LEFT JOIN plugin_refusals AS refusal
        ON refusal.wasm_sha256 = running.wasm_sha256 AND refusal.engine = %(engine)s
     LEFT JOIN plugin_state AS state ON state.plugin_id = plugin.id
     LEFT JOIN plugin_health AS health
        ON health.plugin_id = plugin.id AND health.wasm_sha256 = running.wasm_sha256 AND NOT running.shadow
     LEFT JOIN guild_settings AS guild ON guild.guild_id = plugin.guild_id
     WHERE plugin.guild_id = ANY(%(guild_ids)s) AND plugin.enabled) AS plugins,
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
     WHERE run.message_id = ANY(%(message_ids)s)) AS runs,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(message_id, version_id)), '[]')
     FROM plugin_shadow_runs
     WHERE message_id = ANY(%(message_ids)s)) AS shadow_runs,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'guild_id', guild_id, 'fuel', fuel_used, 'sends', sends, 'log_bytes', log_bytes)), '[]')
     FROM guild_budgets
     WHERE guild_id = ANY(%(guild_ids)s) AND minute = date_trunc('minute', now())) AS spent,
    extract(epoch FROM date_trunc('minute', now()) + interval '1 minute' - now())::float AS seconds_left
"""

_INSERT_RUNS: Final[LiteralString] = """
    INSERT INTO plugin_runs (id, message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
                             host_calls, logs, seed, message_time, message_sha256, root_message_id, hops,
                             version_id, fuel_limit, calls, message)
    SELECT id, message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
           host_calls, logs, seed, message_time, decode(message_sha256, 'hex'), root_message_id, hops,
           version_id, fuel_limit, calls, message
    FROM accepted
"""

# Everything that a batch leaves behind. In this order:
# - Plugins deleted while their run was under way drop out at the join, and FOR KEY SHARE keeps the others from being
#   deleted before this commits. Who is being deleted at the moment is `busy`: waiting for the end of that would hold up
#   all other guilds.
# - State is written over the version that was read and no other. Who lost that race is `stale`: nothing of its runs is
#   written, and they are run again.
# - A run that another delivery recorded first is left alone. If it wrote state it cannot be, since its state is in
#   already: it is inserted without ON CONFLICT, and the error undoes the whole statement.
# - Failures are counted on rows that are locked before they are read.
# - Runs of shadows touch no row that is another's, but for their guild's budget.
# Rows are taken in the order of their keys, so that two batches cannot deadlock on them.
RECORD: Final[LiteralString] = (
    """
WITH given AS MATERIALIZED (
    SELECT given.*
    FROM jsonb_to_recordset(%(runs)s) AS given(
        id UUID, message_id UUID, plugin_id UUID, guild_id UUID, event_channel_id UUID, outcome TEXT, detail TEXT,
        fuel_used BIGINT, duration_us BIGINT, host_calls INTEGER, logs JSONB, seed BIGINT,
        message_time TIMESTAMPTZ, message_sha256 TEXT, root_message_id UUID, hops INTEGER,
        version_id UUID, fuel_limit BIGINT, calls JSONB, message TEXT,
        sends BIGINT, log_bytes BIGINT, memorable BOOLEAN, wrote_state BOOLEAN, intents JSONB)
    JOIN plugins ON plugins.id = given.plugin_id
    ORDER BY given.plugin_id, given.message_id
    FOR KEY SHARE OF plugins SKIP LOCKED
), -- State, over the version that was read
written AS MATERIALIZED (
    SELECT written.*
    FROM jsonb_to_recordset(%(states)s) AS written(plugin_id UUID, version BIGINT, entries JSONB)
    WHERE written.plugin_id IN (SELECT plugin_id FROM given)
    ORDER BY written.plugin_id
), saved AS (
    INSERT INTO plugin_state AS state (plugin_id, version, entries)
    SELECT plugin_id, version + 1, entries FROM written
    ON CONFLICT (plugin_id) DO UPDATE SET
        version = excluded.version,
        entries = excluded.entries,
        updated_at = now()
    WHERE state.version = excluded.version - 1
    RETURNING plugin_id
), stale AS (
    SELECT plugin_id FROM written WHERE plugin_id NOT IN (SELECT plugin_id FROM saved)
), accepted AS (
    SELECT * FROM given WHERE plugin_id NOT IN (SELECT plugin_id FROM stale)
), -- The outbox
run_with_state AS ("""
    + _INSERT_RUNS
    + """
    WHERE memorable AND wrote_state
    RETURNING id, message_id, plugin_id
), run_without_state AS ("""
    + _INSERT_RUNS
    + """
    WHERE memorable AND NOT wrote_state
    ON CONFLICT DO NOTHING -- The id comes of message and plugin: whichever of the two is found first
    RETURNING id, message_id, plugin_id
), run AS (
    SELECT * FROM run_with_state UNION ALL SELECT * FROM run_without_state
), intent AS (
    INSERT INTO plugin_intents (key, run_id, position, kind, channel_id, content, state, detail)
    SELECT asked.key, run.id, asked.position, asked.kind, asked.channel_id, asked.content,
           CASE WHEN reachable THEN 'pending' ELSE 'refused' END,
           CASE WHEN reachable THEN '' ELSE 'CHANNEL_NOT_IN_GUILD' END
    FROM run
    JOIN accepted USING (message_id, plugin_id)
    CROSS JOIN LATERAL jsonb_to_recordset(accepted.intents) AS asked(
        key UUID, position INTEGER, kind TEXT, channel_id UUID, content TEXT)
    CROSS JOIN LATERAL (
        SELECT asked.channel_id = accepted.event_channel_id OR EXISTS (
            SELECT FROM channels WHERE channels.id = asked.channel_id AND channels.guild_id = accepted.guild_id)
    ) AS reach(reachable)
    RETURNING key, state
), -- Shadows: a record and fuel, and nothing else
shadowed AS MATERIALIZED (
    SELECT shadowed.*
    FROM jsonb_to_recordset(%(shadow_runs)s) AS shadowed(
        message_id UUID, plugin_id UUID, guild_id UUID, version_id UUID, outcome TEXT, detail TEXT, fuel_used BIGINT,
        fuel_limit BIGINT, duration_us BIGINT, host_calls INTEGER, calls JSONB, logs JSONB, intents JSONB, seed BIGINT,
        message_time TIMESTAMPTZ, message TEXT, log_bytes BIGINT, memorable BOOLEAN)
    JOIN plugins ON plugins.id = shadowed.plugin_id
    ORDER BY shadowed.plugin_id, shadowed.message_id
    FOR KEY SHARE OF plugins SKIP LOCKED
), shadow_run AS (
    INSERT INTO plugin_shadow_runs (message_id, plugin_id, guild_id, version_id, outcome, detail, fuel_used, fuel_limit,
                                    duration_us, host_calls, calls, logs, intents, seed, message_time, message)
    SELECT message_id, plugin_id, guild_id, version_id, outcome, detail, fuel_used, fuel_limit,
           duration_us, host_calls, calls, logs, intents, seed, message_time, message
    FROM shadowed
    WHERE memorable AND plugin_id NOT IN (SELECT plugin_id FROM stale) -- Those run again, as their live version does
    ORDER BY message_id, version_id
    ON CONFLICT DO NOTHING
), -- Counts
passed_over AS MATERIALIZED (
    SELECT passed_over.*
    FROM jsonb_to_recordset(%(passed_over)s) AS passed_over(plugin_id UUID, messages BIGINT)
    JOIN plugins ON plugins.id = passed_over.plugin_id
    ORDER BY passed_over.plugin_id
    FOR KEY SHARE OF plugins SKIP LOCKED
), usage AS (
    INSERT INTO plugin_usage AS total (plugin_id, hour, outcome, runs, fuel_used, duration_us)
    SELECT plugin_id, date_trunc('hour', now()), outcome, sum(runs), sum(fuel_used), sum(duration_us)
    FROM (
        SELECT plugin_id, outcome, 1 AS runs, fuel_used, duration_us FROM accepted
        UNION ALL
        SELECT plugin_id, 'quarantined', messages, 0, 0 FROM passed_over
    ) AS counted
    GROUP BY plugin_id, outcome
    ORDER BY plugin_id, outcome
    ON CONFLICT (plugin_id, hour, outcome) DO UPDATE SET
        runs = total.runs + excluded.runs,
        fuel_used = total.fuel_used + excluded.fuel_used,
        duration_us = total.duration_us + excluded.duration_us
), budget AS (
    INSERT INTO guild_budgets AS budget (guild_id, minute, fuel_used, sends, log_bytes, delayed, over_at, over_reason)
    SELECT guild_id, date_trunc('minute', now()), sum(fuel_used), sum(sends), sum(log_bytes), sum(delayed),
           CASE WHEN sum(delayed) > 0 THEN now() END, max(reason)
    FROM (
        -- A run that lost a race has used its fuel all the same.
        SELECT guild_id, fuel_used, 0 AS sends, 0 AS log_bytes, 0 AS delayed, NULL AS reason FROM given
        UNION ALL
        SELECT guild_id, fuel_used, 0, log_bytes, 0, NULL FROM shadowed
        UNION ALL
        SELECT guild_id, 0, sends, log_bytes, 0, NULL FROM accepted
        UNION ALL
        SELECT guild_id, 0, 0, 0, 1, reason FROM jsonb_to_recordset(%(delayed)s) AS delayed(guild_id UUID, reason TEXT)
    ) AS used
    GROUP BY guild_id
    ORDER BY guild_id
    ON CONFLICT (guild_id) DO UPDATE SET
        minute = greatest(budget.minute, excluded.minute),
        fuel_used = excluded.fuel_used + CASE WHEN budget.minute >= excluded.minute THEN budget.fuel_used ELSE 0 END,
        sends = excluded.sends + CASE WHEN budget.minute >= excluded.minute THEN budget.sends ELSE 0 END,
        log_bytes = excluded.log_bytes + CASE WHEN budget.minute >= excluded.minute THEN budget.log_bytes ELSE 0 END,
        delayed = excluded.delayed + CASE WHEN budget.minute >= excluded.minute THEN budget.delayed ELSE 0 END,
        over_at = coalesce(excluded.over_at, budget.over_at),
        over_reason = coalesce(excluded.over_reason, budget.over_reason)
), -- Failures, and quarantine
judged AS MATERIALIZED (
    -- What a plugin did before it was updated does not count for what it is now.
    SELECT judged.*, plugins.wasm_sha256
    FROM jsonb_to_recordset(%(judged)s) AS judged(
        plugin_id UUID, judged_sha256 TEXT, failures INTEGER, failures_in_a_row INTEGER, recovered BOOLEAN,
        last_error TEXT)
    JOIN plugins ON plugins.id = judged.plugin_id AND plugins.wasm_sha256 = decode(judged_sha256, 'hex')
    WHERE judged.plugin_id IN (SELECT plugin_id FROM accepted)
), locked AS MATERIALIZED (
    SELECT health.*
    FROM plugin_health AS health
    WHERE health.plugin_id IN (SELECT plugin_id FROM judged)
    ORDER BY health.plugin_id
    FOR UPDATE OF health
), before AS (
    -- A run that began before the quarantine did neither ends it nor makes it longer.
    SELECT *, retry_at IS NULL OR retry_at <= now() AS was_tried FROM locked
), counted AS (
    SELECT
        judged.plugin_id, judged.wasm_sha256, judged.failures,
        coalesce(nullif(judged.last_error, ''), before.last_error, '') AS last_error,
        recovered AND coalesce(was_tried, TRUE) AS heals,
        coalesce(was_tried, TRUE) AS was_tried,
        judged.failures_in_a_row + CASE
            WHEN recovered AND coalesce(was_tried, TRUE) THEN 0
            ELSE coalesce(before.failures_in_a_row, 0) END AS in_a_row,
        judged.failures + CASE
            WHEN before.hour = date_trunc('hour', now())
                AND NOT (recovered AND was_tried AND before.quarantined_at IS NOT NULL)
            THEN before.failures_in_hour ELSE 0 END AS in_hour,
        CASE WHEN judged.failures > 0 THEN now() ELSE before.last_failed_at END AS last_failed_at,
        before.quarantined_at, before.reason, before.retry_at, coalesce(before.pauses, 0) AS pauses
    FROM judged
    LEFT JOIN before ON before.plugin_id = judged.plugin_id AND before.wasm_sha256 = judged.wasm_sha256
), decided AS MATERIALIZED (
    SELECT
        counted.*,
        CASE
            WHEN failures = 0 OR NOT was_tried THEN NULL
            WHEN in_a_row >= %(most_in_a_row)s THEN format('failed %%s times in a row', in_a_row)
            WHEN in_hour >= %(most_in_an_hour)s THEN format('failed %%s times within an hour', in_hour)
            WHEN quarantined_at IS NOT NULL AND NOT heals THEN 'failed again when it was tried'
        END AS verdict,
        now() + make_interval(secs => least(
            %(pause_seconds)s * 2.0 ^ least(pauses, 60), %(longest_pause_seconds)s)) AS new_retry_at
    FROM counted
), after AS (
    SELECT
        plugin_id, wasm_sha256, in_a_row, in_hour, last_error, last_failed_at,
        CASE WHEN verdict IS NOT NULL THEN coalesce(quarantined_at, now()) WHEN NOT heals THEN quarantined_at
            END AS quarantined_at,
        CASE WHEN verdict IS NOT NULL THEN verdict WHEN NOT heals THEN reason END AS reason,
        CASE WHEN verdict IS NOT NULL THEN new_retry_at WHEN NOT heals THEN retry_at END AS retry_at,
        CASE WHEN verdict IS NOT NULL THEN pauses + 1 WHEN heals THEN 0 ELSE pauses END AS pauses
    FROM decided
), failed_before AS (
    UPDATE plugin_health AS health
    SET wasm_sha256 = after.wasm_sha256,
        failures_in_a_row = in_a_row,
        hour = date_trunc('hour', now()),
        failures_in_hour = in_hour,
        last_error = after.last_error,
        last_failed_at = after.last_failed_at,
        quarantined_at = after.quarantined_at,
        reason = after.reason,
        retry_at = after.retry_at,
        pauses = after.pauses
    FROM after
    JOIN locked USING (plugin_id)
    WHERE health.plugin_id = after.plugin_id
), failed_first AS (
    INSERT INTO plugin_health AS health (plugin_id, wasm_sha256, failures_in_a_row, hour, failures_in_hour, last_error,
                                         last_failed_at, quarantined_at, reason, retry_at, pauses)
    SELECT plugin_id, wasm_sha256, in_a_row, date_trunc('hour', now()), in_hour, last_error,
           last_failed_at, quarantined_at, reason, retry_at, pauses
    FROM after
    WHERE plugin_id NOT IN (SELECT plugin_id FROM locked)
    ORDER BY plugin_id
    -- Another batch was first as well: both count, and the next failure is judged by that.
    ON CONFLICT (plugin_id) DO UPDATE SET
        failures_in_a_row = health.failures_in_a_row + excluded.failures_in_a_row,
        failures_in_hour = health.failures_in_hour + excluded.failures_in_hour,
        quarantined_at = coalesce(health.quarantined_at, excluded.quarantined_at),
        reason = coalesce(health.reason, excluded.reason),
        retry_at = coalesce(health.retry_at, excluded.retry_at),
        pauses = greatest(health.pauses, excluded.pauses)
)
SELECT
    (SELECT coalesce(array_agg(key::text), '{}') FROM intent WHERE state = 'pending') AS pending,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(message_id, plugin_id)), '[]') FROM accepted
     WHERE memorable AND NOT EXISTS (
        SELECT FROM run WHERE run.message_id = accepted.message_id AND run.plugin_id = accepted.plugin_id)) AS lost,
    (SELECT coalesce(array_agg(plugin_id), '{}') FROM stale) AS stale,
    (SELECT coalesce(array_agg(id), '{}') FROM plugins
     WHERE id IN (SELECT plugin_id FROM jsonb_to_recordset(%(runs)s) AS asked(plugin_id UUID))
        AND id NOT IN (SELECT plugin_id FROM given)) AS busy,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'plugin_id', plugin_id,
        'reason', verdict,
        'last_error', last_error,
        'pause_seconds', extract(epoch FROM new_retry_at - now()),
        'pauses', pauses + 1
        ) ORDER BY plugin_id), '[]')
     FROM decided WHERE verdict IS NOT NULL) AS quarantined
"""
)

# Returns the keys whose intent is gone: its plugin was deleted meanwhile.
SETTLE: Final[LiteralString] = """
WITH given AS (
    SELECT * FROM unnest(%(keys)s::uuid[], %(states)s::text[], %(details)s::text[]) AS given(key, state, detail)
), locked AS MATERIALIZED (
    SELECT intent.key FROM plugin_intents AS intent
    WHERE intent.key = ANY(%(keys)s::uuid[])
    ORDER BY intent.key
    FOR UPDATE
), settled AS (
    UPDATE plugin_intents AS intent
    SET state = given.state, detail = given.detail, updated_at = now()
    FROM given
    JOIN locked USING (key)
    WHERE intent.key = given.key AND intent.state = 'pending'
)
SELECT key::text FROM given
WHERE key NOT IN (SELECT key FROM locked)
"""
