-- transactional: false
-- The current settings of each plugin are the first that are kept. A save at the same time keeps them as well, and then
-- nothing is done here. The previous version was live with the current settings if the audit log has no change of them
-- since the live version took its place; otherwise it is not known with which ones it was.
INSERT INTO plugin_settings_versions (
    plugin_id, number, settings, withheld, bytes, live_version_id, replaced_version_id)
SELECT plugin.id, 1, kept.settings, kept.withheld, kept.bytes, plugin.live_version_id,
    CASE WHEN switched.id > coalesce(saved.id, 0) THEN plugin.previous_version_id END
FROM (SELECT * FROM plugins FOR KEY SHARE) AS plugin
CROSS JOIN LATERAL settings_to_keep(plugin.config, secret_settings(plugin.id)) AS kept
LEFT JOIN plugin_versions AS live ON live.id = plugin.live_version_id
LEFT JOIN plugin_versions AS previous ON previous.id = plugin.previous_version_id
LEFT JOIN LATERAL (
    SELECT max(id) AS id FROM plugin_audit
    WHERE guild_id = plugin.guild_id AND plugin_id = plugin.id AND action IN ('plugin.live', 'plugin.rolled_back')
        AND detail -> 'from' = to_jsonb(previous.number) AND detail -> 'to' = to_jsonb(live.number)
) AS switched ON TRUE
LEFT JOIN LATERAL (
    SELECT max(id) AS id FROM plugin_audit
    WHERE guild_id = plugin.guild_id AND plugin_id = plugin.id AND detail ? 'settings'
) AS saved ON TRUE
ON CONFLICT DO NOTHING;
