-- The write that commits a batch: runs, intents, state, counts and health, all of it or nothing.

-- name: record
-- Rows are locked in key order, so that two batches cannot deadlock. Returns one row, which says what is not recorded.
-- grant: SELECT (id, guild_id) ON channels
-- grant: SELECT, UPDATE (updated_at) ON plugins
-- grant: SELECT, INSERT ON plugin_runs
-- grant: INSERT ON plugin_shadow_runs
-- grant: SELECT, INSERT ON plugin_intents
-- grant: SELECT, INSERT, UPDATE ON plugin_state
-- grant: SELECT, INSERT, UPDATE ON plugin_health
-- grant: SELECT, INSERT, UPDATE ON plugin_usage
-- grant: SELECT, INSERT, UPDATE ON guild_budgets
WITH
-- # The runs, apart from those of plugins that are gone
-- Runs of a deleted plugin drop out at the join. FOR KEY SHARE keeps the other plugins from being deleted before this
-- commits. A plugin that another transaction is deleting is skipped, and returned as `busy`: waiting for the end of
-- that transaction would delay all other guilds.
given AS MATERIALIZED (
    SELECT given.*
    FROM jsonb_to_recordset(:'runs') AS given(
        id UUID, message_id UUID, plugin_id UUID, guild_id UUID, event_channel_id UUID, outcome TEXT, detail TEXT,
        fuel_used BIGINT, charged_fuel BIGINT, duration_us BIGINT, cpu_us BIGINT, host_calls INTEGER, logs JSONB,
        seed BIGINT, message_time TIMESTAMPTZ, message_sha256 TEXT, root_message_id UUID, hops INTEGER,
        version_id UUID, fuel_limit BIGINT, calls JSONB, message TEXT, author_id TEXT,
        sends BIGINT, log_bytes BIGINT, memorable BOOLEAN, wrote_state BOOLEAN, intents JSONB)
    JOIN plugins ON plugins.id = given.plugin_id
    ORDER BY given.plugin_id, given.message_id
    FOR KEY SHARE OF plugins SKIP LOCKED
),

-- # State
-- State is written over the version that the batch read, and over no other. A plugin whose state another batch wrote
-- first is returned as `stale`: none of its runs is recorded, and the batch runs them again.
written AS MATERIALIZED (
    SELECT written.*
    FROM jsonb_to_recordset(:'new_states') AS written(plugin_id UUID, version BIGINT, entries JSONB)
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
),

-- # The outbox
-- A run that another delivery recorded first is left alone, and returned as `lost`. A run that wrote state cannot be
-- left alone, since its state is saved above. It is inserted without ON CONFLICT, and the error undoes the statement.
run_with_state AS (
    INSERT INTO plugin_runs (id, message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us, cpu_us,
                             host_calls, logs, seed, message_time, message_sha256, root_message_id, hops, version_id,
                             fuel_limit, calls, message, author_id)
    SELECT id, message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us, cpu_us,
           host_calls, logs, seed, message_time, decode(message_sha256, 'hex'), root_message_id, hops, version_id,
           fuel_limit, calls, message, author_id
    FROM accepted
    WHERE memorable AND wrote_state
    RETURNING id, message_id, plugin_id
), run_without_state AS (
    INSERT INTO plugin_runs (id, message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us, cpu_us,
                             host_calls, logs, seed, message_time, message_sha256, root_message_id, hops, version_id,
                             fuel_limit, calls, message, author_id)
    SELECT id, message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us, cpu_us,
           host_calls, logs, seed, message_time, decode(message_sha256, 'hex'), root_message_id, hops, version_id,
           fuel_limit, calls, message, author_id
    FROM accepted
    WHERE memorable AND NOT wrote_state
    -- The id is derived from message and plugin, so a conflict may be found on either key.
    ON CONFLICT DO NOTHING
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
),

