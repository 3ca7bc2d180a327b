"""A circuit breaker: a server that does not answer is tried only now and then, with one request at a time."""

import threading
from dataclasses import dataclass
from typing import Final

from guildhook.events.backoff import doubled


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    channels: int = 5
    """Failures in so many channels, without an answer in any, open the circuit. A single message that the server
    cannot handle, or a single channel, thus does not stop all others.
    """
    pause_seconds: float = 5
    """The pause before one request is tried. It doubles with each trial that fails."""
    longest_pause_seconds: float = 60


# A trial that has not reported back by then counts as abandoned, and another request is tried.
_TRIAL_SECONDS: Final = 30


class CircuitBreaker:
    """The circuit of one server, shared by all threads of a process. Times are seconds of one clock."""

    def __init__(self, rules: BreakerRules = BreakerRules()) -> None:
        self._rules = rules
        self._lock = threading.Lock()
        self._failed_channels: set[str] = set()
        """The channels that failed since the last answer."""
        self._failed_trials = 0
        self._next_trial: float | None = None
        """The time of the next trial; None while the circuit is closed."""
        self._trying = False
        self._opened = 0

    @property
    def is_open(self) -> bool:
        return self._next_trial is not None

    def take_opened(self) -> int:
        """Return how often the circuit has opened since the last call."""
        with self._lock:
            opened, self._opened = self._opened, 0
            return opened

    def seconds_to_wait(self, now: float) -> float:
        """Return 0 if a request may be made now. While the circuit is open, that request is the trial."""
        with self._lock:
            if self._next_trial is None:
                return 0
            if now < self._next_trial:
                return self._next_trial - now
            self._trying, self._next_trial = True, now + _TRIAL_SECONDS
            return 0

    def succeeded(self) -> None:
        """Note that the server answered."""
        with self._lock:
            self._failed_channels.clear()
            self._failed_trials = 0
            self._trying, self._next_trial = False, None

    def failed(self, channel_id: str, now: float) -> None:
        """Note that the server did not answer, or answered with an error of its own."""
        with self._lock:
            if self._next_trial is None:
                self._failed_channels.add(channel_id)
                if len(self._failed_channels) < self._rules.channels:
                    return
                self._opened += 1
            elif self._trying:
                self._trying = False
                self._failed_trials += 1
            else:
                return  # this request was under way when the circuit opened
            pause = doubled(self._rules.pause_seconds, self._failed_trials, self._rules.longest_pause_seconds)
            self._next_trial = now + pause
