"""Runs as a batch records them."""

from datetime import UTC, datetime
from uuid import uuid4

import msgspec

from guildhook.model import Message, Outcome, QuarantineRules, RunResult, SendMessage, idempotency_key
from guildhook.store.events import BatchRecord, RunRecord

NOW = datetime(2026, 1, 25, 12, 0, tzinfo=UTC)
OK = RunResult(Outcome.OK, "", fuel_used=10, duration_us=20, host_calls=0, logs=(), intents=())


def record(plugin, channel, result=OK, message_id=None, **fields):
    message = Message(message_id or uuid4(), plugin.guild_id, channel, NOW, payload="{}", **fields)
    return RunRecord(plugin, message, seed=7, result=result, fuel_limit=1_000)


def save(store, *runs, **more):
    return store.record(BatchRecord(runs=runs, **more), QuarantineRules())


def sending(plugin, message_id, *channels):
    intents = tuple(
        SendMessage(idempotency_key(message_id, plugin.id, i), i, str(channel), f"hello {i}")
        for i, channel in enumerate(channels)
    )
    return msgspec.structs.replace(OK, intents=intents)
