"""Every SQL statement of what becomes of versions, by name. A state only moves forward; ready and refused are final."""

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

# Nobody has uploaded them, or S3 has never said so.
FORGET_ABANDONED: Final[LiteralString] = """
WITH abandoned AS MATERIALIZED (
    SELECT id FROM plugin_versions
    WHERE state IN ('expected', 'uploaded') AND wasm_blob IS NULL
        AND updated_at < now() - make_interval(hours => %(hours)s)
    ORDER BY updated_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM plugin_versions AS version USING abandoned WHERE version.id = abandoned.id RETURNING version.id
"""

REFUSE_STUCK: Final[LiteralString] = """
WITH stuck AS MATERIALIZED (
    SELECT id FROM plugin_versions
    WHERE state IN ('checking', 'compiling') AND updated_at < now() - make_interval(mins => %(minutes)s)
    ORDER BY updated_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE plugin_versions AS version
SET state = 'refused', updated_at = now(), reasons = %(reasons)s, wasm_blob = NULL
FROM stuck
WHERE version.id = stuck.id
RETURNING version.id, version.plugin_id
"""

# Wasm that was written into plugins directly. Who makes a version of the plugin at the same moment gets the number:
# it is adopted the next time then.
ADOPT: Final[LiteralString] = """
WITH found AS MATERIALIZED (
    SELECT plugin.id, plugin.wasm_sha256, plugin.wasm_blob
    FROM plugins AS plugin
    WHERE plugin.wasm_sha256 <> sha256('') AND NOT EXISTS (
        SELECT FROM plugin_versions AS version
        WHERE version.id = plugin.live_version_id AND version.wasm_sha256 = plugin.wasm_sha256)
    ORDER BY plugin.id
    LIMIT %(limit)s
    FOR UPDATE OF plugin SKIP LOCKED
), adopted AS (
    INSERT INTO plugin_versions (plugin_id, number, state, wasm_sha256, wasm_bytes, wasm_blob, created_by)
    SELECT found.id,
           1 + coalesce((SELECT max(number) FROM plugin_versions WHERE plugin_id = found.id), 0),
           'uploaded', found.wasm_sha256, octet_length(found.wasm_blob), found.wasm_blob, ''
    FROM found
    ON CONFLICT DO NOTHING
    RETURNING id, plugin_id
), live AS (
    UPDATE plugins AS plugin
    SET live_version_id = adopted.id, previous_version_id = plugin.live_version_id, revision = plugin.revision + 1
    FROM adopted
    WHERE plugin.id = adopted.plugin_id
)
SELECT id FROM adopted
"""

# Adopted, and nobody has begun with them for so long: the request is lost.
TAKE_UNCHECKED: Final[LiteralString] = """
WITH unchecked AS MATERIALIZED (
    SELECT id FROM plugin_versions
    WHERE state = 'uploaded' AND wasm_blob IS NOT NULL AND updated_at < now() - make_interval(mins => %(minutes)s)
    ORDER BY updated_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE plugin_versions AS version SET updated_at = now() FROM unchecked WHERE version.id = unchecked.id
RETURNING version.id
"""

FORGET_AUDIT: Final[LiteralString] = """
WITH old AS MATERIALIZED (
    SELECT id FROM plugin_audit WHERE at < now() - make_interval(days => %(days)s)
    ORDER BY at
    LIMIT %(limit)s
)
DELETE FROM plugin_audit AS entry USING old WHERE entry.id = old.id RETURNING entry.id
"""

FORGET_SHADOW_RUNS: Final[LiteralString] = """
WITH old AS MATERIALIZED (
    SELECT id FROM plugin_shadow_runs WHERE created_at < now() - make_interval(days => %(days)s)
    ORDER BY created_at
    LIMIT %(limit)s
)
DELETE FROM plugin_shadow_runs AS run USING old WHERE run.id = old.id RETURNING run.id
"""

# It is how much somebody used in a minute, and the minute is over.
FORGET_REQUESTS: Final[LiteralString] = """
WITH old AS MATERIALIZED (
    SELECT actor_id FROM admin_requests WHERE minute < now() - make_interval(hours => %(hours)s) LIMIT %(limit)s
)
DELETE FROM admin_requests AS used USING old
WHERE used.actor_id = old.actor_id AND used.minute < now() - make_interval(hours => %(hours)s)
RETURNING used.actor_id
"""
