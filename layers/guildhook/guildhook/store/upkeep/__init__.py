"""The statements of sweep: requeue, expire, adopt, delete."""

from guildhook.store.upkeep.upkeep_store import ExpiredIntent, UpkeepStore

__all__ = ["ExpiredIntent", "UpkeepStore"]
