-- Guilds with plugins, and the decisions of operators about a guild.

-- name: operated_guilds
-- In the order of their ids. A guild that the path names is there also if it has no plugin.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_health
-- grant: SELECT ON guild_budgets
-- grant: SELECT ON guild_pauses
-- grant: SELECT ON raised_budgets
SELECT jsonb_build_object(
    'id', listed.guild_id,
    'plugins', listed.plugins,
    'enabled', listed.enabled,
    'disabled_by_operator', listed.disabled_by_operator,
    'quarantined', listed.quarantined,
    'paused', (
        SELECT jsonb_build_object('reason', reason, 'since', paused_at)
        FROM guild_pauses AS pause WHERE pause.guild_id = listed.guild_id),
    'raised', (
        SELECT jsonb_build_object(
            'until', until, 'reason', reason, 'fuel_per_minute', fuel_per_minute,
            'sends_per_minute', sends_per_minute, 'log_bytes_per_minute', log_bytes_per_minute)
        FROM raised_budgets AS raised WHERE raised.guild_id = listed.guild_id AND until > now()),
    'budget', (
        SELECT jsonb_build_object('over_at', over_at, 'over_reason', over_reason) || CASE
            WHEN minute = date_trunc('minute', now()) THEN jsonb_build_object(
                'fuel', fuel_used, 'sends', sends, 'log_bytes', log_bytes, 'delayed', delayed)
            ELSE '{}' END
        FROM guild_budgets AS used WHERE used.guild_id = listed.guild_id))
FROM (
    SELECT
        plugin.guild_id,
        count(*) AS plugins,
        count(*) FILTER (WHERE plugin.enabled) AS enabled,
        count(*) FILTER (WHERE plugin.disabled_by_operator IS NOT NULL) AS disabled_by_operator,
        count(*) FILTER (WHERE health.quarantined_at IS NOT NULL) AS quarantined
    FROM plugins AS plugin
    LEFT JOIN plugin_health AS health ON health.plugin_id = plugin.id AND health.wasm_sha256 = plugin.wasm_sha256
    WHERE (:'guild_id'::uuid IS NULL OR plugin.guild_id = :'guild_id')
        AND (:'after_id'::uuid IS NULL OR plugin.guild_id > :'after_id')
        AND (:'over_hours'::integer IS NULL OR EXISTS (
            SELECT FROM guild_budgets AS used
            WHERE used.guild_id = plugin.guild_id AND used.over_at > now() - make_interval(hours => :'over_hours')))
        AND (NOT :'paused'::boolean OR EXISTS (
            SELECT FROM guild_pauses AS pause WHERE pause.guild_id = plugin.guild_id))
    GROUP BY plugin.guild_id
    UNION ALL
    SELECT :'guild_id', 0, 0, 0, 0
    WHERE :'guild_id'::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM plugins WHERE guild_id = :'guild_id')
    ORDER BY guild_id
    LIMIT :'limit'
) AS listed
ORDER BY listed.guild_id;

-- name: raise_budget
-- grant: SELECT, INSERT, UPDATE ON raised_budgets
-- grant: INSERT ON plugin_audit
WITH changed AS (
    INSERT INTO raised_budgets (guild_id, until, reason, fuel_per_minute, sends_per_minute, log_bytes_per_minute)
    VALUES (:'guild_id', :'until', :'reason', :'fuel_per_minute', :'sends_per_minute', :'log_bytes_per_minute')
    ON CONFLICT (guild_id) DO UPDATE SET
        until = excluded.until,
        reason = excluded.reason,
        fuel_per_minute = excluded.fuel_per_minute,
        sends_per_minute = excluded.sends_per_minute,
        log_bytes_per_minute = excluded.log_bytes_per_minute,
        raised_at = now()
    RETURNING guild_id
), audited AS (
    INSERT INTO plugin_audit (guild_id, actor_id, actor_name, actor_kind, action, detail)
    SELECT guild_id, :'actor_id', :'actor_name', 'operator', :'action', :'detail' FROM changed
)
SELECT guild_id FROM changed;

-- name: reset_budget
-- grant: SELECT, DELETE ON raised_budgets
-- grant: INSERT ON plugin_audit
WITH changed AS (
    DELETE FROM raised_budgets WHERE guild_id = :'guild_id' RETURNING guild_id
), audited AS (
    INSERT INTO plugin_audit (guild_id, actor_id, actor_name, actor_kind, action, detail)
    SELECT guild_id, :'actor_id', :'actor_name', 'operator', :'action', :'detail' FROM changed
)
SELECT guild_id FROM changed;

-- name: pause_guild
-- grant: SELECT (guild_id), INSERT ON guild_pauses
-- grant: INSERT ON plugin_audit
WITH changed AS (
    INSERT INTO guild_pauses (guild_id, reason) VALUES (:'guild_id', :'reason')
    ON CONFLICT (guild_id) DO NOTHING
    RETURNING guild_id
), audited AS (
    INSERT INTO plugin_audit (guild_id, actor_id, actor_name, actor_kind, action, detail)
    SELECT guild_id, :'actor_id', :'actor_name', 'operator', :'action', :'detail' FROM changed
)
SELECT guild_id FROM changed;

-- name: resume_guild
-- grant: SELECT (guild_id), DELETE ON guild_pauses
-- grant: INSERT ON plugin_audit
WITH changed AS (
    DELETE FROM guild_pauses WHERE guild_id = :'guild_id' RETURNING guild_id
), audited AS (
    INSERT INTO plugin_audit (guild_id, actor_id, actor_name, actor_kind, action, detail)
    SELECT guild_id, :'actor_id', :'actor_name', 'operator', :'action', :'detail' FROM changed
)
SELECT guild_id FROM changed;
