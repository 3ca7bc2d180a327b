-- Artifacts and refusals. An artifact without a signature was written by an old version of guildhook and counts as not
-- compiled, and so does a refusal whose kind is NULL. A signature begins with the public key of its signer, in 32 bytes.

-- name: artifact
-- grant: SELECT ON plugin_artifacts
SELECT artifact_sha256, artifact_bytes, object_sha256, object_bytes, memories, signature
FROM plugin_artifacts
WHERE wasm_sha256 = :'wasm_sha256' AND engine = :'engine' AND signature IS NOT NULL;

-- name: add_artifact
-- A wasm is either compiled or refused: the latest result counts.
-- grant: SELECT, INSERT, UPDATE ON plugin_artifacts
-- grant: SELECT, DELETE ON plugin_refusals
-- grant: SELECT, DELETE ON plugin_compile_failures
WITH accepted AS (
    DELETE FROM plugin_refusals WHERE wasm_sha256 = :'wasm_sha256' AND engine = :'engine'
), succeeded AS (
    DELETE FROM plugin_compile_failures WHERE wasm_sha256 = :'wasm_sha256'
)
INSERT INTO plugin_artifacts (wasm_sha256, engine, artifact_sha256, artifact_bytes, object_sha256, object_bytes,
                              memories, signature)
VALUES (:'wasm_sha256', :'engine', :'sha256', :'size', :'object_sha256', :'object_size', :'memories', :'signature')
ON CONFLICT (wasm_sha256, engine) DO UPDATE SET
    artifact_sha256 = excluded.artifact_sha256,
    artifact_bytes = excluded.artifact_bytes,
    object_sha256 = excluded.object_sha256,
    object_bytes = excluded.object_bytes,
    memories = excluded.memories,
    signature = excluded.signature,
    created_at = now();

-- name: add_refusal
-- grant: SELECT, INSERT, UPDATE ON plugin_refusals
-- grant: SELECT, DELETE ON plugin_compile_failures
WITH decided AS (
    DELETE FROM plugin_compile_failures WHERE wasm_sha256 = :'wasm_sha256'
)
INSERT INTO plugin_refusals (wasm_sha256, engine, reason, kind)
VALUES (:'wasm_sha256', :'engine', :'reason', :'kind')
ON CONFLICT (wasm_sha256, engine) DO UPDATE
SET reason = excluded.reason, kind = excluded.kind, created_at = now();

-- name: refusal
-- grant: SELECT ON plugin_refusals
SELECT reason, kind FROM plugin_refusals
WHERE wasm_sha256 = :'wasm_sha256' AND engine = :'engine' AND kind IS NOT NULL;

-- name: reserve
-- Returns a row if nobody compiles the wasm. A reservation that its process has not released ends by time.
-- grant: SELECT, INSERT, UPDATE ON plugin_compile_reservations
INSERT INTO plugin_compile_reservations AS reservation (wasm_sha256, engine, until)
VALUES (:'wasm_sha256', :'engine', now() + make_interval(secs => :'seconds'))
ON CONFLICT (wasm_sha256, engine) DO UPDATE SET until = excluded.until
WHERE reservation.until <= now()
RETURNING TRUE;

-- name: release
-- grant: SELECT, DELETE ON plugin_compile_reservations
DELETE FROM plugin_compile_reservations WHERE wasm_sha256 = :'wasm_sha256' AND engine = :'engine';

-- name: add_failure
-- The pauses are those after the first try, the second and so on. There is none after the last try.
-- grant: SELECT, INSERT, UPDATE ON plugin_compile_failures
INSERT INTO plugin_compile_failures AS failure (wasm_sha256, engine, tries, reason, next_try_at)
VALUES (:'wasm_sha256', :'engine', 1, :'reason', now() + make_interval(secs => (:'pauses'::float[])[1]))
ON CONFLICT (wasm_sha256) DO UPDATE SET
    engine = excluded.engine,
    tries = CASE failure.engine WHEN excluded.engine THEN failure.tries + 1 ELSE 1 END,
    reason = excluded.reason,
    tried_at = now(),
    next_try_at = now() + make_interval(secs => (:'pauses'::float[])[
        CASE failure.engine WHEN excluded.engine THEN failure.tries + 1 ELSE 1 END])
