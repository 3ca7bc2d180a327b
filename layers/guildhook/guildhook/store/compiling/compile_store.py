"""The client of compile_plugin: vouches for artifacts, and moves versions forward. A transition is one statement."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from psycopg.types.json import Json, Jsonb

from guildhook.model import Artifact, MemoryType, Refusal, RefusalKind
from guildhook.store.compiling.version_check import UncheckedVersion, VersionFindings
from guildhook.store.session import Session
from guildhook.store.statements import read_statements
from guildhook.store.time_limits import TimeLimits

ArtifactKey = tuple[bytes, str]
"""SHA-256 of the wasm and fingerprint of the engine."""

_ARTIFACT_COLUMNS = ("wasm_sha256", "engine", "sha256", "size", "object_sha256", "object_size", "signature")


class CompileStore(Session):
    """All methods raise InfrastructureError."""

    statements = read_statements("compiling/artifacts.sql", "compiling/versions.sql", "wasm.sql")
    limits = TimeLimits(statement=45, lock=10)

    def wasm(self, digests: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Return the wasm of plugins and versions by its SHA-256."""
        return dict(self.repeatable("wasm", {"digests": list(digests)}))

    def artifact(self, wasm_sha256: bytes, engine: str) -> Artifact | None:
        """Return the artifact that is recorded with a signature. The caller verifies it."""
        found = self.repeatable("artifact", {"wasm_sha256": wasm_sha256, "engine": engine})
        if not found:
            return None
        sha256, size, object_sha256, object_size, memories, signature = found[0]
        types = tuple(MemoryType(*pages) for pages in memories)
        return Artifact(wasm_sha256, engine, sha256, size, object_sha256, object_size, types, signature)

    def add_artifact(self, artifact: Artifact) -> None:
        """Vouch for a compiled module."""
        memories = Jsonb([[memory.minimum, memory.maximum] for memory in artifact.memories])
        parameters = {name: getattr(artifact, name) for name in _ARTIFACT_COLUMNS}
        self.write("add_artifact", {**parameters, "memories": memories})

    def add_refusal(self, wasm_sha256: bytes, engine: str, refusal: Refusal) -> None:
        parameters = {"wasm_sha256": wasm_sha256, "engine": engine, "reason": _storable(refusal.reason)}
        self.write("add_refusal", {**parameters, "kind": refusal.kind})

    def refusal(self, wasm_sha256: bytes, engine: str) -> Refusal | None:
        for reason, kind in self.repeatable("refusal", {"wasm_sha256": wasm_sha256, "engine": engine}):
            return Refusal(reason, RefusalKind(kind))
        return None

    def reserve(self, wasm_sha256: bytes, engine: str, seconds: float) -> bool:
        """Reserve a compile for the caller. Returns False while it is reserved for another one."""
        parameters = {"wasm_sha256": wasm_sha256, "engine": engine, "seconds": float(seconds)}
        return bool(self.write("reserve", parameters))

    def release(self, wasm_sha256: bytes, engine: str) -> None:
        """End a reservation before its time."""
        self.write("release", {"wasm_sha256": wasm_sha256, "engine": engine})

    def add_failure(self, wasm_sha256: bytes, engine: str, reason: str, pauses: Sequence[float]) -> float | None:
        """Count a compile that failed through no fault of the plugin. `pauses` are those after each try but the last.

        Returns the seconds until the next try, or None after the last one.
        """
        parameters = {"wasm_sha256": wasm_sha256, "engine": engine, "reason": _storable(reason)}
        seconds: float | None = self.write("add_failure", {**parameters, "pauses": [float(pause) for pause in pauses]})[
            0
        ][0]
        return seconds

    def awaits_try(self, wasm_sha256: bytes, engine: str) -> bool:
        """Return whether a compile has failed and its next try is not due yet."""
        return bool(self.repeatable("awaits_try", {"wasm_sha256": wasm_sha256, "engine": engine})[0][0])

    def try_failed_again(self, engine: str) -> None:
        """Let the next request for each wasm whose compile failed begin with its first try."""
        self.write("try_failed_again", {"engine": engine})

    def forget_refusals(self, engine: str, kind: RefusalKind) -> None:
        self.write("forget_refusals", {"engine": engine, "kind": kind})

    def uncompiled(self, engine: str, public_key: bytes) -> list[bytes]:
        """Return the digests of the wasm of enabled plugins that was neither compiled for `engine` and signed with this
        key, nor refused. Those whose compile has failed come first.
        """
        parameters = {"engine": engine, "public_key": public_key}
        return [digest for (digest,) in self.repeatable("uncompiled", parameters)]

    def stale_artifacts(self, engine: str, days: int, limit: int) -> list[ArtifactKey]:
        """Return the oldest artifacts older than `days` that are for other engines than `engine`, or for wasm that
        no plugin has.
        """
        return self.repeatable("stale_artifacts", {"engine": engine, "days": days, "limit": limit})

    def forget_artifacts(self, keys: Sequence[ArtifactKey]) -> None:
        digests, engines = zip(*keys, strict=True)
        self.write("forget_artifacts", {"digests": list(digests), "engines": list(engines)})

    def forget_stale_refusals(self, engine: str, days: int) -> None:
        """Delete refusals that are stale in the sense of `stale_artifacts`."""
        self.write("forget_stale_refusals", {"engine": engine, "days": days})

    def forget_stale_failures(self, days: int) -> None:
        """Delete failed compiles, older than `days`, of wasm that no plugin has, and reservations that have ended."""
        self.write("forget_stale_failures", {"days": days})

    def begin(self, version_id: UUID, *, stored: bool) -> UncheckedVersion | None:
        """Move a version to `checking`, unless it is further. Returns None if no such version is unfinished.

        With `stored`, only a version is found whose wasm is in Postgres, or was once found in the bucket.
        """
        for found_id, state, wasm_sha256, wasm_bytes, wasm in self.repeatable(
            "begin", {"id": version_id, "stored": stored}
        ):
            return UncheckedVersion(found_id, state == "compiling", wasm_sha256, wasm_bytes, wasm)
        return None

    def accept(self, version_id: UUID, wasm: bytes, findings: VersionFindings) -> bool:
        """Store the wasm with the findings, and move the version to `compiling`.

        Returns False if the version is gone or finished.
        """
        schema = findings.settings_schema
        parameters = {
            "id": version_id,
            "wasm": wasm,
            "warnings": Jsonb(list(findings.warnings)),
            "imports": Jsonb(list(findings.imports)),
            "unavailable": Jsonb(list(findings.unavailable)),
            "needs": Jsonb(sorted(findings.needs)),
            "settings_schema": None if schema is None else Json(schema),
        }
        return bool(self.write("accept", parameters))

    def ready(self, version_id: UUID) -> bool:
        """Move a version from `compiling` to `ready`. Returns False if it is gone or finished."""
        return bool(self.write("ready", {"id": version_id}))

    def refuse(self, version_id: UUID, reasons: Sequence[str]) -> bool:
        """Move a version to `refused`. Returns False if it is gone or finished."""
        parameters = {"id": version_id, "reasons": Jsonb([_storable(reason) for reason in reasons])}
        return bool(self.write("refuse", parameters))

    def ready_sha256(self, version_id: UUID) -> bytes | None:
        """Return the digest of a version's wasm, or None if the version is not ready."""
        return next((digest for (digest,) in self.repeatable("ready_sha256", {"id": version_id})), None)

    def ready_wasm(self, version_id: UUID) -> bytes | None:
        """Return a version's wasm, or None if the version is not ready."""
        return next((wasm for (wasm,) in self.repeatable("ready_wasm", {"id": version_id})), None)


def _storable(reason: str) -> str:
    # Names in a reason are the plugin author's, and Postgres stores no NUL in a text.
    return reason.replace("\0", "")
