import signal
import threading
from collections.abc import Callable

import pytest

from guildhook.sandbox.signals import deferred_signals


@pytest.fixture(autouse=True)
def handlers(default_interrupt):
    """Restores the signal handlers after a test."""
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def interrupted(then: Callable[[], object]) -> None:
    with deferred_signals():
        signal.raise_signal(signal.SIGINT)
        then()


def test_an_interrupt_comes_after_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(lambda: done.append("the rest"))
    assert done == ["the rest"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_programs_own_is_called_once_for_each_signal():
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: seen.append(number))
    with deferred_signals():
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        assert seen == []
    assert seen == [signal.SIGUSR1] * 2


def test_a_signal_is_not_lost_when_the_block_fails():
    with pytest.raises(KeyboardInterrupt) as raised:
        interrupted(lambda: int("the block's own"))
    assert isinstance(raised.value.__context__, ValueError)


def test_signals_without_a_handler_in_python_are_left_alone():
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    with deferred_signals():
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN


def test_another_thread_has_nothing_to_defer():
    failures = []

    def run() -> None:
        try:
            with deferred_signals():
                pass
        except ValueError as error:  # signal.signal raises it outside the main thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []
