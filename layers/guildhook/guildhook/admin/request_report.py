"""The report of a request, from which log and metrics are made."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RequestReport:
    """One answered request. It holds nothing of the request's or the answer's body."""

    operation: str
    """The operation id, or an empty text if the path is not a route of the API."""
    method: str
    status: int
    actor_id: UUID | None
    guild_id: str | None
    """The guild of the path, once the actor was found to manage it."""
    seconds: float
    problem: str | None
    """The problem with its detail for operators."""
    fault: Exception | None
    """The exception, if guildhook is at fault."""
