-- Intents that are still pending although the queue has forgotten their event.

-- name: take_due
-- Claims intents by their time. Claimed intents are not claimed again for the same period.
-- grant: SELECT ON plugin_runs
-- grant: SELECT, UPDATE (updated_at) ON plugin_intents
WITH due AS MATERIALIZED (
    SELECT intent.key, run.guild_id, run.message_id
    FROM plugin_intents AS intent
    JOIN plugin_runs AS run ON run.id = intent.run_id
    WHERE intent.state = 'pending' AND intent.updated_at < now() - make_interval(secs => :'older_than_seconds')
    ORDER BY intent.updated_at
    LIMIT :'limit'
    FOR UPDATE OF intent SKIP LOCKED
), taken AS (
    UPDATE plugin_intents AS intent SET updated_at = now() FROM due WHERE intent.key = due.key
)
SELECT DISTINCT guild_id, message_id FROM due;

-- name: give_up
-- grant: SELECT ON plugin_runs
-- grant: SELECT, UPDATE (state, detail, updated_at) ON plugin_intents
WITH late AS MATERIALIZED (
    SELECT intent.key, run.message_id, run.guild_id, run.plugin_id, run.id AS run_id
    FROM plugin_intents AS intent
    JOIN plugin_runs AS run ON run.id = intent.run_id
    WHERE intent.state = 'pending' AND run.created_at < now() - make_interval(hours => :'hours')
    LIMIT :'limit'
    FOR UPDATE OF intent SKIP LOCKED
)
UPDATE plugin_intents AS intent
SET state = 'refused', detail = 'EXPIRED ' || intent.detail, updated_at = now()
FROM late
WHERE intent.key = late.key
RETURNING intent.key::text, late.message_id, late.guild_id, late.plugin_id, late.run_id;
