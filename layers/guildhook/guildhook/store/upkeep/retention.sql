-- Deletes rows that are older than they are kept. A row that is locked needs UPDATE on one of its columns.

-- name: forget_runs
-- The intents of a run are deleted with it.
-- grant: SELECT, UPDATE (created_at), DELETE ON plugin_runs
WITH old AS MATERIALIZED (
    SELECT id FROM plugin_runs WHERE created_at < now() - make_interval(days => :'days')
    ORDER BY created_at
    LIMIT :'limit'
    FOR UPDATE SKIP LOCKED
)
DELETE FROM plugin_runs AS run USING old WHERE run.id = old.id RETURNING run.id;

-- name: forget_shadow_runs
-- grant: SELECT, DELETE ON plugin_shadow_runs
WITH old AS MATERIALIZED (
    SELECT id FROM plugin_shadow_runs WHERE created_at < now() - make_interval(days => :'days')
    ORDER BY created_at
    LIMIT :'limit'
)
DELETE FROM plugin_shadow_runs AS run USING old WHERE run.id = old.id RETURNING run.id;

-- name: forget_usage
-- grant: SELECT, UPDATE (hour), DELETE ON plugin_usage
WITH old AS MATERIALIZED (
    SELECT plugin_id, hour, outcome FROM plugin_usage WHERE hour < now() - make_interval(days => :'days')
    ORDER BY hour
    LIMIT :'limit'
    FOR UPDATE SKIP LOCKED
)
DELETE FROM plugin_usage AS total USING old
WHERE total.plugin_id = old.plugin_id AND total.hour = old.hour AND total.outcome = old.outcome
RETURNING total.hour;

-- name: forget_budgets
-- grant: SELECT, UPDATE (minute), DELETE ON guild_budgets
WITH old AS MATERIALIZED (
    SELECT guild_id FROM guild_budgets
    WHERE greatest(minute, over_at) < now() - make_interval(days => :'days')
    LIMIT :'limit'
    FOR UPDATE SKIP LOCKED
)
DELETE FROM guild_budgets AS budget USING old WHERE budget.guild_id = old.guild_id RETURNING budget.guild_id;

-- name: forget_audit
-- grant: SELECT, DELETE ON plugin_audit
WITH old AS MATERIALIZED (
    SELECT id FROM plugin_audit WHERE at < now() - make_interval(days => :'days')
    ORDER BY at
    LIMIT :'limit'
)
DELETE FROM plugin_audit AS entry USING old WHERE entry.id = old.id RETURNING entry.id;

-- name: forget_requests
-- A row is the use of one minute, and that minute is over.
-- grant: SELECT, DELETE ON admin_requests
WITH old AS MATERIALIZED (
    SELECT actor_id FROM admin_requests WHERE minute < now() - make_interval(hours => :'hours') LIMIT :'limit'
)
DELETE FROM admin_requests AS used USING old
WHERE used.actor_id = old.actor_id AND used.minute < now() - make_interval(hours => :'hours')
RETURNING used.actor_id;
