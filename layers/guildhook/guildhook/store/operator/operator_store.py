"""The client of admin_api for operators. Each change is one statement with its entry in the audit log."""

from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from guildhook.store.operator.stored_entry import StoredOperatorEntry
from guildhook.store.session import Session
from guildhook.store.statements import read_statements
from guildhook.store.time_limits import TimeLimits

Record = TypeVar("Record")


class OperatorStore(Session):
    """All methods raise InfrastructureError. Lists are pages of at most `limit` records."""

    statements = read_statements("operator/audit.sql")
    limits = TimeLimits(statement=10, lock=5)

    def audit(self, guild_id: UUID | None, before: int | None, limit: int) -> list[StoredOperatorEntry]:
        """Return the newest changes by operators, in a guild or in all, whose id is lower than `before`."""
        parameters = {"guild_id": guild_id, "before": before, "limit": limit}
        return self._all("operators_audit", parameters, StoredOperatorEntry)

    def _all(self, statement: str, parameters: Mapping[str, Any], kind: type[Record]) -> list[Record]:
        """Return the rows of a statement whose one column is JSON."""
        return [msgspec.convert(row, kind) for (row,) in self.repeatable(statement, parameters)]
