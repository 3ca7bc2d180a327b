-- A guild, and its audit log.

-- name: guild
-- One row, also for a guild that has decided nothing and used nothing.
-- grant: SELECT ON guild_settings
-- grant: SELECT ON plugins
-- grant: SELECT ON guild_budgets
-- grant: SELECT ON raised_budgets
-- grant: SELECT ON guild_pauses
SELECT jsonb_build_object(
    'keep_content', coalesce(settings.keep_content, FALSE),
    'revision', coalesce(settings.revision, 1),
    'plugins', (SELECT count(*) FROM plugins WHERE plugins.guild_id = asked.guild_id),
    'budget', (
        SELECT jsonb_build_object('over_at', over_at, 'over_reason', over_reason) || CASE
            WHEN minute = date_trunc('minute', now()) THEN jsonb_build_object(
                'fuel', fuel_used, 'sends', sends, 'log_bytes', log_bytes, 'delayed', delayed)
            ELSE '{}' END
        FROM guild_budgets WHERE guild_budgets.guild_id = asked.guild_id),
    'raised', (
        SELECT jsonb_build_object('fuel', fuel_per_minute, 'sends', sends_per_minute, 'log_bytes', log_bytes_per_minute)
        FROM raised_budgets AS raised WHERE raised.guild_id = asked.guild_id AND until > now()),
    'paused', (SELECT reason FROM guild_pauses AS pause WHERE pause.guild_id = asked.guild_id))
FROM (SELECT :'guild_id'::uuid AS guild_id) AS asked
LEFT JOIN guild_settings AS settings ON settings.guild_id = asked.guild_id;

-- name: change_guild
-- A guild without a row has revision 1.
-- grant: SELECT, INSERT, UPDATE ON guild_settings
-- grant: INSERT ON plugin_audit
WITH changed AS (
    INSERT INTO guild_settings AS settings (guild_id, keep_content, revision)
    SELECT :'guild_id', :'keep_content', 2
    WHERE :'revision'::bigint = 1 OR EXISTS (SELECT FROM guild_settings WHERE guild_id = :'guild_id')
    ON CONFLICT (guild_id) DO UPDATE
    SET keep_content = excluded.keep_content, revision = settings.revision + 1, updated_at = now()
    WHERE settings.revision = :'revision'
    RETURNING guild_id AS id
), audited AS (
    INSERT INTO plugin_audit (guild_id, actor_id, actor_name, action, detail)
    SELECT id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;

-- name: audit
-- grant: SELECT ON plugin_audit
SELECT jsonb_build_object('id', id, 'at', at, 'plugin_id', plugin_id, 'actor_id', actor_id, 'actor_name', actor_name,
                          'actor_kind', actor_kind, 'action', action, 'detail', detail)
FROM plugin_audit
WHERE guild_id = :'guild_id'
    AND (:'plugin_id'::uuid IS NULL OR plugin_id = :'plugin_id')
    AND (:'before'::bigint IS NULL OR id < :'before')
ORDER BY id DESC
LIMIT :'limit';
