"""What actors of the admin API have used of a minute."""

from typing import Final, LiteralString
from uuid import UUID

from guildhook.store.session import Session

# now() is when a transaction began: one that waited for the row may come with the minute before.
CHARGE: Final[LiteralString] = """
INSERT INTO admin_requests AS used (actor_id, minute, cost)
VALUES (%(actor_id)s, date_trunc('minute', now()), %(cost)s)
ON CONFLICT (actor_id) DO UPDATE SET
    minute = greatest(used.minute, excluded.minute),
    cost = CASE WHEN used.minute >= excluded.minute THEN used.cost ELSE 0 END + excluded.cost
RETURNING cost, extract(epoch FROM minute + interval '1 minute' - now())::float
"""

FORGET: Final[LiteralString] = """
DELETE FROM admin_requests WHERE minute < now() - interval '1 day'
"""


class RateStore:
    def __init__(self, session: Session) -> None:
        self._session = session

    def charge(self, actor_id: UUID, cost: int) -> tuple[int, float]:
        """What the actor has used of this minute with this, and the seconds until the next one.

        Raises InfrastructureError.
        """
        # Repeatable: who is charged twice when a connection breaks is not harmed much.
        parameters = {"actor_id": str(actor_id), "cost": cost}
        used, seconds_left = self._session.repeatable(CHARGE, parameters)[0]
        return used, seconds_left

    def forget(self) -> None:
        """Delete what is older than a day. Raises InfrastructureError."""
        self._session.write(FORGET, {})
