"""What a batch reads from Postgres and writes to it, one statement each; and what compiling and sweeping do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from guildhook.model import Artifact, Delivery, QuarantineRules, Refusal
from guildhook.store import queries, rows
from guildhook.store.records import BatchRecord, GivenUp, Recorded, Snapshot
from guildhook.store.session import Session

ArtifactKey = tuple[bytes, str]
"""Digest of the wasm and fingerprint of the engine."""

_ARTIFACT_COLUMNS = ("wasm_sha256", "engine", "sha256", "size", "object_sha256", "object_size")


class Store(Session):
    def snapshot(self, guild_ids: Iterable[UUID], message_ids: Iterable[UUID], engine: str) -> Snapshot:
        """Raises InfrastructureError."""
        parameters = {"guild_ids": list(guild_ids), "message_ids": list(message_ids), "engine": engine}
        return rows.snapshot(engine, *self.repeatable(queries.SNAPSHOT, parameters)[0])

    def wasm(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """The wasm of some plugins by its SHA-256. Raises InfrastructureError."""
        return dict(self.repeatable(queries.WASM, {"digests": list(digests)}))

    def record(self, batch: BatchRecord, rules: QuarantineRules) -> Recorded:
        """Write all that a batch leaves behind, or nothing of it.

        Intents for channels outside the plugin's guild are refused here. Raises InfrastructureError.
        """
        row = self.write(queries.RECORD, {**rows.batch_parameters(batch), **asdict(rules)})[0]
        return rows.recorded(*row)

    def settle(self, deliveries: Iterable[Delivery]) -> frozenset[str]:
        """Write what became of intents; a final state is never changed.

        Returns the keys of those whose plugin was deleted meanwhile. Raises InfrastructureError.
        """
        columns = [(d.key, d.state.value, d.detail) for d in deliveries]
        keys, states, details = zip(*columns, strict=True)
        parameters = {"keys": list(keys), "states": list(states), "details": list(details)}
        return frozenset(key for (key,) in self.repeatable(queries.SETTLE, parameters))

    def take_due(self, older_than_seconds: int, limit: int) -> list[tuple[UUID, UUID]]:
        """Guild and message ids of intents that have been pending for so long; for as long nobody else gets them.

        Raises InfrastructureError.
        """
        return self.write(queries.TAKE_DUE, {"older_than_seconds": older_than_seconds, "limit": limit})

    def give_up(self, older_than_hours: int, limit: int) -> list[GivenUp]:
        """Refuse intents of runs that are so old and still pending. Raises InfrastructureError."""
        return [GivenUp(*row) for row in self.write(queries.GIVE_UP, {"hours": older_than_hours, "limit": limit})]

    def forget_runs(self, older_than_days: int, limit: int) -> int:
        """Delete the oldest runs with their intents. Returns how many. Raises InfrastructureError."""
        return len(self.write(queries.FORGET_RUNS, {"days": older_than_days, "limit": limit}))

    def forget_usage(self, older_than_days: int, limit: int) -> int:
        """Delete the oldest counts of runs, and budgets of guilds that were quiet for so long. Returns how many.

        Raises InfrastructureError.
        """
        parameters = {"days": older_than_days, "limit": limit}
        return len(self.write(queries.FORGET_USAGE, parameters)) + len(self.write(queries.FORGET_BUDGETS, parameters))

    def artifact(self, wasm_sha256: bytes, engine: str) -> Artifact | None:
        """What is vouched for. Raises InfrastructureError."""
        found = self.repeatable(queries.ARTIFACT, {"wasm_sha256": wasm_sha256, "engine": engine})
        if not found:
            return None
        sha256, size, object_sha256, object_size, memories = found[0]
        return Artifact(wasm_sha256, engine, sha256, size, object_sha256, object_size, rows.memories(memories))

    def add_artifact(self, artifact: Artifact) -> None:
        """Vouch for a compiled module. Raises InfrastructureError."""
        memories = Jsonb([[memory.minimum, memory.maximum] for memory in artifact.memories])
        parameters = {name: getattr(artifact, name) for name in _ARTIFACT_COLUMNS}
        self.write(queries.ADD_ARTIFACT, {**parameters, "memories": memories})

    def add_refusal(self, wasm_sha256: bytes, engine: str, refusal: Refusal) -> None:
        """Raises InfrastructureError."""
        reason = refusal.reason.replace("\0", "")
        self.write(queries.ADD_REFUSAL, {"wasm_sha256": wasm_sha256, "engine": engine, "reason": reason})

    def uncompiled(self, engine: str) -> list[bytes]:
        """Digests of the wasm of enabled plugins that was never compiled for `engine`. Raises InfrastructureError."""
        return [digest for (digest,) in self.repeatable(queries.UNCOMPILED, {"engine": engine})]

    def stale_artifacts(self, engine: str, days: int, limit: int) -> list[ArtifactKey]:
        """Of other engines than `engine` or of wasm that no plugin has, and older than `days`: the oldest ones.

        Raises InfrastructureError.
        """
        return self.repeatable(queries.STALE_ARTIFACTS, {"engine": engine, "days": days, "limit": limit})

    def forget_artifacts(self, keys: Sequence[ArtifactKey]) -> None:
        """Raises InfrastructureError."""
        digests, engines = zip(*keys, strict=True)
        self.write(queries.FORGET_ARTIFACTS, {"digests": list(digests), "engines": list(engines)})

    def forget_stale_refusals(self, engine: str, days: int) -> None:
        """As `stale_artifacts` has it. Raises InfrastructureError."""
        self.write(queries.FORGET_STALE_REFUSALS, {"engine": engine, "days": days})

    def applied_migrations(self) -> frozenset[str]:
        """Raises InfrastructureError, also if there was never any."""
        return frozenset(name for (name,) in self.repeatable(queries.APPLIED_MIGRATIONS, {}))

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
        plugin_id: UUID = self.write(queries.ADD_PLUGIN, parameters)[0][0]
        return plugin_id
