-- Changes by operators.

-- name: operators_audit
-- grant: SELECT ON plugin_audit
SELECT jsonb_build_object('id', id, 'at', at, 'guild_id', guild_id, 'plugin_id', plugin_id, 'actor_id', actor_id,
                          'actor_name', actor_name, 'actor_kind', actor_kind, 'action', action, 'detail', detail)
FROM plugin_audit
WHERE actor_kind = 'operator'
    AND (:'guild_id'::uuid IS NULL OR guild_id = :'guild_id')
    AND (:'before'::bigint IS NULL OR id < :'before')
ORDER BY id DESC
LIMIT :'limit';
