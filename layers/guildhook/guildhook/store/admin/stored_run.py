"""Runs, their counts and their traces, as stored."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from guildhook.store.admin.audit_log import StoredAuditEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    outcome: str | None = None
    version: int | None = None
    message_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    shadow: bool = False


class StoredHostCall(msgspec.Struct, frozen=True, array_like=True):
    """A call of a host function. Its column has an array for each call."""

    function: str
    denied: str | None


class StoredIntent(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    channel_id: str
    content: str
    state: str | None = None
    detail: str = ""


class StoredRun(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    message_id: UUID
    version: int | None
    shadow: bool
    outcome: str
    detail: str
    fuel_used: int
    fuel_limit: int | None
    duration_us: int
    cpu_us: int | None
    host_calls: int
    denied_calls: int
    intents: int
    log_lines: int
    created_at: datetime


class StoredFullRun(StoredRun, frozen=True, kw_only=True):
    calls: list[StoredHostCall]
    logs: list[str]
    sends: list[StoredIntent]
    message: str | None
    seed: int
    message_time: datetime


class StoredUsage(msgspec.Struct, frozen=True, kw_only=True):
    hour: datetime
    outcome: str
    runs: int
    fuel_used: int
    duration_us: int
    cpu_us: int


class MessageTraces(msgspec.Struct, frozen=True, kw_only=True):
    """The traces of a message that explain why a plugin answered or did not, apart from the plugin's run."""

    seen_at: datetime | None
    """The time of the message, if another plugin of the guild was run on it."""
    deleted_at: datetime | None
    """The time at which it was deleted in the chat, if guildhook knows of that."""
    refusal: str | None
    """The compiler's reason to refuse the live wasm."""
    changes: list[StoredAuditEntry]
    """Changes of the plugin since the message, or its latest changes; the newest first."""
    silent_runs: int
    """Runs in the message's hour, or in this one, that ended ok and may have left no row."""
    passed_over: int
    """Messages in that hour that the plugin did not get because it was quarantined."""
