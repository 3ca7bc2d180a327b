-- The write of a batch that has deletions of messages.

-- name: note_deletions
-- The sweep deletes the runs on the messages. From now on no batch runs plugins on them. Nothing was run or will be sent in
-- a guild without plugins, so that its messages are not noted. Rows are inserted in key order, to avoid deadlocks.
-- grant: SELECT (guild_id) ON plugins
-- grant: SELECT (guild_id, message_id), INSERT ON deleted_messages
INSERT INTO deleted_messages (guild_id, message_id)
SELECT DISTINCT guild_id, message_id
FROM unnest(:'guild_ids'::uuid[], :'message_ids'::uuid[]) AS given(guild_id, message_id)
WHERE EXISTS (SELECT FROM plugins WHERE plugins.guild_id = given.guild_id)
ORDER BY guild_id, message_id
ON CONFLICT (guild_id, message_id) DO NOTHING;
