-- The write that a batch ends with.

-- name: settle
-- Writes the results of deliveries. Returns the keys of intents that are gone, since their plugin was deleted.
-- grant: SELECT, UPDATE (state, detail, updated_at) ON plugin_intents
WITH given AS (
    SELECT * FROM unnest(:'keys'::uuid[], :'states'::text[], :'details'::text[]) AS given(key, state, detail)
), locked AS MATERIALIZED (
    -- Rows are locked in key order, to avoid deadlocks.
    SELECT intent.key FROM plugin_intents AS intent
    WHERE intent.key = ANY(:'keys'::uuid[])
    ORDER BY intent.key
    FOR UPDATE
), settled AS (
    UPDATE plugin_intents AS intent
    SET state = given.state, detail = given.detail, updated_at = now()
    FROM given
    JOIN locked USING (key)
    WHERE intent.key = given.key AND intent.state = 'pending'
)
SELECT key::text FROM given
WHERE key NOT IN (SELECT key FROM locked);
