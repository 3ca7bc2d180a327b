"""The SQL statements of sweep."""

from typing import Final, LiteralString

# Pending for so long that the queue has forgotten them. Whoever takes them leaves them alone for as long again.
TAKE_DUE: Final[LiteralString] = """
WITH due AS MATERIALIZED (
    SELECT intent.key, run.guild_id, run.message_id
    FROM plugin_intents AS intent
    JOIN plugin_runs AS run ON run.id = intent.run_id
    WHERE intent.state = 'pending' AND intent.updated_at < now() - make_interval(secs => %(older_than_seconds)s)
    ORDER BY intent.updated_at
    LIMIT %(limit)s
    FOR UPDATE OF intent SKIP LOCKED
), taken AS (
    UPDATE plugin_intents AS intent SET updated_at = now() FROM due WHERE intent.key = due.key
)
SELECT DISTINCT guild_id, message_id FROM due
"""

GIVE_UP: Final[LiteralString] = """
WITH late AS MATERIALIZED (
    SELECT intent.key, run.message_id, run.guild_id, run.plugin_id, run.id AS run_id
    FROM plugin_intents AS intent
    JOIN plugin_runs AS run ON run.id = intent.run_id
    WHERE intent.state = 'pending' AND run.created_at < now() - make_interval(hours => %(hours)s)
    LIMIT %(limit)s
    FOR UPDATE OF intent SKIP LOCKED
)
UPDATE plugin_intents AS intent
SET state = 'refused', detail = 'EXPIRED ' || intent.detail, updated_at = now()
FROM late
WHERE intent.key = late.key
RETURNING intent.key::text, late.message_id, late.guild_id, late.plugin_id, late.run_id
"""

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

# With their intents. The rows that are due first are the first in the index.
FORGET_RUNS: Final[LiteralString] = """
WITH old AS MATERIALIZED (
    SELECT id FROM plugin_runs WHERE created_at < now() - make_interval(days => %(days)s)
    ORDER BY created_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM plugin_runs AS run USING old WHERE run.id = old.id RETURNING run.id
"""

FORGET_SHADOW_RUNS: Final[LiteralString] = """
WITH old AS MATERIALIZED (
    SELECT id FROM plugin_shadow_runs WHERE created_at < now() - make_interval(days => %(days)s)
    ORDER BY created_at
    LIMIT %(limit)s
)
DELETE FROM plugin_shadow_runs AS run USING old WHERE run.id = old.id RETURNING run.id
"""

FORGET_USAGE: Final[LiteralString] = """
WITH old AS MATERIALIZED (
    SELECT plugin_id, hour, outcome FROM plugin_usage WHERE hour < now() - make_interval(days => %(days)s)
    ORDER BY hour
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM plugin_usage AS total USING old
WHERE total.plugin_id = old.plugin_id AND total.hour = old.hour AND total.outcome = old.outcome
RETURNING total.hour
"""

FORGET_BUDGETS: Final[LiteralString] = """
WITH old AS MATERIALIZED (
    SELECT guild_id FROM guild_budgets
    WHERE greatest(minute, over_at) < now() - make_interval(days => %(days)s)
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM guild_budgets AS budget USING old WHERE budget.guild_id = old.guild_id RETURNING budget.guild_id
"""

FORGET_AUDIT: Final[LiteralString] = """
WITH old AS MATERIALIZED (
    SELECT id FROM plugin_audit WHERE at < now() - make_interval(days => %(days)s)
    ORDER BY at
    LIMIT %(limit)s
)
DELETE FROM plugin_audit AS entry USING old WHERE entry.id = old.id RETURNING entry.id
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