-- # Shadows
-- A shadow's run leaves a row of its own and counts in its guild's budget. It touches no other row.
shadowed AS MATERIALIZED (
    SELECT shadowed.*
    FROM jsonb_to_recordset(:'shadow_runs') AS shadowed(
        message_id UUID, plugin_id UUID, guild_id UUID, version_id UUID, outcome TEXT, detail TEXT, fuel_used BIGINT,
        charged_fuel BIGINT, fuel_limit BIGINT, duration_us BIGINT, cpu_us BIGINT, host_calls INTEGER, calls JSONB,
        logs JSONB, intents JSONB, seed BIGINT, message_time TIMESTAMPTZ, message TEXT, author_id TEXT, log_bytes BIGINT, memorable BOOLEAN)
    JOIN plugins ON plugins.id = shadowed.plugin_id
    ORDER BY shadowed.plugin_id, shadowed.message_id
    FOR KEY SHARE OF plugins SKIP LOCKED
), shadow_run AS (
    INSERT INTO plugin_shadow_runs (message_id, plugin_id, guild_id, version_id, outcome, detail, fuel_used, fuel_limit,
                                    duration_us, cpu_us, host_calls, calls, logs, intents, seed, message_time, message,
                                    author_id)
    SELECT message_id, plugin_id, guild_id, version_id, outcome, detail, fuel_used, fuel_limit,
           duration_us, cpu_us, host_calls, calls, logs, intents, seed, message_time, message, author_id
    FROM shadowed
    -- The shadow of a stale plugin runs again when its live version does.
    WHERE memorable AND plugin_id NOT IN (SELECT plugin_id FROM stale)
    ORDER BY message_id, version_id
    ON CONFLICT DO NOTHING
),

-- # Counts of runs, by plugin, hour and outcome
passed_over AS MATERIALIZED (
    SELECT passed_over.*
    FROM jsonb_to_recordset(:'passed_over') AS passed_over(plugin_id UUID, messages BIGINT)
    JOIN plugins ON plugins.id = passed_over.plugin_id
    ORDER BY passed_over.plugin_id
    FOR KEY SHARE OF plugins SKIP LOCKED
), usage AS (
    INSERT INTO plugin_usage AS total (plugin_id, hour, outcome, runs, fuel_used, duration_us, cpu_us)
    SELECT plugin_id, date_trunc('hour', now()), outcome, sum(runs), sum(fuel_used), sum(duration_us), sum(cpu_us)
    FROM (
        SELECT plugin_id, outcome, 1 AS runs, fuel_used, duration_us, cpu_us FROM accepted
        UNION ALL
        SELECT plugin_id, 'quarantined', messages, 0, 0, 0 FROM passed_over
    ) AS counted
    GROUP BY plugin_id, outcome
    ORDER BY plugin_id, outcome
    ON CONFLICT (plugin_id, hour, outcome) DO UPDATE SET
        runs = total.runs + excluded.runs,
        fuel_used = total.fuel_used + excluded.fuel_used,
        duration_us = total.duration_us + excluded.duration_us,
        cpu_us = total.cpu_us + excluded.cpu_us
),

-- # Budgets, by guild and minute
-- The column fuel_used has the fuel that runs are charged.
budget AS (
    INSERT INTO guild_budgets AS budget (guild_id, minute, fuel_used, sends, log_bytes, delayed, over_at, over_reason)
    SELECT guild_id, date_trunc('minute', now()), sum(fuel_used), sum(sends), sum(log_bytes), sum(delayed),
           CASE WHEN sum(delayed) > 0 THEN now() END, max(reason)
    FROM (
        -- A run that lost a race has used its fuel all the same.
        SELECT guild_id, charged_fuel AS fuel_used, 0 AS sends, 0 AS log_bytes, 0 AS delayed, NULL AS reason FROM given
        UNION ALL
        SELECT guild_id, charged_fuel, 0, log_bytes, 0, NULL FROM shadowed
        UNION ALL
        SELECT guild_id, 0, sends, log_bytes, 0, NULL FROM accepted
        UNION ALL
        SELECT guild_id, 0, 0, 0, 1, reason FROM jsonb_to_recordset(:'delayed') AS delayed(guild_id UUID, reason TEXT)
    ) AS used
    GROUP BY guild_id
    ORDER BY guild_id
    -- A new minute begins with nothing. now() is the time when the transaction began, so a batch that waited for the
    -- row may come with the minute before: it counts in the minute that the row has.
    ON CONFLICT (guild_id) DO UPDATE SET
        minute = greatest(budget.minute, excluded.minute),
        fuel_used = excluded.fuel_used + CASE WHEN budget.minute >= excluded.minute THEN budget.fuel_used ELSE 0 END,
        sends = excluded.sends + CASE WHEN budget.minute >= excluded.minute THEN budget.sends ELSE 0 END,
        log_bytes = excluded.log_bytes + CASE WHEN budget.minute >= excluded.minute THEN budget.log_bytes ELSE 0 END,
        delayed = excluded.delayed + CASE WHEN budget.minute >= excluded.minute THEN budget.delayed ELSE 0 END,
        over_at = coalesce(excluded.over_at, budget.over_at),
        over_reason = coalesce(excluded.over_reason, budget.over_reason)
),

