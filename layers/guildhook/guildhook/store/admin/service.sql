-- The admin API itself: its use, and the migrations that it needs.

-- name: charge
-- A new minute begins with nothing. now() is the time when the transaction began, so a request that waited for the row
-- may come with the minute before: it counts in the minute that the row has.
-- grant: SELECT, INSERT, UPDATE ON admin_requests
INSERT INTO admin_requests AS used (actor_id, minute, cost)
VALUES (:'actor_id', date_trunc('minute', now()), :'cost')
ON CONFLICT (actor_id) DO UPDATE SET
    minute = greatest(used.minute, excluded.minute),
    cost = CASE WHEN used.minute >= excluded.minute THEN used.cost ELSE 0 END + excluded.cost
RETURNING cost, extract(epoch FROM minute + interval '1 minute' - now())::float;

-- name: applied_migrations
-- yoyo's own table, which is there from the first migration on.
-- grant: SELECT (migration_id) ON _yoyo_migration
SELECT migration_id FROM _yoyo_migration;

-- name: subscribers
-- The guilds with a plugin, in any state, and those whose last one was deleted within a day.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_audit
SELECT guild_id FROM plugins
UNION
SELECT guild_id FROM plugin_audit WHERE action = 'plugin.deleted' AND at > now() - interval '1 day'
LIMIT :'limit';
