"""Every SQL statement of the admin API, by name.

A change and its entry in the audit log are one statement. It finds its row by the guild as well, so that what is of
another guild is not there, and by the revision that was read: of two admins who change the same at once, one wins.
"""

from typing import Final, LiteralString

# JSON and not JSONB, which would lose the order of the settings in a schema: forms show it.
_VERSION: Final[LiteralString] = """json_build_object(
    'id', version.id,
    'number', version.number,
    'state', version.state,
    'reasons', version.reasons,
    'wasm_sha256', encode(version.wasm_sha256, 'hex'),
    'wasm_bytes', version.wasm_bytes,
    'imports', version.imports,
    'unavailable', version.unavailable,
    'needs', version.needs,
    'settings_schema', version.settings_schema,
    'live', version.id IS NOT DISTINCT FROM plugin.live_version_id,
    'shadow', version.id IS NOT DISTINCT FROM plugin.shadow_version_id,
    'created_by', version.created_by,
    'created_at', version.created_at,
    'updated_at', version.updated_at,
    'granted', plugin.permissions)"""

_PLUGIN: Final[LiteralString] = (
    """json_build_object(
    'id', plugin.id,
    'guild_id', plugin.guild_id,
    'name', plugin.name,
    'description', coalesce(plugin.description, ''),
    'enabled', plugin.enabled,
    'settings', CASE WHEN jsonb_typeof(plugin.config) = 'object' THEN plugin.config ELSE '{}' END,
    'permissions', plugin.permissions,
    'bot_messages', plugin.bot_messages,
    'revision', plugin.revision,
    'created_at', plugin.created_at,
    'updated_at', plugin.updated_at,
    'to_adopt', plugin.live_version_id IS NULL AND plugin.wasm_sha256 <> sha256(''),
    'live', (SELECT """
    + _VERSION
    + """ FROM plugin_versions AS version WHERE version.id = plugin.live_version_id),
    'previous', (SELECT number FROM plugin_versions AS version WHERE version.id = plugin.previous_version_id),
    'shadow', (SELECT number FROM plugin_versions AS version WHERE version.id = plugin.shadow_version_id),
    'latest', (SELECT """
    + _VERSION
    + """ FROM plugin_versions AS version WHERE version.plugin_id = plugin.id
        ORDER BY version.number DESC LIMIT 1),
    'secrets', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'name', secret.name, 'updated_at', secret.updated_at,
            'sealed_bytes', octet_length(secret.sealed)) ORDER BY secret.name), '[]')
        FROM plugin_secrets AS secret WHERE secret.plugin_id = plugin.id),
    'quarantine', CASE WHEN health.quarantined_at IS NOT NULL THEN jsonb_build_object(
        'since', health.quarantined_at,
        'reason', health.reason,
        'last_error', health.last_error,
        'retry_at', health.retry_at,
        'pauses', health.pauses) END,
    'last_failed_at', health.last_failed_at,
    'last_error', nullif(health.last_error, ''))
FROM plugins AS plugin
LEFT JOIN plugin_health AS health ON health.plugin_id = plugin.id AND health.wasm_sha256 = plugin.wasm_sha256
"""
)

_OF_THE_GUILD: Final[LiteralString] = "plugin.id = %(plugin_id)s AND plugin.guild_id = %(guild_id)s"

PLUGIN: Final[LiteralString] = "SELECT " + _PLUGIN + "WHERE " + _OF_THE_GUILD

PLUGINS: Final[LiteralString] = (
    "SELECT "
    + _PLUGIN
    + """WHERE plugin.guild_id = %(guild_id)s
    AND (%(after_at)s::timestamptz IS NULL OR (plugin.created_at, plugin.id) > (%(after_at)s, %(after_id)s::uuid))
ORDER BY plugin.created_at, plugin.id
LIMIT %(limit)s
"""
)

HAS_PLUGIN: Final[LiteralString] = "SELECT TRUE FROM plugins AS plugin WHERE " + _OF_THE_GUILD

_AUDIT: Final[LiteralString] = """
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT %(guild_id)s, changed.id, %(actor_id)s, %(actor_name)s, %(action)s, %(detail)s FROM changed
"""

