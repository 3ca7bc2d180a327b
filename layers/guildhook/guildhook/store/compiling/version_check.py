"""The input and the result of a version's check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from guildhook.model import Permission


@dataclass(frozen=True, slots=True)
class UncheckedVersion:
    """A version whose check has begun."""

    id: UUID
    accepted: bool
    """True if its wasm is stored already and only has to be compiled."""
    wasm_sha256: bytes
    """The announced digest."""
    wasm_bytes: int
    """The announced size."""
    wasm: bytes | None
    """None if the file is still in the bucket."""


@dataclass(frozen=True, slots=True)
class VersionFindings:
    """The properties of a version that admins see before it goes live."""

    warnings: Sequence[str]
    imports: Sequence[str]
    unavailable: Sequence[str]
    needs: frozenset[Permission]
    settings_schema: Mapping[str, Any] | None
