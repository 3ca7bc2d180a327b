-- The rows of a person. A count or an erasure returns a number for each place; a page returns a position and a document
-- for each row. An erasure that is repeated finds nothing.

-- name: count_person
-- The wasm of versions and the settings in settings versions are a guild's. The person is only their author.
-- grant: SELECT ON plugin_runs
-- grant: SELECT ON plugin_intents
-- grant: SELECT ON plugin_shadow_runs
-- grant: SELECT ON plugin_audit
-- grant: SELECT ON plugin_settings_versions
-- grant: SELECT (created_by) ON plugin_versions
-- grant: SELECT ON admin_requests
SELECT 'plugin_runs', count(*) FROM plugin_runs WHERE author_id = :'person'
UNION ALL
SELECT 'plugin_runs.message', count(message) FROM plugin_runs WHERE author_id = :'person'
UNION ALL
SELECT 'plugin_intents', count(*)
FROM plugin_runs AS run JOIN plugin_intents AS intent ON intent.run_id = run.id
WHERE run.author_id = :'person'
UNION ALL
SELECT 'plugin_shadow_runs', count(*) FROM plugin_shadow_runs WHERE author_id = :'person'
UNION ALL
SELECT 'plugin_shadow_runs.message', count(message) FROM plugin_shadow_runs WHERE author_id = :'person'
UNION ALL
SELECT 'plugin_audit', count(*) FROM plugin_audit WHERE actor_id = :'person'
UNION ALL
SELECT 'plugin_settings_versions.actor_id', count(*) FROM plugin_settings_versions WHERE actor_id = :'person'
UNION ALL
SELECT 'plugin_versions.created_by', count(*) FROM plugin_versions WHERE created_by = :'person'
UNION ALL
SELECT 'admin_requests', count(*) FROM admin_requests WHERE actor_id = :'person';

-- name: runs_of_person
-- grant: SELECT ON plugin_runs
-- grant: SELECT ON plugin_intents
SELECT run.id::text, to_jsonb(run) || jsonb_build_object('intents', (
    SELECT coalesce(jsonb_agg(to_jsonb(intent) ORDER BY intent.position), '[]')
    FROM plugin_intents AS intent WHERE intent.run_id = run.id))
FROM plugin_runs AS run
WHERE run.author_id = :'person' AND (:'after_id'::text IS NULL OR run.id > :'after_id'::uuid)
ORDER BY run.id
LIMIT :'limit';

-- name: shadow_runs_of_person
-- grant: SELECT ON plugin_shadow_runs
SELECT run.id::text, to_jsonb(run)
FROM plugin_shadow_runs AS run
WHERE run.author_id = :'person' AND (:'after_id'::text IS NULL OR run.id > :'after_id'::uuid)
ORDER BY run.id
LIMIT :'limit';

-- name: audit_of_person
-- grant: SELECT ON plugin_audit
SELECT entry.id::text, to_jsonb(entry)
FROM plugin_audit AS entry
WHERE entry.actor_id = :'person' AND (:'after_number'::text IS NULL OR entry.id > :'after_number'::bigint)
ORDER BY entry.id
LIMIT :'limit';

-- name: settings_versions_of_person
-- grant: SELECT ON plugin_settings_versions
SELECT concat_ws('/', plugin_id, number), jsonb_build_object(
    'plugin_id', plugin_id, 'number', number, 'actor_id', actor_id, 'actor_name', actor_name, 'saved_at', saved_at)
FROM plugin_settings_versions
WHERE actor_id = :'person' AND (:'after_save'::text IS NULL
    OR (plugin_id, number) > (split_part(:'after_save', '/', 1)::uuid, split_part(:'after_save', '/', 2)::integer))
ORDER BY plugin_id, number
LIMIT :'limit';

-- name: versions_of_person
-- grant: SELECT (id, plugin_id, number, state, wasm_sha256, wasm_bytes, created_by, created_at) ON plugin_versions
SELECT id::text, jsonb_build_object(
    'id', id, 'plugin_id', plugin_id, 'number', number, 'state', state, 'wasm_sha256', encode(wasm_sha256, 'hex'),
    'wasm_bytes', wasm_bytes, 'created_by', created_by, 'created_at', created_at)
