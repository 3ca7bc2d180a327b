"""Rows that operators read, as stored."""

from uuid import UUID

from guildhook.store.admin.audit_log import StoredAuditEntry


class StoredOperatorEntry(StoredAuditEntry, frozen=True, kw_only=True):
    guild_id: UUID | None
    """None if the change concerns no guild alone."""
