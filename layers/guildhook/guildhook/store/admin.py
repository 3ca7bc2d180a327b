"""What the admin API reads from Postgres and writes to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from guildhook.store import admin_queries as queries
from guildhook.store.admin_records import (
    Sealed,
    Sighting,
    StoredAuditEntry,
    StoredFullRun,
    StoredGuild,
    StoredPlugin,
    StoredRun,
    StoredTrial,
    StoredUsage,
    StoredVersion,
)
from guildhook.store.queries import APPLIED_MIGRATIONS
from guildhook.store.session import Session

_ATTEMPTS_AT_A_NUMBER = 5

Record = TypeVar("Record")
TimeKey = tuple[datetime, UUID]
"""Of the last item of a page that is ordered by time."""


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes what, for the audit log. `detail` has no setting's value in it."""

    actor_id: str
    actor_name: str
    action: str
    detail: Mapping[str, Any]

    def parameters(self) -> dict[str, Any]:
        return {
            "actor_id": self.actor_id,
            "actor_name": self.actor_name.replace("\0", ""),
            "action": self.action,
            "detail": Jsonb(self.detail),
        }


@dataclass(frozen=True, slots=True)
class PluginKey:
    """A plugin, if it is of this guild."""

    guild_id: UUID
    plugin_id: UUID

    def parameters(self) -> dict[str, Any]:
        return {"guild_id": self.guild_id, "plugin_id": self.plugin_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    outcome: str | None = None
    version: int | None = None
    message_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class VersionLimits:
    plugin_versions: int
    guild_wasm_bytes: int
    """Of all versions of all plugins of the guild that are not refused."""


class AdminStore(Session):
    """A method that changes something says whether it did: the revision, or what else it asks for, may have gone.

    All raise InfrastructureError.
    """

    def plugin(self, key: PluginKey) -> StoredPlugin | None:
        return self._one(queries.PLUGIN, key.parameters(), StoredPlugin)

    def plugins(self, guild_id: UUID, after: TimeKey | None, limit: int) -> list[tuple[TimeKey, StoredPlugin]]:
        """The oldest first."""
        after_at, after_id = after or (None, None)
        parameters = {"guild_id": guild_id, "after_at": after_at, "after_id": after_id, "limit": limit}
        rows = self.repeatable(queries.PLUGINS, parameters)
        return [((at, plugin_id), msgspec.convert(row, StoredPlugin)) for at, plugin_id, row in rows]

    def has_plugin(self, key: PluginKey) -> bool:
        return bool(self.repeatable(queries.HAS_PLUGIN, key.parameters()))

    def create_plugin(self, key: PluginKey, name: str, description: str, limit: int, change: Change) -> bool:
        """False if the guild has `limit` of them, or the id was used before."""
        parameters = {"name": name, "description": description, "limit": limit}
        return self._did(queries.CREATE_PLUGIN, key, change, parameters)

    def creation(self, key: PluginKey, action: str) -> Mapping[str, Any] | None:
        """What the audit log has of the plugin's creation, which `action` names."""
        rows = self.repeatable(queries.CREATION, {**key.parameters(), "action": action})
        return dict(rows[0][0]) if rows else None

    def change_plugin(self, key: PluginKey, revision: int, changes: Mapping[str, Any], change: Change) -> bool:
        """`changes` may have name, description, enabled, settings, permissions and bot_messages."""
        columns = dict.fromkeys(("name", "description", "enabled", "bot_messages", "settings", "permissions"))
        given = {**columns, **changes}
        for name in ("settings", "permissions"):
            given[name] = None if given[name] is None else Jsonb(given[name])
        return self._did(queries.CHANGE_PLUGIN, key, change, {**given, "revision": revision})

    def delete_plugin(self, key: PluginKey, revision: int, change: Change) -> bool:
        return self._did(queries.DELETE_PLUGIN, key, change, {"revision": revision})

    def go_live(
        self,
        key: PluginKey,
        revision: int,
        version_id: UUID,
        permissions: Sequence[str],
        settings: Mapping[str, Any] | None,
        change: Change,
    ) -> bool:
        parameters = {
            "revision": revision,
            "version_id": version_id,
            "permissions": Jsonb(permissions),
            "settings": None if settings is None else Jsonb(settings),
        }
        return self._did(queries.GO_LIVE, key, change, parameters)

    def set_shadow(self, key: PluginKey, revision: int, version_id: UUID | None, change: Change) -> bool:
        return self._did(queries.SET_SHADOW, key, change, {"revision": revision, "version_id": version_id})

    def end_quarantine(self, key: PluginKey, revision: int, change: Change) -> bool:
        return self._did(queries.END_QUARANTINE, key, change, {"revision": revision})

    def set_secret(self, key: PluginKey, revision: int, name: str, sealed: bytes, change: Change) -> bool:
        parameters = {"revision": revision, "name": name, "sealed": sealed}
        return self._did(queries.SET_SECRET, key, change, parameters)

    def delete_secret(self, key: PluginKey, revision: int, name: str, change: Change) -> bool:
        return self._did(queries.DELETE_SECRET, key, change, {"revision": revision, "name": name})

    def sealed(self, key: PluginKey) -> Sealed:
        return dict(self.repeatable(queries.SEALED, key.parameters()))

    def version(self, key: PluginKey, number: int) -> StoredVersion | None:
        return self._one(queries.VERSION, {**key.parameters(), "number": number}, StoredVersion)

    def version_by_id(self, key: PluginKey, version_id: UUID) -> StoredVersion | None:
        return self._one(queries.VERSION_BY_ID, {**key.parameters(), "version_id": version_id}, StoredVersion)

    def versions(self, key: PluginKey, before: int | None, limit: int) -> list[StoredVersion]:
        """The newest first."""
        return self._all(queries.VERSIONS, {**key.parameters(), "before": before, "limit": limit}, StoredVersion)

    def create_version(
        self, key: PluginKey, version_id: UUID, wasm_sha256: str, wasm_bytes: int, limits: VersionLimits, change: Change
    ) -> bool:
        """False if it would be more than the limits, the plugin is gone, or the id was used before."""
        parameters = {
            "version_id": version_id,
            "wasm_sha256": wasm_sha256,
            "wasm_bytes": wasm_bytes,
            "most_versions": limits.plugin_versions,
            "guild_wasm_bytes": limits.guild_wasm_bytes,
        }
        # Somebody else may have taken the number.
        return any(
            self._did(queries.CREATE_VERSION, key, change, parameters)
            or (attempt > 0 and self.version_by_id(key, version_id) is not None)
            for attempt in range(_ATTEMPTS_AT_A_NUMBER)
        )

    def guild_wasm_bytes(self, guild_id: UUID) -> int:
        """What `VersionLimits.guild_wasm_bytes` bounds."""
        ((found,),) = self.repeatable(queries.GUILD_WASM_BYTES, {"guild_id": guild_id})
        return int(found)

    def confirm_upload(self, key: PluginKey, number: int) -> None:
        self.write(queries.CONFIRM_UPLOAD, {**key.parameters(), "number": number})

    def delete_version(self, key: PluginKey, number: int, change: Change) -> bool:
        """False for one that is in use as well."""
        return self._did(queries.DELETE_VERSION, key, change, {"number": number})

    def guild(self, guild_id: UUID) -> StoredGuild:
        ((row,),) = self.repeatable(queries.GUILD, {"guild_id": guild_id})
        return msgspec.convert(row, StoredGuild)

    def change_guild(self, guild_id: UUID, revision: int, keep_content: bool, change: Change) -> bool:
        parameters = {"guild_id": guild_id, "revision": revision, "keep_content": keep_content}
        return bool(self.write(queries.CHANGE_GUILD, {**parameters, **change.parameters()}))

    def audit(self, guild_id: UUID, plugin_id: UUID | None, before: int | None, limit: int) -> list[StoredAuditEntry]:
        """The newest first."""
        parameters = {"guild_id": guild_id, "plugin_id": plugin_id, "before": before, "limit": limit}
        return self._all(queries.AUDIT, parameters, StoredAuditEntry)

    def runs(
        self, key: PluginKey, wanted: RunFilter, before: TimeKey | None, limit: int
    ) -> list[tuple[TimeKey, StoredRun]]:
        """The newest first."""
        before_at, before_id = before or (None, None)
        parameters = {
            **key.parameters(),
            "outcome": wanted.outcome,
            "version": wanted.version,
            "message_id": wanted.message_id,
            "since": wanted.since,
            "until": wanted.until,
            "before_at": before_at,
            "before_id": before_id,
            "limit": limit,
        }
        rows = self.repeatable(queries.SHADOW_RUNS if wanted.shadow else queries.RUNS, parameters)
        return [((at, run_id), msgspec.convert(row, StoredRun)) for at, run_id, row in rows]

    def run(self, key: PluginKey, run_id: UUID) -> StoredFullRun | None:
        """A live one, or a shadow's."""
        parameters = {**key.parameters(), "run_id": run_id, "message_id": None}
        return self._one(queries.RUN, parameters, StoredFullRun) or self._one(
            queries.SHADOW_RUN, parameters, StoredFullRun
        )

    def run_on(self, key: PluginKey, message_id: UUID) -> StoredFullRun | None:
        """The live one."""
        return self._one(queries.RUN, {**key.parameters(), "run_id": None, "message_id": message_id}, StoredFullRun)

    def usage(self, key: PluginKey, hours: int) -> list[StoredUsage]:
        """Hours without a run are left out."""
        return self._all(queries.USAGE, {**key.parameters(), "hours": hours}, StoredUsage)

    def trial(self, key: PluginKey, version_id: UUID) -> StoredTrial | None:
        return self._one(queries.TRIAL, {**key.parameters(), "version_id": version_id}, StoredTrial)

    def sighting(self, key: PluginKey, message_id: UUID) -> Sighting | None:
        return self._one(queries.SIGHTING, {**key.parameters(), "message_id": message_id}, Sighting)

    def applied_migrations(self) -> frozenset[str]:
        """Fails if there was never any."""
        return frozenset(name for (name,) in self.repeatable(APPLIED_MIGRATIONS, {}))

    def _did(self, query: LiteralString, key: PluginKey, change: Change, parameters: Mapping[str, Any]) -> bool:
        return bool(self.write(query, {**parameters, **key.parameters(), **change.parameters()}))

    def _one(self, query: LiteralString, parameters: Mapping[str, Any], kind: type[Record]) -> Record | None:
        rows = self._all(query, parameters, kind)
        return rows[0] if rows else None

    def _all(self, query: LiteralString, parameters: Mapping[str, Any], kind: type[Record]) -> list[Record]:
        return [msgspec.convert(row, kind) for (row,) in self.repeatable(query, parameters)]
