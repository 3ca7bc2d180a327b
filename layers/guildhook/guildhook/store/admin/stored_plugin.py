"""Plugins and their versions, as stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from guildhook.model import Artifact, MemoryType


@dataclass(frozen=True, slots=True)
class PluginKey:
    """A plugin of a guild. A plugin of another guild is not found by it."""

    guild_id: UUID
    plugin_id: UUID

    def parameters(self) -> dict[str, Any]:
        return {"guild_id": self.guild_id, "plugin_id": self.plugin_id}


class StoredFailure(msgspec.Struct, frozen=True, kw_only=True):
    """The compiles of a version that failed through no fault of the plugin."""

    reason: str
    tries: int
    tried_at: datetime
    next_try_at: datetime | None
    """None after the last try."""


class StoredVersion(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    number: int
    state: str
    reasons: list[Any]
    warnings: list[Any]
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
    failure: StoredFailure | None


class StoredQuarantine(msgspec.Struct, frozen=True, kw_only=True):
    since: datetime
    reason: str
    last_error: str
    retry_at: datetime
    pauses: int


class StoredSealedValue(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed value without the value."""

    name: str
    updated_at: datetime
    sealed_bytes: int


class StoredPlugin(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    guild_id: UUID
    name: str
    description: str
    enabled: bool
    disabled_by_operator: str | None
    """The operator's reason why no version of it runs."""
    settings: dict[str, Any]
    permissions: Any
    """Usually a list of texts."""
    bot_messages: bool
    revision: int
    created_at: datetime
    updated_at: datetime
    to_adopt: bool
    """True if its wasm was written into its row directly and is not a version yet."""
    live: StoredVersion | None
    previous: int | None
    shadow: int | None
    latest: StoredVersion | None
    secrets: list[StoredSealedValue]
    quarantine: StoredQuarantine | None
    last_failed_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class VersionLimits:
    plugin_versions: int
    guild_wasm_bytes: int
    """The most for all versions of all plugins of the guild together, apart from refused versions."""


SealedValues = Mapping[str, bytes]
"""The sealed settings of a plugin by name."""


class StoredArtifact(msgspec.Struct, frozen=True, kw_only=True):
    engine: str
    sha256: str
    size: int
    object_sha256: str
    object_size: int
    memories: list[tuple[int, int | None]]
    signature: str

    def of(self, wasm_sha256: bytes) -> Artifact:
        """Return the artifact as that of a wasm."""
        return Artifact(
            wasm_sha256,
            self.engine,
            bytes.fromhex(self.sha256),
            self.size,
            bytes.fromhex(self.object_sha256),
            self.object_size,
            tuple(MemoryType(minimum, maximum) for minimum, maximum in self.memories),
            bytes.fromhex(self.signature),
        )


class TrialInputs(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a test run of a version, apart from the message and the settings."""

    artifacts: list[StoredArtifact]
    """One for each engine that has compiled the version."""
    refusals: list[str]
    state: dict[str, str]