_DONE: Final[LiteralString] = "SELECT id FROM changed"

# The chat server says that the guild exists. In a database of guildhook's own nobody has told it so before; in the chat
# server's the row is there, and one without its other columns would be refused. Two at once can pass the limit by one.
CREATE_PLUGIN: Final[LiteralString] = (
    """
WITH guild AS (
    INSERT INTO guilds (id) SELECT %(guild_id)s
    WHERE NOT EXISTS (SELECT FROM guilds WHERE id = %(guild_id)s)
    ON CONFLICT DO NOTHING
), changed AS (
    INSERT INTO plugins (id, guild_id, name, description, wasm_blob)
    SELECT %(plugin_id)s, %(guild_id)s, %(name)s, %(description)s, ''
    WHERE (SELECT count(*) FROM plugins WHERE guild_id = %(guild_id)s) < %(limit)s
        AND NOT EXISTS (SELECT FROM plugin_audit WHERE guild_id = %(guild_id)s AND plugin_id = %(plugin_id)s)
    ON CONFLICT (id) DO NOTHING
    RETURNING id
), audited AS ("""
    + _AUDIT
    + ")"
    + _DONE
)

# The first entry about it.
CREATION: Final[LiteralString] = """
SELECT detail FROM plugin_audit
WHERE guild_id = %(guild_id)s AND plugin_id = %(plugin_id)s AND action = %(action)s
ORDER BY id LIMIT 1
"""

_BUMP: Final[LiteralString] = "revision = plugin.revision + 1, updated_at = now()"
_UNCHANGED: Final[LiteralString] = _OF_THE_GUILD + " AND plugin.revision = %(revision)s"

CHANGE_PLUGIN: Final[LiteralString] = (
    """
WITH changed AS (
    UPDATE plugins AS plugin
    SET name = coalesce(%(name)s, plugin.name),
        description = coalesce(%(description)s, plugin.description),
        enabled = coalesce(%(enabled)s, plugin.enabled),
        config = coalesce(%(settings)s, plugin.config),
        permissions = coalesce(%(permissions)s, plugin.permissions),
        bot_messages = coalesce(%(bot_messages)s, plugin.bot_messages),
        """
    + _BUMP
    + " WHERE "
    + _UNCHANGED
    + " RETURNING plugin.id), audited AS ("
    + _AUDIT
    + ")"
    + _DONE
)

DELETE_PLUGIN: Final[LiteralString] = (
    "WITH changed AS (DELETE FROM plugins AS plugin WHERE "
    + _UNCHANGED
    + " RETURNING plugin.id), audited AS ("
    + _AUDIT
    + ")"
    + _DONE
)

# A version that is being deleted is waited for, and not there then. Both lock the version first, and then the plugin.
_READY: Final[LiteralString] = """version AS MATERIALIZED (
    SELECT version.id, version.wasm_blob
    FROM plugin_versions AS version
    WHERE version.plugin_id = %(plugin_id)s AND version.id = %(version_id)s
        AND version.state = 'ready' AND version.wasm_blob IS NOT NULL
    FOR SHARE
)"""

GO_LIVE: Final[LiteralString] = (
    "WITH "
    + _READY
    + """, changed AS (
    UPDATE plugins AS plugin
    SET wasm_blob = version.wasm_blob,
        previous_version_id = CASE WHEN plugin.live_version_id = version.id
            THEN plugin.previous_version_id ELSE plugin.live_version_id END,
        live_version_id = version.id,
        shadow_version_id = nullif(plugin.shadow_version_id, version.id),
        permissions = %(permissions)s,
        config = coalesce(%(settings)s, plugin.config),
        """
    + _BUMP
    + " FROM version WHERE "
    + _UNCHANGED
    + " RETURNING plugin.id), audited AS ("
    + _AUDIT
    + ")"
    + _DONE
)

