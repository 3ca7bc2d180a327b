"""The limit on requests of one actor within a minute."""

import math
from typing import Final

from guildhook.admin.tokens import Actor
from guildhook.store.admin import AdminStore

REQUEST_COST: Final = 1
"""The cost of a request, of which an admin has `GUILDHOOK_ADMIN_REQUESTS_PER_MINUTE`."""
TEST_RUN_COST: Final = 10
"""The cost of a test run or a replay, which keeps another function busy for up to a second."""
UPLOAD_COST: Final = 10
"""The cost of an upload, which is inspected and compiled."""


class TooManyRequestsError(Exception):
    """The actor has no requests left in this minute."""

    def __init__(self, retry_after_seconds: int, requests_per_minute: int) -> None:
        super().__init__(
            f"more than {requests_per_minute} requests in a minute, where a test run, a replay and an upload count as "
            f"{TEST_RUN_COST} requests each; try again in {retry_after_seconds} s"
        )
        self.retry_after_seconds = retry_after_seconds


class RateLimiter:
    def __init__(self, store: AdminStore, requests_per_minute: int) -> None:
        self._store = store
        self._requests_per_minute = requests_per_minute

    def charge(self, actor: Actor, cost: int = REQUEST_COST) -> None:
        """Count a request of the actor. Refused requests count as well.

        Raises TooManyRequestsError and InfrastructureError.
        """
        used, seconds_left = self._store.charge(actor.id, cost)
        if used > self._requests_per_minute:
            raise TooManyRequestsError(max(1, math.ceil(seconds_left)), self._requests_per_minute)
