"""Defers signals until the guest has returned.

Python runs the handler of a signal between any two instructions of the main thread, so possibly at the start of a host
function, before it can catch anything. An exception of the handler (KeyboardInterrupt, a timeout) would then leave
through wasmtime, which ends the process.
"""

# The public module converts signals and handlers to enums, which takes 45 µs for all signals instead of 5 µs.
import _signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

_SIGNALS: Final[tuple[int, ...]] = tuple(_signal.valid_signals())


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Signals with a handler in Python that arrive inside the block are raised again when it ends."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python runs handlers in the main thread only
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
