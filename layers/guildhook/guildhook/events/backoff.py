"""Pauses that double with each failure, and their jitter."""

import random
from dataclasses import dataclass
from typing import Final

_MOST_DOUBLINGS: Final = 60
"""More of them would make a number that no float holds."""


def doubled(first_seconds: float, doublings: int, longest_seconds: float) -> float:
    """Return `first_seconds`, doubled so many times, and `longest_seconds` at the most."""
    return min(first_seconds * 2.0 ** min(doublings, _MOST_DOUBLINGS), longest_seconds)


def jittered(longest_seconds: float, *, shortest_seconds: float = 0) -> float:
    """Draw a pause, so that clients that failed at the same time do not all return at the same time."""
    return random.uniform(shortest_seconds, longest_seconds)  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The rule for how long a message that failed stays invisible in the queue."""

    first_seconds: int = 10
    """The first pause. Each pause is twice as long as the one before, and half of it is jitter."""
    longest_seconds: int = 900
    """The longest pause, unless the chat API asks for a longer one."""

    def seconds(self, receive_count: int) -> float:
        """Draw the pause of a message that the queue has handed out `receive_count` times; half of it is jitter."""
        longest = doubled(self.first_seconds, receive_count - 1, self.longest_seconds)
        return jittered(longest, shortest_seconds=longest / 2)
