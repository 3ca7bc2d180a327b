"""The client of admin_api: reads for guild admins, and changes with their entry in the audit log."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from guildhook.store.admin.audit_log import AuditedChange, StoredAuditEntry
from guildhook.store.admin.stored_guild import StoredGuild
from guildhook.store.admin.stored_plugin import (
    PluginKey,
    SealedValues,
    StoredPlugin,
    StoredVersion,
    TrialInputs,
    VersionLimits,
)
from guildhook.store.admin.stored_run import MessageTraces, RunFilter, StoredFullRun, StoredRun, StoredUsage
from guildhook.store.admin.stored_settings import StoredDifference, StoredSettingsVersion
from guildhook.store.session import Session
from guildhook.store.statements import read_statements
from guildhook.store.time_limits import TimeLimits

_ATTEMPTS_AT_A_NUMBER: Final = 5
_RUN_FILTERS: Final = (
    "shadow",
    "run_id",
    "message_id",
    "outcome",
    "version",
    "since",
    "until",
    "before_at",
    "before_id",
)

Record = TypeVar("Record")
TimeKey = tuple[datetime, UUID]
"""The position of a page's last item, by time and id."""


class AdminStore(Session):
    """All methods raise InfrastructureError.

    A method that changes something returns False if nothing was changed, since the plugin is gone or its revision is
    another one by now. Its docstring gives further reasons.
    """

    statements = read_statements(
        "admin/plugins.sql",
        "admin/settings_versions.sql",
        "admin/versions.sql",
        "admin/runs.sql",
        "admin/guilds.sql",
        "admin/service.sql",
    )
    limits = TimeLimits(statement=10, lock=5)

    def plugin(self, key: PluginKey) -> StoredPlugin | None:
        return next(iter(self._plugins(key.guild_id, key.plugin_id, None, 1)), None)

    def plugins(self, guild_id: UUID, after: TimeKey | None, limit: int) -> list[StoredPlugin]:
        """Return the plugins of a guild after a position, in the order of their creation."""
        return self._plugins(guild_id, None, after, limit)

    def has_plugin(self, key: PluginKey) -> bool:
        return bool(self.repeatable("has_plugin", key.parameters()))

    def create_plugin(self, key: PluginKey, name: str, description: str, limit: int, change: AuditedChange) -> bool:
        """Returns False if the guild has `limit` plugins, or if the id was used before."""
        parameters = {"name": name, "description": description, "limit": limit}
        return self._did("create_plugin", key, change, parameters)

    def creation(self, key: PluginKey, action: str) -> Mapping[str, Any] | None:
        """Return the detail of the audit log's entry about the plugin's creation; `action` is that of the entry."""
        rows = self.repeatable("creation", {**key.parameters(), "action": action})
        return dict(rows[0][0]) if rows else None

    def change_plugin(self, key: PluginKey, revision: int, changes: Mapping[str, Any], change: AuditedChange) -> bool:
        """`changes` may have the keys name, description, enabled, settings, permissions and bot_messages."""
        columns = dict.fromkeys(("name", "description", "enabled", "bot_messages", "settings", "permissions"))
        given = {**columns, **changes}
        for name in ("settings", "permissions"):
            given[name] = None if given[name] is None else Jsonb(given[name])
        return self._did("change_plugin", key, change, {**given, "revision": revision})

    def delete_plugin(self, key: PluginKey, revision: int, change: AuditedChange) -> bool:
        return self._did("delete_plugin", key, change, {"revision": revision})

    def go_live(
        self,
        key: PluginKey,
        revision: int,
        version_id: UUID,
        permissions: Sequence[str],
        settings: Mapping[str, Any] | None,
        change: AuditedChange,
        settings_number: int | None = None,
    ) -> bool:
        """`settings_number` is that of saved settings, which take the place of `settings`. Returns False also if they
        are gone.
        """
        parameters = {
            "revision": revision,
            "version_id": version_id,
            "permissions": Jsonb(permissions),
            "settings": None if settings is None else Jsonb(settings),
            "settings_number": settings_number,
        }
        return self._did("go_live", key, change, parameters)

    def set_shadow(self, key: PluginKey, revision: int, version_id: UUID | None, change: AuditedChange) -> bool:
        return self._did("set_shadow", key, change, {"revision": revision, "version_id": version_id})

    def end_quarantine(self, key: PluginKey, revision: int, change: AuditedChange) -> bool:
        return self._did("end_quarantine", key, change, {"revision": revision})

    def set_sealed_value(self, key: PluginKey, revision: int, name: str, sealed: bytes, change: AuditedChange) -> bool:
        parameters = {"revision": revision, "name": name, "sealed": sealed}
        return self._did("set_sealed_value", key, change, parameters)

    def delete_sealed_value(self, key: PluginKey, revision: int, name: str, change: AuditedChange) -> bool:
        return self._did("delete_sealed_value", key, change, {"revision": revision, "name": name})

    def sealed_values(self, key: PluginKey) -> SealedValues:
        return dict(self.repeatable("sealed_values", key.parameters()))

    def settings_version(self, key: PluginKey, number: int) -> StoredSettingsVersion | None:
        return self._one(
            "settings_versions", _settings_parameters(key, number=number, detailed=True), StoredSettingsVersion
        )

    def settings_for_roll_back(self, key: PluginKey) -> StoredSettingsVersion | None:
        """Return the settings that the previous version was live with, or None if it is not known which they were."""
        parameters = _settings_parameters(key, for_roll_back=True, detailed=True)
        return self._one("settings_versions", parameters, StoredSettingsVersion)

    def settings_versions(self, key: PluginKey, before: int | None, limit: int) -> list[StoredSettingsVersion]:
        """Return the newest saved settings whose number is lower than `before`, the newest first, without values."""
        return self._all(
            "settings_versions", _settings_parameters(key, before=before, limit=limit), StoredSettingsVersion
        )

    def settings_differences(self, key: PluginKey, number: int, base: int | None) -> list[StoredDifference]:
        """Return how saved settings differ from those of number `base`, or from the current ones if that is None."""
        parameters = {**key.parameters(), "number": number, "base": base}
        return self._all("settings_differences", parameters, StoredDifference)

    def restore_settings(self, key: PluginKey, revision: int, number: int, change: AuditedChange) -> bool:
        """Returns False also if the saved settings of this number are gone."""
        return self._did("restore_settings", key, change, {"revision": revision, "settings_number": number})

    def version(self, key: PluginKey, number: int) -> StoredVersion | None:
        return next(iter(self._versions(key, limit=1, number=number)), None)

    def version_by_id(self, key: PluginKey, version_id: UUID) -> StoredVersion | None:
        return next(iter(self._versions(key, limit=1, version_id=version_id)), None)

    def versions(self, key: PluginKey, before: int | None, limit: int) -> list[StoredVersion]:
        """Return the newest versions whose number is lower than `before`, the newest first."""
        return self._versions(key, limit=limit, before=before)

    def create_version(
        self,
        key: PluginKey,
        version_id: UUID,
        wasm_sha256: str,
        wasm_bytes: int,
        limits: VersionLimits,
        change: AuditedChange,
    ) -> bool:
        """Returns False if the limits would be exceeded, or if the id was used before."""
        parameters = {
            "version_id": version_id,
            "wasm_sha256": bytes.fromhex(wasm_sha256),
            "wasm_bytes": wasm_bytes,
            "most_versions": limits.plugin_versions,
            "guild_wasm_bytes": limits.guild_wasm_bytes,
        }
        # Another version may have taken the number.
        return any(
            self._did("create_version", key, change, parameters)
            or (attempt > 0 and self.version_by_id(key, version_id) is not None)
            for attempt in range(_ATTEMPTS_AT_A_NUMBER)
        )

    def guild_wasm_bytes(self, guild_id: UUID) -> int:
        """Return the bytes that count against `VersionLimits.guild_wasm_bytes`."""
        ((found,),) = self.repeatable("guild_wasm_bytes", {"guild_id": guild_id})
        return int(found)

    def confirm_upload(self, key: PluginKey, number: int) -> None:
        self.write("confirm_upload", {**key.parameters(), "number": number})

    def try_version_again(self, key: PluginKey, version_id: UUID) -> bool:
        """Let the next request for the version begin with the first try. Returns False if no compile of it failed."""
        return bool(self.write("try_version_again", {**key.parameters(), "version_id": version_id}))

    def delete_version(self, key: PluginKey, number: int, change: AuditedChange) -> bool:
        """Returns False if the version is gone or in use."""
        return self._did("delete_version", key, change, {"number": number})

    def guild(self, guild_id: UUID) -> StoredGuild:
        ((row,),) = self.repeatable("guild", {"guild_id": guild_id})
        return msgspec.convert(row, StoredGuild)

    def change_guild(self, guild_id: UUID, revision: int, keep_content: bool, change: AuditedChange) -> bool:
        parameters = {"guild_id": guild_id, "revision": revision, "keep_content": keep_content}
        return bool(self.write("change_guild", {**parameters, **change.parameters()}))

    def audit(self, guild_id: UUID, plugin_id: UUID | None, before: int | None, limit: int) -> list[StoredAuditEntry]:
        """Return the newest entries whose id is lower than `before`, the newest first."""
        parameters = {"guild_id": guild_id, "plugin_id": plugin_id, "before": before, "limit": limit}
        return self._all("audit", parameters, StoredAuditEntry)

    def runs(self, key: PluginKey, conditions: RunFilter, before: TimeKey | None, limit: int) -> list[StoredRun]:
        """Return the newest runs before a position, the newest first."""
        before_at, before_id = before or (None, None)
        filters = {**asdict(conditions), "before_at": before_at, "before_id": before_id}
        return self._all("runs", _run_parameters(key, limit, filters, detailed=False), StoredRun)

    def run(self, key: PluginKey, run_id: UUID) -> StoredFullRun | None:
        """Return a run of a live version or of a shadow."""
        return self._one("runs", _run_parameters(key, 1, {"run_id": run_id}, detailed=True), StoredFullRun)

    def run_on(self, key: PluginKey, message_id: UUID) -> StoredFullRun | None:
        """Return the run of the version that was live."""
        return self._one(
            "runs", _run_parameters(key, 1, {"message_id": message_id, "shadow": False}, detailed=True), StoredFullRun
        )

    def usage(self, key: PluginKey, hours: int) -> list[StoredUsage]:
        """Return the counts of the last hours; hours without a run are left out."""
        return self._all("usage", {**key.parameters(), "hours": hours}, StoredUsage)

    def trial_inputs(self, key: PluginKey, version_id: UUID) -> TrialInputs | None:
        return self._one("trial_inputs", {**key.parameters(), "version_id": version_id}, TrialInputs)

    def message_traces(self, key: PluginKey, message_id: UUID) -> MessageTraces | None:
        return self._one("message_traces", {**key.parameters(), "message_id": message_id}, MessageTraces)

    def charge(self, actor_id: UUID, cost: int) -> tuple[int, float]:
        """Count requests of an actor. Returns the cost of the actor's requests in this minute, these included, and the
        seconds until the next minute.
        """
        # Repeatable: a charge that is counted twice because a connection broke does little harm.
        used, seconds_left = self.repeatable("charge", {"actor_id": str(actor_id), "cost": cost})[0]
        return used, seconds_left

    def subscribers(self, limit: int) -> list[UUID]:
        """Return the guilds that have a plugin, or had one within a day, in no order."""
        return [guild_id for (guild_id,) in self.repeatable("subscribers", {"limit": limit})]

    def applied_migrations(self) -> frozenset[str]:
        """Return the names of the migrations that the database has had. Fails if it has had none."""
        return frozenset(name for (name,) in self.repeatable("applied_migrations", {}))

    def _plugins(self, guild_id: UUID, plugin_id: UUID | None, after: TimeKey | None, limit: int) -> list[StoredPlugin]:
        after_at, after_id = after or (None, None)
        parameters = {"guild_id": guild_id, "plugin_id": plugin_id, "after_at": after_at, "after_id": after_id}
        return self._all("plugins", {**parameters, "limit": limit}, StoredPlugin)

    def _versions(
        self,
        key: PluginKey,
        *,
        limit: int,
        number: int | None = None,
        version_id: UUID | None = None,
        before: int | None = None,
    ) -> list[StoredVersion]:
        filters = {"number": number, "version_id": version_id, "before": before}
        return self._all("versions", {**key.parameters(), **filters, "limit": limit}, StoredVersion)

    def _did(self, statement: str, key: PluginKey, change: AuditedChange, parameters: Mapping[str, Any]) -> bool:
        return bool(self.write(statement, {**parameters, **key.parameters(), **change.parameters()}))

    def _one(self, statement: str, parameters: Mapping[str, Any], kind: type[Record]) -> Record | None:
        return next(iter(self._all(statement, parameters, kind)), None)

    def _all(self, statement: str, parameters: Mapping[str, Any], kind: type[Record]) -> list[Record]:
        """Return the rows of a statement whose one column is JSON."""
        return [msgspec.convert(row, kind) for (row,) in self.repeatable(statement, parameters)]


def _settings_parameters(
    key: PluginKey,
    *,
    number: int | None = None,
    before: int | None = None,
    for_roll_back: bool = False,
    limit: int = 1,
    detailed: bool = False,
) -> dict[str, Any]:
    filters = {"number": number, "before": before, "for_roll_back": for_roll_back}
    return {**key.parameters(), **filters, "limit": limit, "detailed": detailed}


def _run_parameters(key: PluginKey, limit: int, filters: Mapping[str, Any], *, detailed: bool) -> dict[str, Any]:
    return {**key.parameters(), **dict.fromkeys(_RUN_FILTERS), **filters, "limit": limit, "detailed": detailed}
