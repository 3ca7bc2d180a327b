"""Postgres: everything guildhook reads and writes there."""

from guildhook.store.store import Recorded, RecordedRun, RunRecord, Snapshot, Store

__all__ = ["Recorded", "RecordedRun", "RunRecord", "Snapshot", "Store"]