SET_SHADOW: Final[LiteralString] = (
    "WITH "
    + _READY
    + """, changed AS (
    UPDATE plugins AS plugin
    SET shadow_version_id = %(version_id)s, """
    + _BUMP
    + " WHERE "
    + _UNCHANGED
    + """
        AND (%(version_id)s::uuid IS NULL
            OR EXISTS (SELECT FROM version) AND plugin.live_version_id IS DISTINCT FROM %(version_id)s)
    RETURNING plugin.id), audited AS ("""
    + _AUDIT
    + ")"
    + _DONE
)

END_QUARANTINE: Final[LiteralString] = (
    "WITH changed AS (UPDATE plugins AS plugin SET "
    + _BUMP
    + " WHERE "
    + _UNCHANGED
    + """ RETURNING plugin.id), forgotten AS (
    DELETE FROM plugin_health AS health USING changed WHERE health.plugin_id = changed.id
), audited AS ("""
    + _AUDIT
    + ")"
    + _DONE
)

SET_SEALED_VALUE: Final[LiteralString] = (
    "WITH changed AS (UPDATE plugins AS plugin SET "
    + _BUMP
    + " WHERE "
    + _UNCHANGED
    + """ RETURNING plugin.id), saved AS (
    INSERT INTO plugin_secrets (plugin_id, name, sealed)
    SELECT id, %(name)s, %(sealed)s FROM changed
    ON CONFLICT (plugin_id, name) DO UPDATE SET sealed = excluded.sealed, updated_at = now()
), audited AS ("""
    + _AUDIT
    + ")"
    + _DONE
)

DELETE_SEALED_VALUE: Final[LiteralString] = (
    "WITH changed AS (UPDATE plugins AS plugin SET "
    + _BUMP
    + " WHERE "
    + _UNCHANGED
    + """ RETURNING plugin.id), forgotten AS (
    DELETE FROM plugin_secrets AS secret USING changed WHERE secret.plugin_id = changed.id AND secret.name = %(name)s
), audited AS ("""
    + _AUDIT
    + ")"
    + _DONE
)

SEALED: Final[LiteralString] = (
    """
SELECT secret.name, secret.sealed
FROM plugin_secrets AS secret
JOIN plugins AS plugin ON plugin.id = secret.plugin_id
WHERE """
    + _OF_THE_GUILD
)

_VERSIONS: Final[LiteralString] = (
    "SELECT "
    + _VERSION
    + """
FROM plugin_versions AS version
JOIN plugins AS plugin ON plugin.id = version.plugin_id
WHERE """
    + _OF_THE_GUILD
)

VERSION: Final[LiteralString] = _VERSIONS + " AND version.number = %(number)s"

VERSION_BY_ID: Final[LiteralString] = _VERSIONS + " AND version.id = %(version_id)s"

VERSIONS: Final[LiteralString] = (
    _VERSIONS
    + """
    AND (%(before)s::integer IS NULL OR version.number < %(before)s)
ORDER BY version.number DESC
LIMIT %(limit)s
"""
)

# What is refused is not kept.
GUILD_WASM_BYTES: Final[LiteralString] = """
SELECT coalesce(sum(version.wasm_bytes), 0)::bigint
FROM plugins AS plugin JOIN plugin_versions AS version ON version.plugin_id = plugin.id
WHERE plugin.guild_id = %(guild_id)s AND version.state <> 'refused'
"""

# Who makes another at the same moment gets the number: nothing is done then, and it is tried again.
CREATE_VERSION: Final[LiteralString] = (
    """
WITH made AS (
    INSERT INTO plugin_versions (id, plugin_id, number, state, wasm_sha256, wasm_bytes, created_by)
    SELECT %(version_id)s, plugin.id,
           1 + coalesce((SELECT max(number) FROM plugin_versions WHERE plugin_id = plugin.id), 0),
           'expected', decode(%(wasm_sha256)s, 'hex'), %(wasm_bytes)s, %(actor_id)s
    FROM plugins AS plugin
    WHERE plugin.id = %(plugin_id)s AND plugin.guild_id = %(guild_id)s
        AND (SELECT count(*) FROM plugin_versions WHERE plugin_id = plugin.id) < %(most_versions)s
        AND ("""
    + GUILD_WASM_BYTES
    + """) + %(wasm_bytes)s <= %(guild_wasm_bytes)s
    ON CONFLICT DO NOTHING
    RETURNING plugin_id AS id, number
), changed AS (
    SELECT id, number FROM made
), audited AS (
    INSERT INTO plugin_audit (guild_id, plugin_id, actor_id, actor_name, action, detail)
    SELECT %(guild_id)s, id, %(actor_id)s, %(actor_name)s, %(action)s,
           %(detail)s::jsonb || jsonb_build_object('version', number)
    FROM changed
)
SELECT number FROM changed
"""
)

