"""Signals wait until the guest is done.

Python runs a signal's handler between any two instructions of the main thread, so also at the start of a host function,
before it can catch anything. What a handler raises there (KeyboardInterrupt, a timeout) would leave through wasmtime,
which ends the process.
"""

# The public module makes enums of signals and handlers: 45 µs for all of them, against 5 µs.
import _signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

_SIGNALS: Final[tuple[int, ...]] = tuple(_signal.valid_signals())


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Signals that arrive meanwhile and have a handler in Python are raised again on leaving."""
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread alone
        return
    arrived: list[int] = []
    try:
        with ExitStack() as restoring:
            for number in _SIGNALS:
                handler = _signal.getsignal(number)
                if callable(handler):
                    restoring.callback(_signal.signal, number, handler)
                    _signal.signal(number, lambda number, _frame: arrived.append(number))
            yield
    finally:
        for number in arrived:
            _signal.raise_signal(number)
