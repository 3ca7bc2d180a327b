"""A change that an admin makes, and its entry in the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb


@dataclass(frozen=True, slots=True)
class AuditedChange:
    """The actor and the action that the audit log records. `detail` must not hold the value of a setting."""

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


class StoredAuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    at: datetime
    plugin_id: UUID | None
    actor_id: str
    actor_name: str
    actor_kind: str
    """admin or operator"""
    action: str
    detail: dict[str, Any]
