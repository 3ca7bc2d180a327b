"""Postgres: everything guildhook reads and writes there."""

from guildhook.store.database import Database
from guildhook.store.records import (
    BatchRecord,
    Delayed,
    Judgement,
    Quarantined,
    Recorded,
    RecordedRun,
    RunRecord,
    Snapshot,
)
from guildhook.store.store import Store

__all__ = [
    "BatchRecord",
    "Database",
    "Delayed",
    "Judgement",
    "Quarantined",
    "Recorded",
    "RecordedRun",
    "RunRecord",
    "Snapshot",
    "Store",
]
