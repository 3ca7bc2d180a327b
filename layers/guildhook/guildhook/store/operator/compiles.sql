-- Compiles that failed through no fault of the plugin.

-- name: failed_compiles
-- In the order of the wasm's digest.
-- grant: SELECT ON plugins
-- grant: SELECT ON plugin_compile_failures
SELECT jsonb_build_object(
    'wasm_sha256', encode(failure.wasm_sha256, 'hex'), 'tries', tries, 'reason', reason, 'tried_at', tried_at,
    'next_try_at', next_try_at,
    'live_in', (SELECT count(*) FROM plugins AS plugin WHERE plugin.wasm_sha256 = failure.wasm_sha256))
FROM plugin_compile_failures AS failure
WHERE (:'after_sha256'::bytea IS NULL OR failure.wasm_sha256 > :'after_sha256')
ORDER BY failure.wasm_sha256
LIMIT :'limit';

-- name: retry_compiles
-- The next request for the wasm begins with the first try.
-- grant: SELECT ON plugin_versions
-- grant: SELECT, UPDATE (next_try_at, tries) ON plugin_compile_failures
-- grant: INSERT ON plugin_audit
WITH chosen AS MATERIALIZED (
    SELECT wasm_sha256 FROM plugin_compile_failures
    WHERE (:'wasm_sha256'::bytea IS NULL OR wasm_sha256 = :'wasm_sha256')
        AND (:'after_sha256'::bytea IS NULL OR wasm_sha256 > :'after_sha256')
    ORDER BY wasm_sha256
    LIMIT :'limit'
    FOR UPDATE
), again AS (
    UPDATE plugin_compile_failures AS failure SET tries = 0, next_try_at = now()
    FROM chosen WHERE failure.wasm_sha256 = chosen.wasm_sha256
), audited AS (
    INSERT INTO plugin_audit (actor_id, actor_name, actor_kind, action, detail)
    SELECT :'actor_id', :'actor_name', 'operator', :'action',
           :'detail'::jsonb || jsonb_build_object('wasm_sha256', jsonb_agg(encode(wasm_sha256, 'hex')))
    FROM chosen HAVING count(*) > 0
)
SELECT wasm_sha256, ARRAY(
    SELECT id FROM plugin_versions AS version
    WHERE version.wasm_sha256 = chosen.wasm_sha256 AND version.state NOT IN ('ready', 'refused')
    ORDER BY id LIMIT :'limit')
FROM chosen ORDER BY wasm_sha256;
