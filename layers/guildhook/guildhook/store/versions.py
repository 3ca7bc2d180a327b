"""What compiling and sweeping read of versions, and write to them. A transition is one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Json, Jsonb

from guildhook.model import Permission
from guildhook.store import version_queries as queries
from guildhook.store.session import Session


@dataclass(frozen=True, slots=True)
class UncheckedVersion:
    """A version whose check has begun."""

    id: UUID
    accepted: bool
    """Its wasm is stored, and what is left is to compile it."""
    wasm_sha256: bytes
    """As announced."""
    wasm_bytes: int
    """The same."""
    wasm: bytes | None
    """None where it is still in the bucket."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a version is, as far as admins must know before it goes live."""

    imports: Sequence[str]
    unavailable: Sequence[str]
    needs: frozenset[Permission]
    settings_schema: Mapping[str, Any] | None


class VersionStore(Session):
    def begin(self, version_id: UUID, *, stored: bool) -> UncheckedVersion | None:
        """Move a version to `checking`, unless it is further; None if there is none that is unfinished.

        With `stored`, only one whose wasm is in Postgres. Raises InfrastructureError.
        """
        for found_id, state, wasm_sha256, wasm_bytes, wasm in self.repeatable(
            queries.BEGIN, {"id": version_id, "stored": stored}
        ):
            return UncheckedVersion(found_id, state == "compiling", wasm_sha256, wasm_bytes, wasm)
        return None

    def accept(self, version_id: UUID, wasm: bytes, findings: Findings) -> bool:
        """Store the wasm with what was found, and move the version to `compiling`; False if it is gone or finished.

        Raises InfrastructureError.
        """
        schema = findings.settings_schema
        parameters = {
            "id": version_id,
            "wasm": wasm,
            "imports": Jsonb(list(findings.imports)),
            "unavailable": Jsonb(list(findings.unavailable)),
            "needs": Jsonb(sorted(findings.needs)),
            "settings_schema": None if schema is None else Json(schema),
        }
        return bool(self.write(queries.ACCEPT, parameters))

    def ready(self, version_id: UUID) -> bool:
        """Of one that is `compiling`; False if it is gone or finished. Raises InfrastructureError."""
        return bool(self.write(queries.READY, {"id": version_id}))

    def refuse(self, version_id: UUID, reasons: Sequence[str]) -> bool:
        """False if it is gone or finished. Raises InfrastructureError."""
        return bool(self.write(queries.REFUSE, {"id": version_id, "reasons": _reasons(reasons)}))

    def ready_sha256(self, version_id: UUID) -> bytes | None:
        """Digest of the wasm of a version that is ready; None if it is not. Raises InfrastructureError."""
        return next((digest for (digest,) in self.repeatable(queries.READY_SHA256, {"id": version_id})), None)

    def ready_wasm(self, version_id: UUID) -> bytes | None:
        """None if it is not ready. Raises InfrastructureError."""
        return next((wasm for (wasm,) in self.repeatable(queries.READY_WASM, {"id": version_id})), None)

    def forget_abandoned(self, older_than_hours: int, limit: int) -> int:
        """Delete versions whose file never came. Returns how many. Raises InfrastructureError."""
        return len(self.write(queries.FORGET_ABANDONED, {"hours": older_than_hours, "limit": limit}))

    def refuse_stuck(self, older_than_minutes: int, reason: str, limit: int) -> list[tuple[UUID, UUID]]:
        """Refuse versions whose check was begun so long ago and has not ended. Returns ids of them and their plugins.

        Raises InfrastructureError.
        """
        parameters = {"minutes": older_than_minutes, "reasons": _reasons([reason]), "limit": limit}
        return self.write(queries.REFUSE_STUCK, parameters)

    def adopt(self, limit: int) -> list[UUID]:
        """Make live versions of wasm that was written into plugins directly. Returns their ids, to be checked.

        Raises InfrastructureError.
        """
        return [version_id for (version_id,) in self.write(queries.ADOPT, {"limit": limit})]

    def take_unchecked(self, older_than_minutes: int, limit: int) -> list[UUID]:
        """Adopted versions whose check nobody has begun for so long; for as long nobody else gets them.

        Raises InfrastructureError.
        """
        parameters = {"minutes": older_than_minutes, "limit": limit}
        return [version_id for (version_id,) in self.write(queries.TAKE_UNCHECKED, parameters)]

    def forget_audit(self, older_than_days: int, limit: int) -> int:
        """Delete the oldest entries. Returns how many. Raises InfrastructureError."""
        return len(self.write(queries.FORGET_AUDIT, {"days": older_than_days, "limit": limit}))

    def forget_shadow_runs(self, older_than_days: int, limit: int) -> int:
        """Delete the oldest ones. Returns how many. Raises InfrastructureError."""
        return len(self.write(queries.FORGET_SHADOW_RUNS, {"days": older_than_days, "limit": limit}))

    def forget_requests(self, older_than_hours: int, limit: int) -> int:
        """Delete how much of the API people used that long ago. Returns how many. Raises InfrastructureError."""
        return len(self.write(queries.FORGET_REQUESTS, {"hours": older_than_hours, "limit": limit}))


def _reasons(reasons: Sequence[str]) -> Jsonb:
    # Names in them are the author's, and Postgres stores no NUL.
    return Jsonb([reason.replace("\0", "") for reason in reasons])
