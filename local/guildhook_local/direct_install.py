"""Installs a plugin by writing its wasm into `plugins`, as operators without the admin API do.

The plugin runs at once; sweep makes a version of it.
"""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb


def install_plugin(
    connection: psycopg.Connection,
    guild_id: UUID,
    name: str,
    wasm: bytes,
    settings: Mapping[str, Any],
    permissions: Collection[str],
) -> UUID:
    """Add an enabled plugin to a guild that exists. Raises psycopg.Error."""
    ((plugin_id,),) = connection.execute(
        """INSERT INTO plugins (guild_id, name, wasm_blob, config, permissions)
           VALUES (%s, %s, %s, %s, %s)
           RETURNING id""",
        [guild_id, name, wasm, Jsonb(settings), Jsonb(sorted(permissions))],
    ).fetchall()
    return UUID(str(plugin_id))