-- # Quarantine
-- Failures are counted, and quarantine is decided, here and nowhere else. A plugin is quarantined when it has failed
-- too often in a row or within an hour of the clock. After a pause one run is tried: a good run ends the quarantine,
-- a failure doubles the pause, up to the longest.
--
-- The failures of a batch count for the wasm that was run. They do not count for wasm that was uploaded meanwhile.
judged AS MATERIALIZED (
    SELECT judged.*, plugins.wasm_sha256
    FROM jsonb_to_recordset(:'judged') AS judged(
        plugin_id UUID, judged_sha256 TEXT, failures INTEGER, failures_in_a_row INTEGER, recovered BOOLEAN,
        last_error TEXT)
    JOIN plugins ON plugins.id = judged.plugin_id AND plugins.wasm_sha256 = decode(judged_sha256, 'hex')
    WHERE judged.plugin_id IN (SELECT plugin_id FROM accepted)
), locked AS MATERIALIZED (
    -- Rows are locked before they are read, so that no failure of another batch is lost.
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
    -- The verdict is why a quarantine begins or goes on. NULL: it does neither.
    SELECT
        counted.*,
        CASE
            WHEN failures = 0 OR NOT was_tried THEN NULL
            WHEN in_a_row >= :'most_in_a_row' THEN format('failed %s times in a row', in_a_row)
            WHEN in_hour >= :'most_in_an_hour' THEN format('failed %s times within an hour', in_hour)
            WHEN quarantined_at IS NOT NULL AND NOT heals THEN 'failed again when it was tried'
        END AS verdict,
        now() + make_interval(secs => least(
            :'pause_seconds' * 2.0 ^ least(pauses, 60), :'longest_pause_seconds')) AS new_retry_at
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
    -- Another batch inserted the row at the same time. Both count, and the next failure is judged by the sum.
    ON CONFLICT (plugin_id) DO UPDATE SET
        failures_in_a_row = health.failures_in_a_row + excluded.failures_in_a_row,
        failures_in_hour = health.failures_in_hour + excluded.failures_in_hour,
        quarantined_at = coalesce(health.quarantined_at, excluded.quarantined_at),
        reason = coalesce(health.reason, excluded.reason),
        retry_at = coalesce(health.retry_at, excluded.retry_at),
        pauses = greatest(health.pauses, excluded.pauses)
)

-- # The answer
SELECT
    (SELECT coalesce(array_agg(key::text), '{}') FROM intent WHERE state = 'pending') AS pending,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(message_id, plugin_id)), '[]') FROM accepted
     WHERE memorable AND NOT EXISTS (
        SELECT FROM run WHERE run.message_id = accepted.message_id AND run.plugin_id = accepted.plugin_id)) AS lost,
    (SELECT coalesce(array_agg(plugin_id), '{}') FROM stale) AS stale,
    (SELECT coalesce(array_agg(id), '{}') FROM plugins
     WHERE id IN (SELECT plugin_id FROM jsonb_to_recordset(:'runs') AS asked(plugin_id UUID))
        AND id NOT IN (SELECT plugin_id FROM given)) AS busy,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'plugin_id', plugin_id,
        'reason', verdict,
        'last_error', last_error,
        'pause_seconds', extract(epoch FROM new_retry_at - now()),
        'pauses', pauses + 1
        ) ORDER BY plugin_id), '[]')
     FROM decided WHERE verdict IS NOT NULL) AS quarantined;
