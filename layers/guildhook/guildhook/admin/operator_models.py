"""The bodies of requests and answers of operators' routes. Units are part of the names; times are in UTC."""

from uuid import UUID

from guildhook.admin.models import AuditEntry, ResponseBody


class OperatorEntry(AuditEntry):
    """A change by an operator."""

    guild_id: UUID | None
    """Null if the change concerns no guild alone."""


class OperatorAuditPage(ResponseBody):
    items: list[OperatorEntry]
    next_cursor: str | None
