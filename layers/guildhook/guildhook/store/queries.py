"""Every SQL statement, by name. A batch costs the same number of them however many messages it has."""

from typing import Final, LiteralString

SNAPSHOT: Final[LiteralString] = """
SELECT
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', plugin.id,
        'guild_id', plugin.guild_id,
        'settings', plugin.config,
        'permissions', plugin.permissions,
        'wasm_sha256', encode(plugin.wasm_sha256, 'hex'),
        'artifact', CASE WHEN artifact.object_sha256 IS NOT NULL THEN jsonb_build_object(
            'sha256', encode(artifact.artifact_sha256, 'hex'),
            'size', artifact.artifact_bytes,
            'object_sha256', encode(artifact.object_sha256, 'hex'),
            'object_size', artifact.object_bytes,
            'memories', artifact.memories) END,
        'refusal', refusal.reason
        ) ORDER BY plugin.created_at, plugin.id), '[]')
     FROM plugins AS plugin
     LEFT JOIN plugin_artifacts AS artifact
        ON artifact.wasm_sha256 = plugin.wasm_sha256 AND artifact.engine = %(engine)s
     LEFT JOIN plugin_refusals AS refusal
        ON refusal.wasm_sha256 = plugin.wasm_sha256 AND refusal.engine = %(engine)s
     WHERE plugin.guild_id = ANY(%(guild_ids)s) AND plugin.enabled) AS plugins,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'message_id', run.message_id,
        'plugin_id', run.plugin_id,
        'pending', (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'key', intent.key,
                'position', intent.position,
                'channel_id', intent.channel_id,
                'content', intent.content
                ) ORDER BY intent.position), '[]')
            FROM plugin_intents AS intent
            WHERE intent.run_id = run.id AND intent.state = 'pending')
        ) ORDER BY run.created_at, run.plugin_id), '[]')
     FROM plugin_runs AS run
     WHERE run.message_id = ANY(%(message_ids)s)) AS runs
"""

WASM: Final[LiteralString] = """
SELECT DISTINCT ON (wasm_sha256) wasm_sha256, wasm_blob FROM plugins WHERE wasm_sha256 = ANY(%(digests)s)
"""

# Plugins deleted while their run was under way drop out at the join, and FOR KEY SHARE keeps the others from
# being deleted before this commits. A run that another delivery recorded first is left alone.
# Rows are taken in the order of their keys, so that two batches cannot deadlock on them.
RECORD: Final[LiteralString] = """
WITH given AS MATERIALIZED (
    SELECT given.*
    FROM jsonb_to_recordset(%(runs)s) AS given(
        message_id UUID, plugin_id UUID, guild_id UUID, event_channel_id UUID, outcome TEXT, detail TEXT,
        fuel_used BIGINT, duration_us BIGINT, host_calls INTEGER, logs JSONB, seed BIGINT,
        message_time TIMESTAMPTZ, memorable BOOLEAN, intents JSONB)
    JOIN plugins ON plugins.id = given.plugin_id
    ORDER BY given.plugin_id, given.message_id
    FOR KEY SHARE OF plugins
), run AS (
    INSERT INTO plugin_runs (message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
                             host_calls, logs, seed, message_time)
    SELECT message_id, plugin_id, guild_id, outcome, detail, fuel_used, duration_us,
           host_calls, logs, seed, message_time
    FROM given WHERE memorable
    ON CONFLICT (message_id, plugin_id) DO NOTHING
    RETURNING id, message_id, plugin_id
), intent AS (
    INSERT INTO plugin_intents (key, run_id, position, kind, channel_id, content, state, detail)
    SELECT asked.key, run.id, asked.position, asked.kind, asked.channel_id, asked.content,
           CASE WHEN reachable THEN 'pending' ELSE 'refused' END,
           CASE WHEN reachable THEN '' ELSE 'CHANNEL_NOT_IN_GUILD' END
    FROM run
    JOIN given USING (message_id, plugin_id)
    CROSS JOIN LATERAL jsonb_to_recordset(given.intents) AS asked(
        key UUID, position INTEGER, kind TEXT, channel_id UUID, content TEXT)
    CROSS JOIN LATERAL (
        SELECT asked.channel_id = given.event_channel_id OR EXISTS (
            SELECT FROM channels WHERE channels.id = asked.channel_id AND channels.guild_id = given.guild_id)
    ) AS reach(reachable)
    RETURNING key, state
), usage AS (
    INSERT INTO plugin_usage AS total (plugin_id, hour, outcome, runs, fuel_used, duration_us)
    SELECT plugin_id, date_trunc('hour', now()), outcome, count(*), sum(fuel_used), sum(duration_us)
    FROM given
    GROUP BY plugin_id, outcome
    ORDER BY plugin_id, outcome
    ON CONFLICT (plugin_id, hour, outcome) DO UPDATE SET
        runs = total.runs + excluded.runs,
        fuel_used = total.fuel_used + excluded.fuel_used,
        duration_us = total.duration_us + excluded.duration_us
)
SELECT
    (SELECT coalesce(array_agg(key::text), '{}') FROM intent WHERE state = 'pending') AS pending,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(message_id, plugin_id)), '[]') FROM given
     WHERE memorable AND NOT EXISTS (
        SELECT FROM run WHERE run.message_id = given.message_id AND run.plugin_id = given.plugin_id)) AS lost
"""