CONFIRM_UPLOAD: Final[LiteralString] = (
    """
UPDATE plugin_versions AS version
SET state = 'uploaded', updated_at = now()
FROM plugins AS plugin
WHERE plugin.id = version.plugin_id AND version.number = %(number)s AND version.state = 'expected' AND """
    + _OF_THE_GUILD
    + " RETURNING version.id"
)

# Its number may be given to the next one. Who has seen the one that is gone does not mean that by it.
DELETE_VERSION: Final[LiteralString] = (
    """
WITH version AS MATERIALIZED (
    SELECT version.id, version.plugin_id FROM plugin_versions AS version
    WHERE version.plugin_id = %(plugin_id)s AND version.number = %(number)s
    FOR UPDATE
), unused AS MATERIALIZED (
    SELECT version.id
    FROM version
    JOIN plugins AS plugin ON plugin.id = version.plugin_id
    WHERE """
    + _OF_THE_GUILD
    + """
        AND version.id IS DISTINCT FROM plugin.live_version_id
        AND version.id IS DISTINCT FROM plugin.previous_version_id
        AND version.id IS DISTINCT FROM plugin.shadow_version_id
    FOR UPDATE OF plugin
), changed AS (
    DELETE FROM plugin_versions AS version USING unused WHERE version.id = unused.id
    RETURNING version.plugin_id AS id
), bumped AS (
    UPDATE plugins AS plugin SET """
    + _BUMP
    + """ FROM changed WHERE plugin.id = changed.id
), audited AS ("""
    + _AUDIT
    + ")"
    + _DONE
)

GUILD: Final[LiteralString] = """
SELECT jsonb_build_object(
    'keep_content', coalesce(settings.keep_content, FALSE),
    'revision', coalesce(settings.revision, 1),
    'plugins', (SELECT count(*) FROM plugins WHERE plugins.guild_id = asked.guild_id),
    'budget', (
        SELECT jsonb_build_object('over_at', over_at, 'over_reason', over_reason) || CASE
            WHEN minute = date_trunc('minute', now()) THEN jsonb_build_object(
                'fuel', fuel_used, 'sends', sends, 'log_bytes', log_bytes, 'delayed', delayed)
            ELSE '{}' END
        FROM guild_budgets WHERE guild_budgets.guild_id = asked.guild_id))
FROM (SELECT %(guild_id)s::uuid AS guild_id) AS asked
LEFT JOIN guild_settings AS settings ON settings.guild_id = asked.guild_id
"""

CHANGE_GUILD: Final[LiteralString] = """
WITH changed AS (
    INSERT INTO guild_settings AS settings (guild_id, keep_content, revision)
    SELECT %(guild_id)s, %(keep_content)s, 2
    WHERE %(revision)s::bigint = 1 OR EXISTS (SELECT FROM guild_settings WHERE guild_id = %(guild_id)s)
    ON CONFLICT (guild_id) DO UPDATE
    SET keep_content = excluded.keep_content, revision = settings.revision + 1, updated_at = now()
    WHERE settings.revision = %(revision)s
    RETURNING guild_id AS id
), audited AS (
    INSERT INTO plugin_audit (guild_id, actor_id, actor_name, action, detail)
    SELECT id, %(actor_id)s, %(actor_name)s, %(action)s, %(detail)s FROM changed
)
SELECT id FROM changed
"""

AUDIT: Final[LiteralString] = """
SELECT jsonb_build_object('id', id, 'at', at, 'plugin_id', plugin_id, 'actor_id', actor_id, 'actor_name', actor_name,
                          'action', action, 'detail', detail)
FROM plugin_audit
WHERE guild_id = %(guild_id)s
    AND (%(plugin_id)s::uuid IS NULL OR plugin_id = %(plugin_id)s)
    AND (%(before)s::bigint IS NULL OR id < %(before)s)
ORDER BY id DESC
LIMIT %(limit)s
"""

