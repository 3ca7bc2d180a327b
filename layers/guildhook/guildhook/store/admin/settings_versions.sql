-- Settings of plugins that were saved before. Triggers keep them (20261130000000_add_settings_versions.sql).

-- name: settings_versions
-- The newest first.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT ON plugin_settings_versions
SELECT jsonb_build_object(
    'number', saved.number,
    'saved_at', saved.saved_at,
    'actor_id', saved.actor_id,
    'actor_name', saved.actor_name,
    'database_role', saved.database_role,
    'version', (SELECT version.number FROM plugin_versions AS version WHERE version.id = saved.live_version_id),
    'current', saved.number = newest.number,
    'for_roll_back', saved.number IS NOT DISTINCT FROM plugin.for_roll_back,
    'kept', saved.settings IS NOT NULL,
    'withheld', saved.withheld,
    'withheld_now', newest.withheld,
    'differs', (
        SELECT coalesce(jsonb_agg(coalesce(before.key, after.key) ORDER BY coalesce(before.key, after.key)), '[]')
        FROM jsonb_each(plugin.settings - newest.withheld - saved.withheld) AS before
        FULL JOIN jsonb_each(saved.settings - newest.withheld) AS after ON after.key = before.key
        WHERE saved.settings IS NOT NULL AND before.value IS DISTINCT FROM after.value),
    'settings', CASE WHEN :'detailed' THEN saved.settings END)
FROM (
    SELECT
        plugin.id,
        CASE jsonb_typeof(plugin.config) WHEN 'object' THEN plugin.config ELSE '{}' END AS settings,
        (SELECT max(number) FROM plugin_settings_versions
            WHERE plugin_id = plugin.id AND replaced_version_id = plugin.previous_version_id) AS for_roll_back
    FROM plugins AS plugin
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id'
) AS plugin
JOIN plugin_settings_versions AS saved ON saved.plugin_id = plugin.id
CROSS JOIN LATERAL (
    SELECT number, withheld FROM plugin_settings_versions WHERE plugin_id = plugin.id ORDER BY number DESC LIMIT 1
) AS newest
WHERE (:'number'::integer IS NULL OR saved.number = :'number')
    AND (NOT :'for_roll_back' OR saved.number = plugin.for_roll_back)
    AND (:'before'::integer IS NULL OR saved.number < :'before')
ORDER BY saved.number DESC
LIMIT :'limit';

-- name: settings_differences
-- The differences between saved settings and those of number `base`, or else the plugin's current ones. Secrets, which
-- are not kept, are no difference.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_settings_versions
SELECT jsonb_build_object(
    'name', setting.name,
    'change', CASE WHEN setting.before IS NULL THEN 'added' WHEN setting.after IS NULL THEN 'removed' ELSE 'changed' END,
    'before', setting.before,
    'after', setting.after)
FROM plugins AS plugin
JOIN plugin_settings_versions AS saved ON saved.plugin_id = plugin.id AND saved.number = :'number'
CROSS JOIN LATERAL (
    SELECT CASE WHEN :'base'::integer IS NOT NULL THEN base.settings
        WHEN jsonb_typeof(plugin.config) = 'object' THEN plugin.config ELSE '{}' END AS settings, base.withheld
    FROM plugin_settings_versions AS base
    WHERE base.plugin_id = plugin.id AND (:'base'::integer IS NULL OR base.number = :'base')
    ORDER BY base.number DESC LIMIT 1
) AS base
CROSS JOIN LATERAL (
    SELECT coalesce(before.key, after.key) AS name, before.value AS before, after.value AS after
    FROM jsonb_each(base.settings - base.withheld - saved.withheld) AS before
    FULL JOIN jsonb_each(saved.settings - base.withheld) AS after ON after.key = before.key
    WHERE before.value IS DISTINCT FROM after.value
) AS setting
WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id'
    AND saved.settings IS NOT NULL AND base.settings IS NOT NULL
ORDER BY setting.name;

-- name: restore_settings
-- The settings are copied here, and the secrets among the current ones stay, as by go_live.
-- grant: SELECT, UPDATE ON plugins
-- grant: SELECT ON plugin_settings_versions
-- grant: INSERT ON plugin_audit
WITH saved AS MATERIALIZED (
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
    SET config = saved.settings, revision = plugin.revision + 1, updated_at = now()
    FROM saved
    WHERE plugin.id = :'plugin_id' AND plugin.guild_id = :'guild_id' AND plugin.revision = :'revision'
        AND saved.settings IS NOT NULL
    RETURNING plugin.id
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT :'guild_id', id, :'actor_id', :'actor_name', :'action', :'detail' FROM changed
)
SELECT id FROM changed;
