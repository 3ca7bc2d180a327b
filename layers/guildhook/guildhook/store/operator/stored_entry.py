"""Rows that operators read, as stored."""

from datetime import datetime
from uuid import UUID

import msgspec

from guildhook.store.admin.audit_log import StoredAuditEntry
from guildhook.store.admin.stored_guild import StoredBudget
from guildhook.store.admin.stored_plugin import StoredQuarantine


class StoredOperatorEntry(StoredAuditEntry, frozen=True, kw_only=True):
    guild_id: UUID | None
    """None if the change concerns no guild alone."""


class StoredPause(msgspec.Struct, frozen=True, kw_only=True):
    reason: str
    since: datetime


class StoredRaise(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a guild until a date; None where the configured one holds."""

    until: datetime
    reason: str
    fuel_per_minute: int | None
    sends_per_minute: int | None
    log_bytes_per_minute: int | None


class OperatedGuild(msgspec.Struct, frozen=True, kw_only=True):
    """A guild with the counts of its plugins."""

    id: UUID
    plugins: int
    enabled: int
    disabled_by_operator: int
    quarantined: int
    paused: StoredPause | None
    raised: StoredRaise | None
    budget: StoredBudget | None


class OperatedPlugin(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    guild_id: UUID
    name: str
    enabled: bool
    disabled_by_operator: str | None
    live: int | None
    wasm_sha256: str
    updated_at: datetime
    quarantine: StoredQuarantine | None
    failures_in_a_row: int
    last_failed_at: datetime | None
    last_error: str | None


class QuarantineCause(msgspec.Struct, frozen=True, kw_only=True):
    """Quarantines that have one outcome and one wasm."""

    outcome: str
    wasm_sha256: str
    plugins: int
    first_at: datetime


class OperatedRun(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    guild_id: UUID
    plugin_id: UUID
    plugin_name: str
    message_id: UUID
    outcome: str
    detail: str
    fuel_used: int
    duration_us: int
    cpu_us: int | None
    log_lines: int
    created_at: datetime
    logs: list[str] | None
    """None unless they were asked for."""


class FailedCompileOfWasm(msgspec.Struct, frozen=True, kw_only=True):
    wasm_sha256: str
    tries: int
    reason: str
    tried_at: datetime
    next_try_at: datetime | None
    live_in: int
    """The number of plugins in which it is live."""


class ExpiredSends(msgspec.Struct, frozen=True, kw_only=True):
    guild_id: UUID
    channel_id: UUID
    detail: str
    sends: int
    first_at: datetime
