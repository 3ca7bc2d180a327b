"""A circuit breaker: whoever does not answer is asked again only now and then, by one request at a time."""

import threading
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    channels: int = 5
    """Failures in so many of them, and an answer in none, open the circuit: no message that the server stumbles over,
    and no channel, stops all others.
    """
    pause_seconds: float = 5
    """Before one request is tried; twice as long after each that fails."""
    longest_pause_seconds: float = 60


# A request that was tried and never reported back was abandoned; another takes its place.
_TRIAL_SECONDS: Final = 30


class CircuitBreaker:
    """Of one server, for all threads of a process. Times are those of one clock, in seconds."""

    def __init__(self, rules: BreakerRules = BreakerRules()) -> None:
        self._rules = rules
        self._lock = threading.Lock()
        self._failed: set[str] = set()
        """Channels, since the last answer."""
        self._pause_seconds = rules.pause_seconds
        self._next_trial: float | None = None
        """None while the circuit is closed."""
        self._trying = False
        self._opened = 0

    @property
    def is_open(self) -> bool:
        return self._next_trial is not None

    def take_opened(self) -> int:
        """How often the circuit has opened since this was last asked."""
        with self._lock:
            opened, self._opened = self._opened, 0
            return opened

    def seconds_to_wait(self, now: float) -> float:
        """0 if a request may be made now. Whoever is told so while the circuit is open makes the trial."""
        with self._lock:
            if self._next_trial is None:
                return 0
            if now < self._next_trial:
                return self._next_trial - now
            self._trying, self._next_trial = True, now + _TRIAL_SECONDS
            return 0

    def succeeded(self) -> None:
        """The server answered."""
        with self._lock:
            self._failed.clear()
            self._trying, self._next_trial = False, None
            self._pause_seconds = self._rules.pause_seconds

    def failed(self, channel_id: str, now: float) -> None:
        """The server did not answer, or not as it should."""
        with self._lock:
            if self._next_trial is None:
                self._failed.add(channel_id)
                if len(self._failed) < self._rules.channels:
                    return
                self._opened += 1
            elif self._trying:
                self._trying = False
                self._pause_seconds = min(2 * self._pause_seconds, self._rules.longest_pause_seconds)
            else:
                return  # it was under way when the circuit opened
            self._next_trial = now + self._pause_seconds