_DENIED: Final[LiteralString] = (
    "(SELECT count(*) FROM jsonb_array_elements(coalesce(run.calls, '[]')) AS made(call) WHERE call ->> 1 IS NOT NULL)"
)

_SUMMARY: Final[LiteralString] = (
    """
    'id', run.id,
    'message_id', run.message_id,
    'version', (SELECT number FROM plugin_versions AS version
                WHERE version.id = run.version_id AND version.plugin_id = run.plugin_id),
    'outcome', run.outcome,
    'detail', run.detail,
    'fuel_used', run.fuel_used,
    'fuel_limit', run.fuel_limit,
    'duration_us', run.duration_us,
    'host_calls', run.host_calls,
    'denied_calls', """
    + _DENIED
    + """,
    'log_lines', jsonb_array_length(run.logs),
    'created_at', run.created_at"""
)

_LIVE_SUMMARY: Final[LiteralString] = (
    _SUMMARY
    + """,
    'shadow', FALSE,
    'intents', (SELECT count(*) FROM plugin_intents AS intent WHERE intent.run_id = run.id)"""
)

_SHADOW_SUMMARY: Final[LiteralString] = (
    _SUMMARY
    + """,
    'shadow', TRUE,
    'intents', jsonb_array_length(run.intents)"""
)

_MATCHING: Final[LiteralString] = """
WHERE run.plugin_id = %(plugin_id)s AND run.guild_id = %(guild_id)s
    AND (%(outcome)s::text IS NULL OR run.outcome = %(outcome)s)
    AND (%(version)s::integer IS NULL OR run.version_id = (
        SELECT id FROM plugin_versions WHERE plugin_id = %(plugin_id)s AND number = %(version)s))
    AND (%(message_id)s::uuid IS NULL OR run.message_id = %(message_id)s)
    AND (%(since)s::timestamptz IS NULL OR run.created_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR run.created_at < %(until)s)
    AND (%(before_at)s::timestamptz IS NULL OR (run.created_at, run.id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY run.created_at DESC, run.id DESC
LIMIT %(limit)s
"""

RUNS: Final[LiteralString] = "SELECT jsonb_build_object(" + _LIVE_SUMMARY + ") FROM plugin_runs AS run" + _MATCHING

SHADOW_RUNS: Final[LiteralString] = (
    "SELECT jsonb_build_object(" + _SHADOW_SUMMARY + ") FROM plugin_shadow_runs AS run" + _MATCHING
)

_DETAILS: Final[LiteralString] = """,
    'calls', coalesce(run.calls, '[]'),
    'logs', run.logs,
    'message', run.message,
    'seed', run.seed,
    'message_time', run.message_time"""

_OF_THE_PLUGIN: Final[LiteralString] = """
    WHERE run.plugin_id = %(plugin_id)s AND run.guild_id = %(guild_id)s
        AND (%(run_id)s::uuid IS NULL OR run.id = %(run_id)s)
        AND (%(message_id)s::uuid IS NULL OR run.message_id = %(message_id)s)
"""

# Either of the two is given.
RUN: Final[LiteralString] = (
    "SELECT jsonb_build_object("
    + _LIVE_SUMMARY
    + _DETAILS
    + """,
    'sends', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'kind', intent.kind, 'channel_id', intent.channel_id, 'content', intent.content,
            'state', intent.state, 'detail', intent.detail) ORDER BY intent.position), '[]')
        FROM plugin_intents AS intent WHERE intent.run_id = run.id))
    FROM plugin_runs AS run"""
    + _OF_THE_PLUGIN
)

SHADOW_RUN: Final[LiteralString] = (
    "SELECT jsonb_build_object("
    + _SHADOW_SUMMARY
    + _DETAILS
    + ", 'sends', run.intents) FROM plugin_shadow_runs AS run"
    + _OF_THE_PLUGIN
)

