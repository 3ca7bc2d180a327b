"""Does a piece of work once when several threads ask for it at the same time."""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import partial
from typing import Generic, NoReturn, TypeVar

from guildhook.errors import InfrastructureError

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class SingleFlight(Generic[Key, Result]):
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Key, Future[Result]] = {}

    def do(self, key: Key, work: Callable[[], Result], deadline: float) -> Result:
        """Call `work`, or wait for the thread that is calling it for this key. Returns or raises its result.

        A waiting thread raises TimeoutError at `deadline`, a time of time.monotonic(). `work` has its own limits.
        """
        flight, is_new = self._join(key)
        if is_new:
            self._fly(key, flight, work)
        return flight.result(seconds_until(deadline))

    def begin(self, key: Key, work: Callable[[], Result]) -> Future[Result]:
        """Call `work` in a thread of its own, unless a thread is calling it for this key. Returns without waiting.

        The result raises InfrastructureError if the system gives this process no further thread.
        """
        flight, is_new = self._join(key)
        if is_new:
            # A daemon: work that nobody waits for any more does not keep the process from ending.
            thread = threading.Thread(target=self._fly, args=(key, flight, work), name="flight", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more processes, or no memory for a stack
                # The flight must end, or every later request for this key would wait for a thread that does not exist.
                reason = f"the system gives this process no further thread: {error}"
                self._fly(key, flight, partial(_fail, InfrastructureError(reason)))
        return flight

    def _join(self, key: Key) -> tuple[Future[Result], bool]:
        """Return the flight, and whether it is to be begun."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            mine = self._flights[key] = Future()
            return mine, True

    def _fly(self, key: Key, flight: Future[Result], work: Callable[[], Result]) -> None:
        try:
            flight.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again in every thread that waits
            flight.set_exception(error)
        finally:
            with self._lock:
                del self._flights[key]


def _fail(error: Exception) -> NoReturn:
    raise error


def seconds_until(deadline: float) -> float:
    """The seconds until a time of time.monotonic(), as a timeout that threads accept."""
    return min(max(deadline - time.monotonic(), 0), threading.TIMEOUT_MAX)
