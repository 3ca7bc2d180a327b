-- Texts of plugins, admins and operators that have a person's id in them. Nothing says whose they are.

-- name: mentions
-- The plugins from a position on, with the keys of their state that have the id in them, the other keys whose value has
-- it, and the other places that have it.
-- grant: SELECT (id, guild_id, name, description, config, disabled_by_operator) ON plugins
-- grant: SELECT ON plugin_state
-- grant: SELECT ON plugin_health
-- grant: SELECT ON plugin_settings_versions
SELECT plugin.id, plugin.guild_id,
    ARRAY(
        SELECT key FROM jsonb_object_keys(state.entries) AS key WHERE key ~* :'pattern' ORDER BY key),
    ARRAY(
        SELECT key FROM jsonb_each_text(state.entries)
        WHERE key !~* :'pattern' AND value ~* :'pattern' ORDER BY key),
    ARRAY(
        SELECT 'plugins.name' WHERE plugin.name ~* :'pattern'
        UNION ALL
        SELECT 'plugins.description' WHERE plugin.description ~* :'pattern'
        UNION ALL
        SELECT 'plugins.config' WHERE plugin.config::text ~* :'pattern'
        UNION ALL
        SELECT 'plugins.disabled_by_operator' WHERE plugin.disabled_by_operator ~* :'pattern'
        UNION ALL
        SELECT 'plugin_health.reason' WHERE health.reason ~* :'pattern'
        UNION ALL
        SELECT 'plugin_health.last_error' WHERE health.last_error ~* :'pattern'
        UNION ALL
        (SELECT 'plugin_settings_versions.settings of number ' || number FROM plugin_settings_versions AS saved
        WHERE saved.plugin_id = plugin.id AND saved.settings::text ~* :'pattern' ORDER BY number))
FROM (
    SELECT id, guild_id, name, description, config, disabled_by_operator FROM plugins
    WHERE :'after_id'::text IS NULL OR id > :'after_id'::uuid
    ORDER BY id
    LIMIT :'limit'
) AS plugin
LEFT JOIN plugin_state AS state ON state.plugin_id = plugin.id
LEFT JOIN plugin_health AS health ON health.plugin_id = plugin.id
ORDER BY plugin.id;

-- name: mentions_in_decisions
-- The guilds from a position on about which an operator has decided, with the reasons that have the id in them.
-- grant: SELECT ON guild_pauses
-- grant: SELECT ON raised_budgets
SELECT guild_id, ARRAY(
    SELECT 'guild_pauses.reason' FROM guild_pauses AS pause
    WHERE pause.guild_id = decided.guild_id AND pause.reason ~* :'pattern'
    UNION ALL
    SELECT 'raised_budgets.reason' FROM raised_budgets AS raised
    WHERE raised.guild_id = decided.guild_id AND raised.reason ~* :'pattern')
FROM (SELECT guild_id FROM guild_pauses UNION SELECT guild_id FROM raised_budgets) AS decided
WHERE :'after_id'::text IS NULL OR guild_id > :'after_id'::uuid
ORDER BY guild_id
LIMIT :'limit';

-- name: mentions_in_audit
-- The entries from a position on, and whether they have the id in their detail, such as in an operator's reason.
-- grant: SELECT ON plugin_audit
SELECT id, guild_id, plugin_id, detail::text ~* :'pattern'
FROM plugin_audit
WHERE :'after_number'::text IS NULL OR id > :'after_number'::bigint
ORDER BY id
LIMIT :'limit';

-- name: state_entries
-- grant: SELECT ON plugin_state
SELECT key, value FROM plugin_state CROSS JOIN LATERAL jsonb_each_text(entries)
WHERE plugin_id = :'plugin_id' AND key = ANY (:'keys'::text[])
ORDER BY key;

-- name: erase_state_entries
-- A batch that has read the version before runs its plugins again.
-- grant: SELECT, UPDATE (entries, version, updated_at) ON plugin_state
WITH before AS MATERIALIZED (
    SELECT entries FROM plugin_state WHERE plugin_id = :'plugin_id' AND entries ?| :'keys'::text[] FOR UPDATE
), changed AS (
    UPDATE plugin_state AS state
    SET entries = state.entries - :'keys'::text[], version = state.version + 1, updated_at = now()
    FROM before
    WHERE state.plugin_id = :'plugin_id'
)
SELECT 'plugin_state.entries', count(*)
FROM before CROSS JOIN LATERAL jsonb_object_keys(before.entries) AS key
WHERE key = ANY (:'keys'::text[]);
