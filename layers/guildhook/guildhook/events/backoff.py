"""How long a message that failed stays invisible in the queue: longer each time."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    first_seconds: int = 10
    longest_seconds: int = 900

    def seconds(self, receive_count: int) -> float:
        """`receive_count` is how often the queue has handed out the message. Half of the time is drawn, so that what
        failed together does not come back together.
        """
        longest = min(self.first_seconds * 2.0 ** min(receive_count - 1, 60), self.longest_seconds)
        return random.uniform(longest / 2, longest)  # noqa: S311 - no secret
