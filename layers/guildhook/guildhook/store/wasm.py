"""The statement that several clients have in common."""

from typing import Final, LiteralString

WASM: Final[LiteralString] = """
SELECT DISTINCT ON (wasm_sha256) wasm_sha256, wasm_blob
FROM (
    SELECT wasm_sha256, wasm_blob FROM plugins WHERE wasm_sha256 = ANY(%(digests)s)
    UNION ALL
    SELECT wasm_sha256, wasm_blob FROM plugin_versions WHERE wasm_sha256 = ANY(%(digests)s) AND wasm_blob IS NOT NULL
) AS stored
WHERE wasm_sha256 <> sha256('')
"""
