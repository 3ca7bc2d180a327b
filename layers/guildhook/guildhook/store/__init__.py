"""Postgres: everything guildhook reads and writes there."""

from guildhook.store.database import Database
from guildhook.store.records import (
    BatchRecord,
    Delayed,
    GivenUp,
    Judgement,
    Quarantined,
    Recorded,
    RecordedRun,
    RunKey,
    RunRecord,
    Snapshot,
)
from guildhook.store.store import Store
from guildhook.store.versions import Findings, UncheckedVersion, VersionStore

__all__ = [
    "BatchRecord",
    "Database",
    "Delayed",
    "Findings",
    "GivenUp",
    "Judgement",
    "Quarantined",
    "Recorded",
    "RecordedRun",
    "RunKey",
    "RunRecord",
    "Snapshot",
    "Store",
    "UncheckedVersion",
    "VersionStore",
]
