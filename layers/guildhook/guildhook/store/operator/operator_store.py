"""The client of admin_api for operators. Each change is one statement with its entry in the audit log."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from guildhook.store.admin.audit_log import AuditedChange
from guildhook.store.operator.stored_entry import (
    ExpiredSends,
    FailedCompileOfWasm,
    OperatedGuild,
    OperatedPlugin,
    OperatedRun,
    QuarantineCause,
    StoredOperatorEntry,
)
from guildhook.store.session import Session
from guildhook.store.statements import read_statements
from guildhook.store.time_limits import TimeLimits

Record = TypeVar("Record")

_DELAY_SECONDS: Final = 3
"""The time after which a run is shown by the tail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRaise:
    """Limits of a minute until a date; None where the configured one holds."""

    until: datetime
    reason: str
    fuel_per_minute: int | None
    sends_per_minute: int | None
    log_bytes_per_minute: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConditions:
    """The runs of a plugin or of a guild. One of the two is not None."""

    plugin_id: UUID | None
    guild_id: UUID | None
    outcome: str | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class RetriedCompile:
    wasm_sha256: bytes
    version_ids: tuple[UUID, ...]
    """The versions of this wasm that are not ready yet."""


class OperatorStore(Session):
    """All methods raise InfrastructureError. Lists are pages of at most `limit` records.

    A method that changes something returns False, or nothing, if there was nothing to change.
    """

    statements = read_statements(
        "operator/audit.sql",
        "operator/guilds.sql",
        "operator/plugins.sql",
        "operator/runs.sql",
        "operator/compiles.sql",
    )
    limits = TimeLimits(statement=10, lock=5)

    def audit(self, guild_id: UUID | None, before: int | None, limit: int) -> list[StoredOperatorEntry]:
        """Return the newest changes by operators, in a guild or in all, whose id is lower than `before`."""
        parameters = {"guild_id": guild_id, "before": before, "limit": limit}
        return self._all("operators_audit", parameters, StoredOperatorEntry)

    def note(self, guild_id: UUID | None, plugin_id: UUID | None, change: AuditedChange) -> None:
        """Add an entry to the audit log that no other statement adds."""
        self.write("note", {"guild_id": guild_id, "plugin_id": plugin_id, **change.parameters()})

    def guilds(
        self, after: UUID | None, limit: int, *, over_hours: int | None = None, paused: bool = False
    ) -> list[OperatedGuild]:
        """Return guilds with plugins, by id: all, those over their budget in the last hours, or the paused ones."""
        parameters = {"guild_id": None, "after_id": after, "limit": limit, "over_hours": over_hours, "paused": paused}
        return self._all("operated_guilds", parameters, OperatedGuild)

    def guild(self, guild_id: UUID) -> OperatedGuild:
        """Return a guild, which may have no plugins."""
        parameters = {"guild_id": guild_id, "after_id": None, "limit": 1, "over_hours": None, "paused": False}
        return self._all("operated_guilds", parameters, OperatedGuild)[0]

    def raise_budget(self, guild_id: UUID, limits: BudgetRaise, change: AuditedChange) -> None:
        self.write("raise_budget", {"guild_id": guild_id, **asdict(limits), **change.parameters()})

    def reset_budget(self, guild_id: UUID, change: AuditedChange) -> bool:
        return bool(self.write("reset_budget", {"guild_id": guild_id, **change.parameters()}))

    def pause_guild(self, guild_id: UUID, reason: str, change: AuditedChange) -> bool:
        """Returns False if the guild is paused already; its first reason stays."""
        return bool(self.write("pause_guild", {"guild_id": guild_id, "reason": reason, **change.parameters()}))

    def resume_guild(self, guild_id: UUID, change: AuditedChange) -> bool:
        return bool(self.write("resume_guild", {"guild_id": guild_id, **change.parameters()}))

    def plugins(self, guild_id: UUID | None, after: UUID | None, limit: int) -> list[OperatedPlugin]:
        """Return the plugins of a guild or of all, by id."""
        parameters = {"guild_id": guild_id, "plugin_id": None, "after_id": after, "limit": limit}
        return self._all("operated_plugins", parameters, OperatedPlugin)

    def plugin(self, plugin_id: UUID) -> OperatedPlugin | None:
        parameters = {"guild_id": None, "plugin_id": plugin_id, "after_id": None, "limit": 1}
        return next(iter(self._all("operated_plugins", parameters, OperatedPlugin)), None)

    def failing_plugins(
        self, hours: int, before: tuple[datetime, UUID] | None, limit: int, *, quarantined: bool
    ) -> list[OperatedPlugin]:
        """Return the plugins that failed in the last hours, the latest failure first."""
        before_at, before_id = before or (None, None)
        parameters = {"hours": hours, "quarantined": quarantined, "before_at": before_at, "before_id": before_id}
        return self._all("failing_plugins", {**parameters, "limit": limit}, OperatedPlugin)

    def causes_of_quarantine(self, hours: int, limit: int) -> list[QuarantineCause]:
        """Return the causes of the quarantines that began in the last hours, the most frequent first."""
        return self._all("causes_of_quarantine", {"hours": hours, "limit": limit}, QuarantineCause)

    def disable_plugin(self, plugin_id: UUID, reason: str, change: AuditedChange) -> bool:
        return bool(self.write("disable_plugin", {"plugin_id": plugin_id, "reason": reason, **change.parameters()}))

    def enable_plugin(self, plugin_id: UUID, change: AuditedChange) -> bool:
        return bool(self.write("enable_plugin", {"plugin_id": plugin_id, **change.parameters()}))

    def quarantine_plugin(self, plugin_id: UUID, reason: str, minutes: int, change: AuditedChange) -> bool:
        """Returns False also if no version of the plugin is live."""
        parameters = {"plugin_id": plugin_id, "reason": reason, "minutes": minutes}
        return bool(self.write("quarantine_plugin", {**parameters, **change.parameters()}))

    def lift_quarantine(self, plugin_id: UUID, change: AuditedChange) -> bool:
        parameters = {"plugin_id": plugin_id, "hours": None, "limit": 1}
        return bool(self.write("lift_quarantines", {**parameters, **change.parameters()}))

    def lift_quarantines(self, hours: int, limit: int, change: AuditedChange) -> list[UUID]:
        """Lift quarantines that began in the last hours. Returns the plugins."""
        parameters = {"plugin_id": None, "hours": hours, "limit": limit}
        return [plugin_id for (plugin_id,) in self.write("lift_quarantines", {**parameters, **change.parameters()})]

    def runs(self, conditions: RunConditions, before: tuple[datetime, UUID] | None, limit: int) -> list[OperatedRun]:
        """Return recorded runs without logs, the newest first."""
        before_at, before_id = before or (None, None)
        parameters = {**asdict(conditions), "before_at": before_at, "before_id": before_id, "limit": limit}
        return self._all("operated_runs", parameters, OperatedRun)

    def tail(
        self, guild_id: UUID | None, after: tuple[datetime, UUID], limit: int, *, with_logs: bool
    ) -> list[OperatedRun]:
        """Return the runs of a guild or of all after a position, the oldest first, of the last hour at most."""
        after_at, after_id = after
        parameters = {"guild_id": guild_id, "after_at": after_at, "after_id": after_id, "with_logs": with_logs}
        return self._all("tail", {**parameters, "delay_seconds": _DELAY_SECONDS, "limit": limit}, OperatedRun)

    def current_time(self) -> datetime:
        """Return the time of the database."""
        ((now,),) = self.repeatable("current_time", {})
        found: datetime = now
        return found

    def has_opened_content(self, guild_id: UUID, actor_id: str, action: str, minutes: int) -> bool:
        """Return whether an entry of this action by the operator is in the guild's audit log since so many minutes."""
        parameters = {"guild_id": guild_id, "actor_id": actor_id, "action": action, "minutes": minutes}
        ((found,),) = self.repeatable("has_opened_content", parameters)
        return bool(found)

    def expired_sends(self, hours: int, limit: int) -> list[ExpiredSends]:
        """Return the messages that were given up in the last hours, the most first."""
        return self._all("expired_sends", {"hours": hours, "limit": limit}, ExpiredSends)

    def failed_compiles(self, after: bytes | None, limit: int) -> list[FailedCompileOfWasm]:
        """Return the compiles that failed, by the wasm's SHA-256."""
        return self._all("failed_compiles", {"after_sha256": after, "limit": limit}, FailedCompileOfWasm)

    def retry_compiles(
        self, wasm_sha256: bytes | None, after: bytes | None, limit: int, change: AuditedChange
    ) -> list[RetriedCompile]:
        """Let failed compiles begin with the first try: that of one wasm, or those after a SHA-256, in their order."""
        parameters = {"wasm_sha256": wasm_sha256, "after_sha256": after, "limit": limit}
        rows = self.write("retry_compiles", {**parameters, **change.parameters()})
        return [RetriedCompile(bytes(digest), tuple(version_ids)) for digest, version_ids in rows]

    def _all(self, statement: str, parameters: Mapping[str, Any], kind: type[Record]) -> list[Record]:
        """Return the rows of a statement whose one column is JSON."""
        return [msgspec.convert(row, kind) for (row,) in self.repeatable(statement, parameters)]