SETTLE: Final[LiteralString] = """
UPDATE plugin_intents AS intent
SET state = given.state, detail = given.detail, updated_at = now()
FROM unnest(%(keys)s::uuid[], %(states)s::text[], %(details)s::text[]) AS given(key, state, detail)
WHERE intent.key = given.key AND intent.state = 'pending'
"""

# A wasm is either compiled or refused; what was found last counts.
ADD_ARTIFACT: Final[LiteralString] = """
WITH accepted AS (
    DELETE FROM plugin_refusals WHERE wasm_sha256 = %(wasm_sha256)s AND engine = %(engine)s
)
INSERT INTO plugin_artifacts (wasm_sha256, engine, artifact_sha256, artifact_bytes, object_sha256, object_bytes,
                              memories)
VALUES (%(wasm_sha256)s, %(engine)s, %(sha256)s, %(size)s, %(object_sha256)s, %(object_size)s, %(memories)s)
ON CONFLICT (wasm_sha256, engine) DO UPDATE SET
    artifact_sha256 = excluded.artifact_sha256,
    artifact_bytes = excluded.artifact_bytes,
    object_sha256 = excluded.object_sha256,
    object_bytes = excluded.object_bytes,
    memories = excluded.memories,
    created_at = now()
"""

ADD_REFUSAL: Final[LiteralString] = """
INSERT INTO plugin_refusals (wasm_sha256, engine, reason)
VALUES (%(wasm_sha256)s, %(engine)s, %(reason)s)
ON CONFLICT (wasm_sha256, engine) DO UPDATE SET reason = excluded.reason, created_at = now()
"""

ARTIFACT: Final[LiteralString] = """
SELECT artifact_sha256, artifact_bytes, object_sha256, object_bytes, memories
FROM plugin_artifacts
WHERE wasm_sha256 = %(wasm_sha256)s AND engine = %(engine)s AND object_sha256 IS NOT NULL
"""

UNCOMPILED: Final[LiteralString] = """
SELECT DISTINCT plugin.wasm_sha256
FROM plugins AS plugin
WHERE plugin.enabled
    AND NOT EXISTS (
        SELECT FROM plugin_artifacts AS artifact
        WHERE artifact.wasm_sha256 = plugin.wasm_sha256 AND artifact.engine = %(engine)s
            AND artifact.object_sha256 IS NOT NULL)
    AND NOT EXISTS (
        SELECT FROM plugin_refusals AS refusal
        WHERE refusal.wasm_sha256 = plugin.wasm_sha256 AND refusal.engine = %(engine)s)
ORDER BY plugin.wasm_sha256
"""

# Of other engines, or of wasm that no guild has any more, and older than anybody would roll back to.
STALE_ARTIFACTS: Final[LiteralString] = """
SELECT wasm_sha256, engine
FROM plugin_artifacts AS artifact
WHERE created_at < now() - make_interval(days => %(days)s)
    AND (engine <> %(engine)s OR NOT EXISTS (
        SELECT FROM plugins AS plugin WHERE plugin.wasm_sha256 = artifact.wasm_sha256))
ORDER BY created_at
LIMIT %(limit)s
"""

FORGET_ARTIFACTS: Final[LiteralString] = """
DELETE FROM plugin_artifacts
WHERE (wasm_sha256, engine) IN (SELECT * FROM unnest(%(digests)s::bytea[], %(engines)s::text[]))
"""

FORGET_STALE_REFUSALS: Final[LiteralString] = """
DELETE FROM plugin_refusals AS refusal
WHERE created_at < now() - make_interval(days => %(days)s)
    AND (engine <> %(engine)s OR NOT EXISTS (
        SELECT FROM plugins AS plugin WHERE plugin.wasm_sha256 = refusal.wasm_sha256))
"""

ADD_PLUGIN: Final[LiteralString] = """
INSERT INTO plugins (guild_id, name, description, wasm_blob, config, permissions)
VALUES (%(guild_id)s, %(name)s, %(description)s, %(wasm)s, %(settings)s, %(permissions)s)
RETURNING id
"""
