"""What admins read of Postgres. It comes as JSON, a row for each thing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from guildhook.model import Artifact, MemoryType


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    number: int
    state: str
    reasons: list[Any]
    wasm_sha256: str
    """In hexadecimal."""
    wasm_bytes: int
    imports: list[Any]
    unavailable: list[Any]
    needs: list[Any]
    settings_schema: dict[str, Any] | None
    live: bool
    shadow: bool
    created_by: str
    created_at: datetime
    updated_at: datetime
    granted: Any
    """The plugin's permissions, as its row has them."""


class StoredQuarantine(msgspec.Struct, frozen=True, kw_only=True):
    since: datetime
    reason: str
    last_error: str
    retry_at: datetime
    pauses: int


class StoredSecret(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    updated_at: datetime
    sealed_bytes: int


class StoredPlugin(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    guild_id: UUID
    name: str
    description: str
    enabled: bool
    settings: dict[str, Any]
    permissions: Any
    """Usually a list of texts."""
    bot_messages: bool
    revision: int
    created_at: datetime
    updated_at: datetime
    to_adopt: bool
    """Its wasm was written to its row directly, and is not a version yet."""
    live: StoredVersion | None
    previous: int | None
    shadow: int | None
    latest: StoredVersion | None
    secrets: list[StoredSecret]
    quarantine: StoredQuarantine | None
    last_failed_at: datetime | None
    last_error: str | None


class StoredBudget(msgspec.Struct, frozen=True, kw_only=True):
    """Of this minute; over_at is when it was last over it, whenever that was."""

    fuel: int = 0
    sends: int = 0
    log_bytes: int = 0
    delayed: int = 0
    over_at: datetime | None = None
    over_reason: str | None = None


class StoredGuild(msgspec.Struct, frozen=True, kw_only=True):
    keep_content: bool
    revision: int
    plugins: int
    budget: StoredBudget | None


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
    host_calls: int
    denied_calls: int
    intents: int
    log_lines: int
    created_at: datetime


class StoredFullRun(StoredRun, frozen=True, kw_only=True):
    channel_id: UUID | None = None
    calls: list[tuple[str, str | None]]
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


class StoredAuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    at: datetime
    plugin_id: UUID | None
    actor_id: str
    actor_name: str
    action: str
    detail: dict[str, Any]


class StoredArtifact(msgspec.Struct, frozen=True, kw_only=True):
    engine: str
    sha256: str
    size: int
    object_sha256: str
    object_size: int
    memories: list[tuple[int, int | None]]

    def of(self, wasm_sha256: bytes) -> Artifact:
        return Artifact(
            wasm_sha256,
            self.engine,
            bytes.fromhex(self.sha256),
            self.size,
            bytes.fromhex(self.object_sha256),
            self.object_size,
            tuple(MemoryType(minimum, maximum) for minimum, maximum in self.memories),
        )


class StoredTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of a version would be given beside the message."""

    artifacts: list[StoredArtifact]
    """Of every engine that has compiled it."""
    refusals: list[str]
    state: dict[str, str]


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a message and a plugin, apart from the plugin's run."""

    seen_at: datetime | None
    """When the message was created, if another plugin of the guild was run on it."""
    refusal: str | None
    """Of the live wasm, by the compiler."""
    changes: list[StoredAuditEntry]
    """Of the plugin since the message, or the latest ones; the newest first."""
    silent_runs: int
    """Runs in the message's hour, or this one, that ended ok and may have left no trace."""
    passed_over: int
    """Messages that it was not given in that hour, since it was quarantined."""


Sealed = Mapping[str, bytes]
"""A plugin's secrets by name."""