RETURNING extract(epoch FROM next_try_at - now())::float;

-- name: awaits_try
-- grant: SELECT ON plugin_compile_failures
SELECT EXISTS (
    SELECT FROM plugin_compile_failures
    WHERE wasm_sha256 = :'wasm_sha256' AND engine = :'engine' AND next_try_at > now());

-- name: try_failed_again
-- grant: SELECT, UPDATE ON plugin_compile_failures
UPDATE plugin_compile_failures SET tries = 0, next_try_at = now() WHERE engine = :'engine';

-- name: forget_refusals
-- grant: SELECT, DELETE ON plugin_refusals
DELETE FROM plugin_refusals WHERE engine = :'engine' AND kind = :'kind';

-- name: uncompiled
-- An artifact that another key signed counts as well, so that a rotation of the key reaches all of them.
-- The wasm of live versions and of shadows, and first that whose compile has failed. Other versions are compiled when
-- an admin wants to run them.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT ON plugin_artifacts
-- grant: SELECT ON plugin_refusals
-- grant: SELECT ON plugin_compile_failures
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
        WHERE artifact.wasm_sha256 = needed.wasm_sha256 AND artifact.engine = :'engine'
            AND substring(artifact.signature FOR 32) = :'public_key')
    AND NOT EXISTS (
        SELECT FROM plugin_refusals AS refusal
        WHERE refusal.wasm_sha256 = needed.wasm_sha256 AND refusal.engine = :'engine'
            AND refusal.kind IS NOT NULL)
ORDER BY
    NOT EXISTS (SELECT FROM plugin_compile_failures AS failure WHERE failure.wasm_sha256 = needed.wasm_sha256),
    needed.wasm_sha256;

-- name: stale_artifacts
-- Artifacts for other engines, and for wasm that neither a plugin nor a version has. They are kept for some time, since
-- an operator may roll back to the version of guildhook that made them.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT ON plugin_artifacts
SELECT wasm_sha256, engine
FROM plugin_artifacts AS artifact
WHERE created_at < now() - make_interval(days => :'days')
    AND (engine <> :'engine' OR NOT (
        EXISTS (SELECT FROM plugins AS plugin WHERE plugin.wasm_sha256 = artifact.wasm_sha256)
        OR EXISTS (SELECT FROM plugin_versions AS version WHERE version.wasm_sha256 = artifact.wasm_sha256)))
ORDER BY created_at
LIMIT :'limit';

-- name: forget_artifacts
-- grant: SELECT, DELETE ON plugin_artifacts
DELETE FROM plugin_artifacts
WHERE (wasm_sha256, engine) IN (SELECT * FROM unnest(:'digests'::bytea[], :'engines'::text[]));

-- name: forget_stale_failures
-- With reservations of processes that were killed.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT, DELETE ON plugin_compile_failures
-- grant: SELECT, DELETE ON plugin_compile_reservations
WITH ended AS (
    DELETE FROM plugin_compile_reservations WHERE until < now()
)
DELETE FROM plugin_compile_failures AS failure
WHERE tried_at < now() - make_interval(days => :'days')
    AND NOT EXISTS (SELECT FROM plugins AS plugin WHERE plugin.wasm_sha256 = failure.wasm_sha256)
    AND NOT EXISTS (SELECT FROM plugin_versions AS version WHERE version.wasm_sha256 = failure.wasm_sha256);

-- name: forget_stale_refusals
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_versions
-- grant: SELECT, DELETE ON plugin_refusals
DELETE FROM plugin_refusals AS refusal
WHERE created_at < now() - make_interval(days => :'days')
    AND (engine <> :'engine' OR NOT (
        EXISTS (SELECT FROM plugins AS plugin WHERE plugin.wasm_sha256 = refusal.wasm_sha256)
        OR EXISTS (SELECT FROM plugin_versions AS version WHERE version.wasm_sha256 = refusal.wasm_sha256)));
