"""What the admin API reads from Postgres and writes to it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from guildhook.store.admin import statements
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
from guildhook.store.session import Session

_ATTEMPTS_AT_A_NUMBER = 5

Record = TypeVar("Record")
TimeKey = tuple[datetime, UUID]
"""Of the last item of a page that is ordered by time."""


class AdminStore(Session):
    """A method that changes something says whether it did: the revision, or what else it asks for, may have gone.

    All raise InfrastructureError.
    """

    def plugin(self, key: PluginKey) -> StoredPlugin | None:
        return self._one(statements.PLUGIN, key.parameters(), StoredPlugin)

    def plugins(self, guild_id: UUID, after: TimeKey | None, limit: int) -> list[StoredPlugin]:
        """The oldest first."""
        after_at, after_id = after or (None, None)
        parameters = {"guild_id": guild_id, "after_at": after_at, "after_id": after_id, "limit": limit}
        return self._all(statements.PLUGINS, parameters, StoredPlugin)

    def has_plugin(self, key: PluginKey) -> bool:
        return bool(self.repeatable(statements.HAS_PLUGIN, key.parameters()))

    def create_plugin(self, key: PluginKey, name: str, description: str, limit: int, change: AuditedChange) -> bool:
        """False if the guild has `limit` of them, or the id was used before."""
        parameters = {"name": name, "description": description, "limit": limit}
        return self._did(statements.CREATE_PLUGIN, key, change, parameters)

    def creation(self, key: PluginKey, action: str) -> Mapping[str, Any] | None:
        """What the audit log has of the plugin's creation, which `action` names."""
        rows = self.repeatable(statements.CREATION, {**key.parameters(), "action": action})
        return dict(rows[0][0]) if rows else None

    def change_plugin(self, key: PluginKey, revision: int, changes: Mapping[str, Any], change: AuditedChange) -> bool:
        """`changes` may have name, description, enabled, settings, permissions and bot_messages."""
        columns = dict.fromkeys(("name", "description", "enabled", "bot_messages", "settings", "permissions"))
        given = {**columns, **changes}
        for name in ("settings", "permissions"):
            given[name] = None if given[name] is None else Jsonb(given[name])
        return self._did(statements.CHANGE_PLUGIN, key, change, {**given, "revision": revision})

    def delete_plugin(self, key: PluginKey, revision: int, change: AuditedChange) -> bool:
        return self._did(statements.DELETE_PLUGIN, key, change, {"revision": revision})

    def go_live(
        self,
        key: PluginKey,
        revision: int,
        version_id: UUID,
        permissions: Sequence[str],
        settings: Mapping[str, Any] | None,
        change: AuditedChange,
    ) -> bool:
        parameters = {
            "revision": revision,
            "version_id": version_id,
            "permissions": Jsonb(permissions),
            "settings": None if settings is None else Jsonb(settings),
        }
        return self._did(statements.GO_LIVE, key, change, parameters)

    def set_shadow(self, key: PluginKey, revision: int, version_id: UUID | None, change: AuditedChange) -> bool:
        return self._did(statements.SET_SHADOW, key, change, {"revision": revision, "version_id": version_id})

    def end_quarantine(self, key: PluginKey, revision: int, change: AuditedChange) -> bool:
        return self._did(statements.END_QUARANTINE, key, change, {"revision": revision})

    def set_sealed_value(self, key: PluginKey, revision: int, name: str, sealed: bytes, change: AuditedChange) -> bool:
        parameters = {"revision": revision, "name": name, "sealed": sealed}
        return self._did(statements.SET_SEALED_VALUE, key, change, parameters)

    def delete_sealed_value(self, key: PluginKey, revision: int, name: str, change: AuditedChange) -> bool:
        return self._did(statements.DELETE_SEALED_VALUE, key, change, {"revision": revision, "name": name})

    def sealed_values(self, key: PluginKey) -> SealedValues:
        return dict(self.repeatable(statements.SEALED, key.parameters()))

    def version(self, key: PluginKey, number: int) -> StoredVersion | None:
        return self._one(statements.VERSION, {**key.parameters(), "number": number}, StoredVersion)

    def version_by_id(self, key: PluginKey, version_id: UUID) -> StoredVersion | None:
        return self._one(statements.VERSION_BY_ID, {**key.parameters(), "version_id": version_id}, StoredVersion)

    def versions(self, key: PluginKey, before: int | None, limit: int) -> list[StoredVersion]:
        """The newest first."""
        return self._all(statements.VERSIONS, {**key.parameters(), "before": before, "limit": limit}, StoredVersion)

    def create_version(
        self,
        key: PluginKey,
        version_id: UUID,
        wasm_sha256: str,
        wasm_bytes: int,
        limits: VersionLimits,
        change: AuditedChange,
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
            self._did(statements.CREATE_VERSION, key, change, parameters)
            or (attempt > 0 and self.version_by_id(key, version_id) is not None)
            for attempt in range(_ATTEMPTS_AT_A_NUMBER)
        )

    def guild_wasm_bytes(self, guild_id: UUID) -> int:
        """What `VersionLimits.guild_wasm_bytes` bounds."""
        ((found,),) = self.repeatable(statements.GUILD_WASM_BYTES, {"guild_id": guild_id})
        return int(found)

    def confirm_upload(self, key: PluginKey, number: int) -> None:
        self.write(statements.CONFIRM_UPLOAD, {**key.parameters(), "number": number})

    def delete_version(self, key: PluginKey, number: int, change: AuditedChange) -> bool:
        """False for one that is in use as well."""
        return self._did(statements.DELETE_VERSION, key, change, {"number": number})

    def guild(self, guild_id: UUID) -> StoredGuild:
        ((row,),) = self.repeatable(statements.GUILD, {"guild_id": guild_id})
        return msgspec.convert(row, StoredGuild)

    def change_guild(self, guild_id: UUID, revision: int, keep_content: bool, change: AuditedChange) -> bool:
        parameters = {"guild_id": guild_id, "revision": revision, "keep_content": keep_content}
        return bool(self.write(statements.CHANGE_GUILD, {**parameters, **change.parameters()}))

    def audit(self, guild_id: UUID, plugin_id: UUID | None, before: int | None, limit: int) -> list[StoredAuditEntry]:
        """The newest first."""
        parameters = {"guild_id": guild_id, "plugin_id": plugin_id, "before": before, "limit": limit}
        return self._all(statements.AUDIT, parameters, StoredAuditEntry)

    def runs(self, key: PluginKey, conditions: RunFilter, before: TimeKey | None, limit: int) -> list[StoredRun]:
        """The newest first."""
        before_at, before_id = before or (None, None)
        parameters = {
            **key.parameters(),
            "outcome": conditions.outcome,
            "version": conditions.version,
            "message_id": conditions.message_id,
            "since": conditions.since,
            "until": conditions.until,
            "before_at": before_at,
            "before_id": before_id,
            "limit": limit,
        }
        return self._all(statements.SHADOW_RUNS if conditions.shadow else statements.RUNS, parameters, StoredRun)

    def run(self, key: PluginKey, run_id: UUID) -> StoredFullRun | None:
        """A live one, or a shadow's."""
        parameters = {**key.parameters(), "run_id": run_id, "message_id": None}
        return self._one(statements.RUN, parameters, StoredFullRun) or self._one(
            statements.SHADOW_RUN, parameters, StoredFullRun
        )

    def run_on(self, key: PluginKey, message_id: UUID) -> StoredFullRun | None:
        """The live one."""
        return self._one(statements.RUN, {**key.parameters(), "run_id": None, "message_id": message_id}, StoredFullRun)

    def usage(self, key: PluginKey, hours: int) -> list[StoredUsage]:
        """Hours without a run are left out."""
        return self._all(statements.USAGE, {**key.parameters(), "hours": hours}, StoredUsage)

    def trial_inputs(self, key: PluginKey, version_id: UUID) -> TrialInputs | None:
        return self._one(statements.TRIAL, {**key.parameters(), "version_id": version_id}, TrialInputs)

    def message_traces(self, key: PluginKey, message_id: UUID) -> MessageTraces | None:
        return self._one(statements.MESSAGE_TRACES, {**key.parameters(), "message_id": message_id}, MessageTraces)

    def charge(self, actor_id: UUID, cost: int) -> tuple[int, float]:
        """Count requests of an actor. Returns the cost of the actor's requests in this minute, these included, and the
        seconds until the next minute.
        """
        # Repeatable: a charge that is counted twice because a connection broke does little harm.
        used, seconds_left = self.repeatable(statements.CHARGE, {"actor_id": str(actor_id), "cost": cost})[0]
        return used, seconds_left

    def applied_migrations(self) -> frozenset[str]:
        """Fails if there was never any."""
        return frozenset(name for (name,) in self.repeatable(statements.APPLIED_MIGRATIONS, {}))

    def _did(self, query: LiteralString, key: PluginKey, change: AuditedChange, parameters: Mapping[str, Any]) -> bool:
        return bool(self.write(query, {**parameters, **key.parameters(), **change.parameters()}))

    def _one(self, query: LiteralString, parameters: Mapping[str, Any], kind: type[Record]) -> Record | None:
        rows = self._all(query, parameters, kind)
        return rows[0] if rows else None

    def _all(self, query: LiteralString, parameters: Mapping[str, Any], kind: type[Record]) -> list[Record]:
        return [msgspec.convert(row, kind) for (row,) in self.repeatable(query, parameters)]
