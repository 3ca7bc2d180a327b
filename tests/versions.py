"""Versions of plugins as the admin API announces them, and their uploads as its page sends them."""

from hashlib import sha256
from uuid import UUID

import psycopg
import urllib3

from guildhook.versions.uploads import Uploads
from guildhook_local.stack import Stack


def add_plugin(system: Stack) -> UUID:
    """Insert a plugin without versions, in a guild of its own."""
    statement = "INSERT INTO plugins (guild_id, name, wasm_blob) VALUES (%s, 'plugin', '') RETURNING id"
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        ((plugin_id,),) = connection.execute(statement, [system.add_guild().id]).fetchall()
    return UUID(str(plugin_id))


def announce(system: Stack, plugin_id: UUID, digest: bytes, size: int, state: str = "expected") -> UUID:
    statement = """
        INSERT INTO plugin_versions (plugin_id, number, state, wasm_sha256, wasm_bytes, created_by)
        SELECT %(plugin_id)s, 1 + count(*), %(state)s, %(digest)s, %(size)s, 'ada'
        FROM plugin_versions WHERE plugin_id = %(plugin_id)s
        RETURNING id
    """
    parameters = {"plugin_id": plugin_id, "state": state, "digest": digest, "size": size}
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        ((version_id,),) = connection.execute(statement, parameters).fetchall()
    return UUID(str(version_id))


def announce_wasm(system: Stack, wasm: bytes, plugin_id: UUID | None = None) -> UUID:
    return announce(system, plugin_id or add_plugin(system), sha256(wasm).digest(), len(wasm))


def upload(system: Stack, version_id: UUID, file: bytes) -> None:
    """Upload with the form from the answer to the announcement, whose conditions the bucket checks."""
    form = Uploads(system.aws.access, system.bucket).form(version_id, sha256(file).digest(), len(file))
    with urllib3.PoolManager() as http:
        answer = http.request("POST", form.url, fields={**form.fields, "file": ("plugin.wasm", file)})
    assert answer.status == 204


def add_version(database, plugin_id, wasm, state="ready", **columns):
    """Insert a version and return its id. `columns` of the plugin, such as live or shadow, are set to it."""
    number = database.execute("SELECT count(*) + 1 FROM plugin_versions").fetchone()[0]
    stored = None if state in ("expected", "refused") else wasm
    ((version_id,),) = database.execute(
        "INSERT INTO plugin_versions (plugin_id, number, state, wasm_sha256, wasm_bytes, wasm_blob, created_by) "
        "VALUES (%s, %s, %s, %s, %s, %s, 'ada') RETURNING id",
        [plugin_id, number, state, sha256(wasm).digest(), len(wasm), stored],
    ).fetchall()
    for column in columns:
        database.execute(f"UPDATE plugins SET {column}_version_id = %s WHERE id = %s", [version_id, plugin_id])
    return version_id
