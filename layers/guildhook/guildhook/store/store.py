"""What a batch reads from Postgres and writes to it: one statement each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from guildhook.errors import InfrastructureError
from guildhook.model import (
    Artifact,
    Delivery,
    InstalledPlugin,
    MemoryType,
    Outcome,
    Refusal,
    RunResult,
    SendMessage,
)
from guildhook.store import queries
from guildhook.store.connection import connect, failed

RunKey = tuple[UUID, UUID]
"""Message id and plugin id."""

ArtifactKey = tuple[bytes, str]
"""Digest of the wasm and fingerprint of the engine."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run that an earlier delivery recorded, and what of it is still to be sent."""

    message_id: UUID
    plugin_id: UUID
    pending: tuple[SendMessage, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a batch needs to know before it runs anything."""

    plugins: Mapping[UUID, tuple[InstalledPlugin, ...]]
    """Enabled ones by guild, in the order of their creation."""
    runs: Mapping[RunKey, RecordedRun]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A finished run on its way into the outbox."""

    plugin: InstalledPlugin
    message_id: UUID
    message_time: datetime
    event_channel_id: UUID
    seed: int
    result: RunResult

    @property
    def key(self) -> RunKey:
        return self.message_id, self.plugin.id

    @property
    def memorable(self) -> bool:
        """Whether it leaves a row. Others are only counted: most runs of most plugins have nothing to say."""
        return bool(self.result.intents or self.result.logs or self.result.outcome is not Outcome.OK)


@dataclass(frozen=True, slots=True)
class Recorded:
    pending: frozenset[str]
    """Keys of the intents to deliver now; the others of these runs are refused."""
    lost: frozenset[RunKey]
    """Runs that another delivery of the same message recorded first."""


_ARTIFACT_COLUMNS = ("wasm_sha256", "engine", "sha256", "size", "object_sha256", "object_size")


class Store:
    """One connection, opened when it is first needed and again when it turns out to be dead."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._connection: psycopg.Connection | None = None

    def connect(self) -> None:
        """Open the connection ahead of its first use. Raises InfrastructureError."""
        if self._connection is None:
            self._connection = connect(self._url)

    def snapshot(self, guild_ids: Iterable[UUID], message_ids: Iterable[UUID], engine: str) -> Snapshot:
        """Raises InfrastructureError."""
        row = self._read(
            queries.SNAPSHOT,
            {"guild_ids": list(guild_ids), "message_ids": list(message_ids), "engine": engine},
        )[0]
        plugins: dict[UUID, tuple[InstalledPlugin, ...]] = {}
        for item in row[0]:
            plugin = _plugin(item, engine)
            plugins[plugin.guild_id] = (*plugins.get(plugin.guild_id, ()), plugin)
        runs = map(_recorded_run, row[1])
        return Snapshot(plugins, {(run.message_id, run.plugin_id): run for run in runs})

    def wasm(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The wasm of some plugins by its SHA-256. Raises InfrastructureError."""
        return dict(self._read(queries.WASM, {"digests": list(digests)}))

    def record(self, runs: Iterable[RunRecord]) -> Recorded:
        """Count every run and write the memorable ones with their intents, all or none.

        Intents for channels outside the plugin's guild are refused here. Raises InfrastructureError.
        """
        pending, lost = self._write(queries.RECORD, {"runs": Jsonb([_run_row(run) for run in runs])})[0]
        return Recorded(frozenset(pending), frozenset((UUID(m), UUID(p)) for m, p in lost))

    def settle(self, deliveries: Iterable[Delivery]) -> None:
        """Write what became of intents; a final state is never changed. Raises InfrastructureError."""
        columns = [(d.key, d.state.value, d.detail) for d in deliveries]
        keys, states, details = zip(*columns, strict=True)
        self._write(queries.SETTLE, {"keys": list(keys), "states": list(states), "details": list(details)})

    def artifact(self, wasm_sha256: bytes, engine: str) -> Artifact | None:
        """What is vouched for. Raises InfrastructureError."""
        rows = self._read(queries.ARTIFACT, {"wasm_sha256": wasm_sha256, "engine": engine})
        if not rows:
            return None
        sha256, size, object_sha256, object_size, memories = rows[0]
        return Artifact(wasm_sha256, engine, sha256, size, object_sha256, object_size, _memories(memories))

    def add_artifact(self, artifact: Artifact) -> None:
        """Vouch for a compiled module. Raises InfrastructureError."""
        memories = Jsonb([[memory.minimum, memory.maximum] for memory in artifact.memories])
        parameters = {name: getattr(artifact, name) for name in _ARTIFACT_COLUMNS}
        self._write(queries.ADD_ARTIFACT, {**parameters, "memories": memories})

    def add_refusal(self, wasm_sha256: bytes, engine: str, refusal: Refusal) -> None:
        """Raises InfrastructureError."""
        reason = refusal.reason.replace("\0", "")
        self._write(queries.ADD_REFUSAL, {"wasm_sha256": wasm_sha256, "engine": engine, "reason": reason})

    def uncompiled(self, engine: str) -> list[bytes]:
        """Digests of the wasm of enabled plugins that was never compiled for `engine`. Raises InfrastructureError."""
        return [digest for (digest,) in self._read(queries.UNCOMPILED, {"engine": engine})]

    def stale_artifacts(self, engine: str, days: int, limit: int) -> list[ArtifactKey]:
        """Of other engines than `engine` or of wasm that no plugin has, and older than `days`: the oldest ones.

        Raises InfrastructureError.
        """
        return self._read(queries.STALE_ARTIFACTS, {"engine": engine, "days": days, "limit": limit})

    def forget_artifacts(self, keys: Sequence[ArtifactKey]) -> None:
        """Raises InfrastructureError."""
        digests, engines = zip(*keys, strict=True)
        self._write(queries.FORGET_ARTIFACTS, {"digests": list(digests), "engines": list(engines)})

    def forget_stale_refusals(self, engine: str, days: int) -> None:
        """As `stale_artifacts` has it. Raises InfrastructureError."""
        self._write(queries.FORGET_STALE_REFUSALS, {"engine": engine, "days": days})

    def add_plugin(
        self,
        guild_id: UUID,
        name: str,
        wasm: bytes,
        settings: Mapping[str, Any],
        permissions: Iterable[str],
        description: str | None = None,
    ) -> UUID:
        """Install a plugin, enabled. Raises InfrastructureError."""
        parameters = {
            "guild_id": guild_id,
            "name": name,
            "description": description,
            "wasm": wasm,
            "settings": Jsonb(settings),
            "permissions": Jsonb(sorted(permissions)),
        }
        plugin_id: UUID = self._write(queries.ADD_PLUGIN, parameters)[0][0]
        return plugin_id

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self, query: Any, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        # A frozen Lambda wakes up with a socket that the other side has closed long ago: a read may be
        # repeated on a fresh connection, a write may have been carried out.
        reused = self._connection is not None
        try:
            return self._write(query, parameters)
        except InfrastructureError:
            if not reused:
                raise
            return self._write(query, parameters)

    def _write(self, query: Any, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if self._connection is None:
            self._connection = connect(self._url)
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, parameters)
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            self.close()
            raise failed(self._url, error) from None


def _plugin(item: Mapping[str, Any], engine: str) -> InstalledPlugin:
    wasm_sha256 = bytes.fromhex(item["wasm_sha256"])
    settings, permissions = item["settings"], item["permissions"]
    return InstalledPlugin(
        id=UUID(item["id"]),
        guild_id=UUID(item["guild_id"]),
        # The columns are JSON of any shape; what is not an object or a list grants and sets nothing.
        settings=settings if isinstance(settings, dict) else {},
        permissions=frozenset(p for p in permissions if isinstance(p, str))
        if isinstance(permissions, list)
        else frozenset(),
        wasm_sha256=wasm_sha256,
        compiled=_compiled(wasm_sha256, engine, item["artifact"], item["refusal"]),
    )


def _compiled(
    wasm_sha256: bytes, engine: str, artifact: Mapping[str, Any] | None, refusal: str | None
) -> Artifact | Refusal | None:
    if artifact:
        return Artifact(
            wasm_sha256=wasm_sha256,
            engine=engine,
            sha256=bytes.fromhex(artifact["sha256"]),
            size=artifact["size"],
            object_sha256=bytes.fromhex(artifact["object_sha256"]),
            object_size=artifact["object_size"],
            memories=_memories(artifact["memories"]),
        )
    return None if refusal is None else Refusal(refusal)


def _memories(pages: Iterable[tuple[int, int | None]]) -> tuple[MemoryType, ...]:
    return tuple(MemoryType(minimum, maximum) for minimum, maximum in pages)


def _recorded_run(item: Mapping[str, Any]) -> RecordedRun:
    pending = tuple(
        SendMessage(intent["key"], intent["position"], intent["channel_id"], intent["content"])
        for intent in item["pending"]
    )
    return RecordedRun(UUID(item["message_id"]), UUID(item["plugin_id"]), pending)


def _run_row(run: RunRecord) -> dict[str, Any]:
    result = run.result
    return {
        "message_id": str(run.message_id),
        "plugin_id": str(run.plugin.id),
        "guild_id": str(run.plugin.guild_id),
        "event_channel_id": str(run.event_channel_id),
        "outcome": result.outcome,
        "detail": result.detail,
        "fuel_used": result.fuel_used,
        "duration_us": result.duration_us,
        "host_calls": result.host_calls,
        "logs": list(result.logs),
        "seed": run.seed,
        "message_time": run.message_time.isoformat(),
        "memorable": run.memorable,
        "intents": [
            {
                "key": intent.key,
                "position": intent.position,
                "kind": intent.kind,
                "channel_id": intent.channel_id,
                "content": intent.content,
            }
            for intent in result.intents
        ],
    }