FROM plugin_versions
WHERE created_by = :'person' AND (:'after_id'::text IS NULL OR id > :'after_id'::uuid)
ORDER BY id
LIMIT :'limit';

-- name: requests_of_person
-- grant: SELECT ON admin_requests
SELECT actor_id, to_jsonb(used) FROM admin_requests AS used
WHERE actor_id = :'person' AND (:'after_actor'::text IS NULL OR actor_id > :'after_actor')
LIMIT :'limit';

-- name: erase_runs_of_person
-- The intents of a run are deleted with it.
-- grant: SELECT, DELETE ON plugin_runs
-- grant: SELECT ON plugin_intents
WITH theirs AS MATERIALIZED (
    SELECT id FROM plugin_runs WHERE author_id = :'person' LIMIT :'limit'
), intent AS MATERIALIZED (
    SELECT count(*) AS number FROM plugin_intents WHERE run_id IN (SELECT id FROM theirs)
), deleted AS (
    DELETE FROM plugin_runs AS run USING theirs WHERE run.id = theirs.id RETURNING run.id
)
SELECT 'plugin_runs', count(*) FROM deleted
UNION ALL
SELECT 'plugin_intents', number FROM intent;

-- name: erase_shadow_runs_of_person
-- grant: SELECT, DELETE ON plugin_shadow_runs
WITH theirs AS MATERIALIZED (
    SELECT id FROM plugin_shadow_runs WHERE author_id = :'person' LIMIT :'limit'
), deleted AS (
    DELETE FROM plugin_shadow_runs AS run USING theirs WHERE run.id = theirs.id RETURNING run.id
)
SELECT 'plugin_shadow_runs', count(*) FROM deleted;

-- name: erase_requests_of_person
-- grant: SELECT, DELETE ON admin_requests
WITH deleted AS (
    DELETE FROM admin_requests WHERE actor_id = :'person' RETURNING actor_id
)
SELECT 'admin_requests', count(*) FROM deleted;

-- name: rename_in_audit
-- A person is one pseudonym in each guild, so that its log stays coherent, and cannot be followed into another guild.
-- Nobody can compute a pseudonym again, because the key is forgotten after the erasure.
-- grant: SELECT, UPDATE (actor_id, actor_name) ON plugin_audit
WITH renamed AS (
    UPDATE plugin_audit AS entry
    SET actor_id = 'erased:' || left(encode(sha256(convert_to(concat(:'key'::text, guild_id), 'UTF8')), 'hex'), 16),
        actor_name = 'erased user ' || left(encode(sha256(convert_to(concat(:'key'::text, guild_id), 'UTF8')), 'hex'), 6)
    WHERE actor_id = :'person'
    RETURNING id
)
SELECT 'plugin_audit', count(*) FROM renamed;

-- name: rename_in_settings_versions
-- grant: SELECT (id, guild_id) ON plugins
-- grant: SELECT, UPDATE (actor_id, actor_name) ON plugin_settings_versions
WITH renamed AS (
    UPDATE plugin_settings_versions AS saved
    SET actor_id = 'erased:' || left(encode(sha256(convert_to(concat(:'key'::text, guild_id), 'UTF8')), 'hex'), 16),
        actor_name = 'erased user ' || left(encode(sha256(convert_to(concat(:'key'::text, guild_id), 'UTF8')), 'hex'), 6)
    FROM plugins AS plugin
    WHERE plugin.id = saved.plugin_id AND saved.actor_id = :'person'
    RETURNING saved.number
)
SELECT 'plugin_settings_versions.actor_id', count(*) FROM renamed;

-- name: rename_in_versions
-- grant: SELECT (id, guild_id) ON plugins
-- grant: SELECT (plugin_id, created_by), UPDATE (created_by) ON plugin_versions
WITH renamed AS (
    UPDATE plugin_versions AS version
    SET created_by = 'erased:' || left(encode(sha256(convert_to(concat(:'key'::text, guild_id), 'UTF8')), 'hex'), 16)
    FROM plugins AS plugin
    WHERE plugin.id = version.plugin_id AND version.created_by = :'person'
    RETURNING version.created_by
)
SELECT 'plugin_versions.created_by', count(*) FROM renamed;
