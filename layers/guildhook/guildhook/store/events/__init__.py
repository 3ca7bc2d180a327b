"""The statements of on_message: one read and two writes a batch, and a write for deletions of messages."""

from guildhook.store.events.batch_record import (
    BatchRecord,
    DelayedMessage,
    Judgement,
    QuarantinedPlugin,
    RecordedBatch,
    RunRecord,
)
from guildhook.store.events.event_store import EventStore
from guildhook.store.events.snapshot import RecordedRun, RunKey, Snapshot, joined_snapshot

__all__ = [
    "BatchRecord",
    "DelayedMessage",
    "EventStore",
    "Judgement",
    "QuarantinedPlugin",
    "RecordedBatch",
    "RecordedRun",
    "RunKey",
    "RunRecord",
    "Snapshot",
    "joined_snapshot",
]
