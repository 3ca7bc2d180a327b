"""The SQL statements of compile_plugin. A version's state only moves forward; ready and refused are final."""

from typing import Final, LiteralString

# Whoever finds it in the middle goes on from there: the one before was ended, or does the same at the same time.
BEGIN: Final[LiteralString] = """
UPDATE plugin_versions
SET state = CASE state WHEN 'compiling' THEN state ELSE 'checking' END, updated_at = now()
WHERE id = %(id)s AND state NOT IN ('ready', 'refused') AND (wasm_blob IS NOT NULL OR NOT %(stored)s)
RETURNING id, state, wasm_sha256, wasm_bytes, wasm_blob
"""

ACCEPT: Final[LiteralString] = """
UPDATE plugin_versions
SET state = 'compiling', updated_at = now(), wasm_blob = %(wasm)s, imports = %(imports)s,
    unavailable = %(unavailable)s, needs = %(needs)s, settings_schema = %(settings_schema)s
WHERE id = %(id)s AND state IN ('expected', 'uploaded', 'checking')
RETURNING id
"""

READY: Final[LiteralString] = """
UPDATE plugin_versions SET state = 'ready', updated_at = now()
WHERE id = %(id)s AND state = 'compiling' AND wasm_blob IS NOT NULL
RETURNING id
"""

REFUSE: Final[LiteralString] = """
UPDATE plugin_versions SET state = 'refused', updated_at = now(), reasons = %(reasons)s, wasm_blob = NULL
WHERE id = %(id)s AND state NOT IN ('ready', 'refused')
RETURNING id
"""

READY_SHA256: Final[LiteralString] = "SELECT wasm_sha256 FROM plugin_versions WHERE id = %(id)s AND state = 'ready'"

READY_WASM: Final[LiteralString] = "SELECT wasm_blob FROM plugin_versions WHERE id = %(id)s AND state = 'ready'"

ARTIFACT: Final[LiteralString] = """
SELECT artifact_sha256, artifact_bytes, object_sha256, object_bytes, memories
FROM plugin_artifacts
WHERE wasm_sha256 = %(wasm_sha256)s AND engine = %(engine)s AND object_sha256 IS NOT NULL
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

# What runs; other versions are compiled when somebody wants to run them.
UNCOMPILED: Final[LiteralString] = """
WITH needed AS (
    SELECT plugin.wasm_sha256 FROM plugins AS plugin
    WHERE plugin.enabled AND plugin.wasm_sha256 <> sha256('')
    UNION
    SELECT version.wasm_sha256 FROM plugins AS plugin
    JOIN plugin_versions AS version
        ON version.id = plugin.shadow_version_id AND version.plugin_id = plugin.id AND version.state = 'ready'
    WHERE plugin.enabled
)
SELECT needed.wasm_sha256
FROM needed
WHERE NOT EXISTS (
        SELECT FROM plugin_artifacts AS artifact
        WHERE artifact.wasm_sha256 = needed.wasm_sha256 AND artifact.engine = %(engine)s
            AND artifact.object_sha256 IS NOT NULL)
    AND NOT EXISTS (
        SELECT FROM plugin_refusals AS refusal
        WHERE refusal.wasm_sha256 = needed.wasm_sha256 AND refusal.engine = %(engine)s)
ORDER BY needed.wasm_sha256
"""

# Of other engines, or of wasm that no guild has any more, in no version either, and older than anybody would roll back
# to.
STALE_ARTIFACTS: Final[LiteralString] = """
SELECT wasm_sha256, engine
FROM plugin_artifacts AS artifact
WHERE created_at < now() - make_interval(days => %(days)s)
    AND (engine <> %(engine)s OR NOT (
        EXISTS (SELECT FROM plugins AS plugin WHERE plugin.wasm_sha256 = artifact.wasm_sha256)
        OR EXISTS (SELECT FROM plugin_versions AS version WHERE version.wasm_sha256 = artifact.wasm_sha256)))
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
    AND (engine <> %(engine)s OR NOT (
        EXISTS (SELECT FROM plugins AS plugin WHERE plugin.wasm_sha256 = refusal.wasm_sha256)
        OR EXISTS (SELECT FROM plugin_versions AS version WHERE version.wasm_sha256 = refusal.wasm_sha256)))
"""