USAGE: Final[LiteralString] = (
    """
SELECT jsonb_build_object('hour', total.hour, 'outcome', total.outcome, 'runs', total.runs,
                          'fuel_used', total.fuel_used, 'duration_us', total.duration_us)
FROM plugin_usage AS total
JOIN plugins AS plugin ON plugin.id = total.plugin_id
WHERE """
    + _OF_THE_GUILD
    + """
    AND total.hour > date_trunc('hour', now()) - make_interval(hours => %(hours)s)
ORDER BY total.hour, total.outcome
"""
)

TRIAL: Final[LiteralString] = (
    """
SELECT jsonb_build_object(
    'artifacts', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'engine', artifact.engine,
            'sha256', encode(artifact.artifact_sha256, 'hex'),
            'size', artifact.artifact_bytes,
            'object_sha256', encode(artifact.object_sha256, 'hex'),
            'object_size', artifact.object_bytes,
            'memories', artifact.memories) ORDER BY artifact.engine), '[]')
        FROM plugin_artifacts AS artifact
        WHERE artifact.wasm_sha256 = version.wasm_sha256 AND artifact.object_sha256 IS NOT NULL),
    'refusals', (SELECT coalesce(jsonb_agg(refusal.reason ORDER BY refusal.engine), '[]')
        FROM plugin_refusals AS refusal WHERE refusal.wasm_sha256 = version.wasm_sha256),
    'state', coalesce(state.entries, '{}'))
FROM plugin_versions AS version
JOIN plugins AS plugin ON plugin.id = version.plugin_id
LEFT JOIN plugin_state AS state ON state.plugin_id = plugin.id
WHERE version.id = %(version_id)s AND """
    + _OF_THE_GUILD
)

MESSAGE_TRACES: Final[LiteralString] = (
    """
WITH seen AS (
    SELECT min(run.message_time) AS at FROM plugin_runs AS run
    WHERE run.message_id = %(message_id)s AND run.guild_id = %(guild_id)s
), changes AS (
    SELECT entry.* FROM plugin_audit AS entry, seen
    WHERE entry.guild_id = %(guild_id)s AND entry.plugin_id = %(plugin_id)s AND (seen.at IS NULL OR entry.at > seen.at)
    ORDER BY entry.id DESC
    LIMIT 50
), counted AS (
    SELECT total.outcome, total.runs FROM plugin_usage AS total, seen
    WHERE total.plugin_id = %(plugin_id)s AND total.hour = date_trunc('hour', coalesce(seen.at, now()))
)
SELECT jsonb_build_object(
    'seen_at', (SELECT at FROM seen),
    'refusal', (SELECT refusal.reason FROM plugin_refusals AS refusal
                WHERE refusal.wasm_sha256 = plugin.wasm_sha256 ORDER BY refusal.created_at DESC LIMIT 1),
    'changes', (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', id, 'at', at, 'plugin_id', plugin_id, 'actor_id', actor_id, 'actor_name', actor_name,
            'action', action, 'detail', detail) ORDER BY id DESC), '[]') FROM changes),
    'silent_runs', coalesce((SELECT runs FROM counted WHERE outcome = 'ok'), 0),
    'passed_over', coalesce((SELECT runs FROM counted WHERE outcome = 'quarantined'), 0))
FROM plugins AS plugin
WHERE """
    + _OF_THE_GUILD
)

# now() is when a transaction began: one that waited for the row may come with the minute before.
CHARGE: Final[LiteralString] = """
INSERT INTO admin_requests AS used (actor_id, minute, cost)
VALUES (%(actor_id)s, date_trunc('minute', now()), %(cost)s)
ON CONFLICT (actor_id) DO UPDATE SET
    minute = greatest(used.minute, excluded.minute),
    cost = CASE WHEN used.minute >= excluded.minute THEN used.cost ELSE 0 END + excluded.cost
RETURNING cost, extract(epoch FROM minute + interval '1 minute' - now())::float
"""

# yoyo's own table, which is there from the first migration on.
APPLIED_MIGRATIONS: Final[LiteralString] = "SELECT migration_id FROM _yoyo_migration"
