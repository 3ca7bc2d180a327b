"""Everything that guildhook reads from Postgres and writes to it, by the client that connects.

`events` is on_message, `compiling` is compile_plugin, `upkeep` is sweep, and `admin` is admin_api.
"""

from guildhook.store.database import Database

__all__ = ["Database"]
