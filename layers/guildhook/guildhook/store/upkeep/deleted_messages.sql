-- Messages that were deleted in the chat.

-- name: forget_messages
-- Deletes the runs on the messages with their intents, sent or not, and the replies that are such messages themselves.
-- Nothing of another guild is deleted. Runs that another transaction holds are left to the next time. Rows are locked in
-- key order, to avoid deadlocks. Returns the numbers of messages and of runs.
-- grant: SELECT, UPDATE (forget_at) ON deleted_messages
-- grant: SELECT, UPDATE (created_at), DELETE ON plugin_runs
-- grant: SELECT, UPDATE (created_at), DELETE ON plugin_shadow_runs
-- grant: SELECT, UPDATE (updated_at), DELETE ON plugin_intents
WITH due AS MATERIALIZED (
    SELECT guild_id, message_id FROM deleted_messages WHERE forget_at <= now()
    ORDER BY forget_at
    LIMIT :'limit'
    FOR UPDATE SKIP LOCKED
), run AS MATERIALIZED (
    SELECT run.id
    FROM due JOIN plugin_runs AS run ON run.message_id = due.message_id AND run.guild_id = due.guild_id
    ORDER BY run.id
    FOR UPDATE OF run SKIP LOCKED
), shadow_run AS MATERIALIZED (
    SELECT run.id
    FROM due JOIN plugin_shadow_runs AS run ON run.message_id = due.message_id AND run.guild_id = due.guild_id
    ORDER BY run.id
    FOR UPDATE OF run SKIP LOCKED
), reply AS MATERIALIZED (
    SELECT intent.key
    FROM due
    JOIN plugin_intents AS intent ON intent.state = 'delivered' AND intent.detail = due.message_id::text
    JOIN plugin_runs AS run ON run.id = intent.run_id AND run.guild_id = due.guild_id
), intent AS MATERIALIZED (
    SELECT key FROM plugin_intents
    WHERE run_id IN (SELECT id FROM run) OR key IN (SELECT key FROM reply)
    ORDER BY key
    FOR UPDATE
), deleted_intent AS (
    DELETE FROM plugin_intents AS deleted USING intent WHERE deleted.key = intent.key
), deleted_run AS (
    DELETE FROM plugin_runs AS deleted USING run WHERE deleted.id = run.id RETURNING deleted.id
), deleted_shadow_run AS (
    DELETE FROM plugin_shadow_runs AS deleted USING shadow_run WHERE deleted.id = shadow_run.id RETURNING deleted.id
), forgotten AS (
    UPDATE deleted_messages AS message SET forget_at = NULL
    FROM due
    WHERE message.guild_id = due.guild_id AND message.message_id = due.message_id
        AND NOT EXISTS (
            SELECT FROM plugin_runs AS held
            WHERE held.message_id = due.message_id AND held.guild_id = due.guild_id
                AND held.id NOT IN (SELECT id FROM run))
        AND NOT EXISTS (
            SELECT FROM plugin_shadow_runs AS held
            WHERE held.message_id = due.message_id AND held.guild_id = due.guild_id
                AND held.id NOT IN (SELECT id FROM shadow_run))
    RETURNING message.message_id
)
SELECT
    (SELECT count(*) FROM forgotten) AS messages,
    (SELECT count(*) FROM deleted_run) + (SELECT count(*) FROM deleted_shadow_run) AS runs;

-- name: forget_deletions
-- No event of these messages can come any more.
-- grant: SELECT, UPDATE (forget_at), DELETE ON deleted_messages
WITH old AS MATERIALIZED (
    SELECT guild_id, message_id FROM deleted_messages WHERE deleted_at < now() - make_interval(days => :'days')
    ORDER BY deleted_at
    LIMIT :'limit'
    FOR UPDATE SKIP LOCKED
)
DELETE FROM deleted_messages AS deleted USING old
WHERE deleted.guild_id = old.guild_id AND deleted.message_id = old.message_id
RETURNING deleted.message_id;
