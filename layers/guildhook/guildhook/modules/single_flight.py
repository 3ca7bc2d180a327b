"""Does a piece of work once when several threads ask for it at the same time."""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


class SingleFlight(Generic[Key, Result]):
    def __init__(self) -> None:
        self._lock = Lock()
        self._flights: dict[Key, Future[Result]] = {}

    def do(self, key: Key, work: Callable[[], Result]) -> Result:
        """Call `work`, or wait for the thread that is calling it for this key. Returns or raises its result."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                mine = self._flights[key] = Future()
        if flight is not None:
            return flight.result()
        try:
            mine.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again below, in every thread that waits
            mine.set_exception(error)
        finally:
            with self._lock:
                del self._flights[key]
        return mine.result()
