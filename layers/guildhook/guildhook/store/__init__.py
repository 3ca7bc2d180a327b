"""Everything that guildhook reads from Postgres and writes to it, by the client that connects.

`events` is on_message, `compiling` is compile_plugin, `upkeep` is sweep, `admin` is admin_api, and
`erasure` is erase.
"""

from guildhook.store.database import Database

__all__ = ["Database"]
