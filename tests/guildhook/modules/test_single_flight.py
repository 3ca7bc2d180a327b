import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from guildhook.errors import InfrastructureError
from guildhook.modules.single_flight import SingleFlight
from resource_limits import no_more_threads

IN_TIME = float("inf")


class Key:
    """A key that counts its look-ups; a look-up begins or joins a flight."""

    def __init__(self):
        self.looked_up = threading.Semaphore(0)

    def __hash__(self):
        self.looked_up.release()
        return 1


@pytest.fixture
def together():
    """Lets threads request the same key at once; returns their results and the number of times the work was done."""

    def together(work, threads=4):
        flights, calls, key = SingleFlight(), [], Key()

        def once():
            calls.append(1)
            # After this many look-ups the flight has begun and all other threads have joined it.
            for _ in range(threads + 1):
                assert key.looked_up.acquire(timeout=10)
            return work()

        def ask(_):
            try:
                return flights.do(key, once, IN_TIME)
            except ValueError as error:
                return error

        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(ask, range(threads))), len(calls)

    return together


def test_one_thread_does_the_work_for_all(together):
    results, calls = together(object)
    assert all(result is results[0] for result in results)
    assert calls == 1


def test_all_threads_get_the_error_of_the_work(together):
    def fail():
        raise ValueError("no")

    results, calls = together(fail)
    assert [str(result) for result in results] == ["no"] * 4
    assert calls == 1


def test_a_later_call_does_the_work_again():
    flights = SingleFlight()
    with pytest.raises(IndexError):
        flights.do("key", [].pop, IN_TIME)
    assert flights.do("key", lambda: 0, IN_TIME) == 0
    assert flights.do("key", lambda: 1, IN_TIME) == 1


def test_a_thread_that_waits_stops_at_its_deadline_and_the_work_goes_on():
    flights, release = SingleFlight(), threading.Event()
    flight = flights.begin("key", lambda: release.wait(60))
    with pytest.raises(TimeoutError):
        flights.do("key", lambda: "done twice", deadline=0)
    assert not flight.done()
    assert flights.begin("key", lambda: "done twice") is flight
    release.set()
    assert flight.result(timeout=60) is True


def test_work_that_gets_no_thread_fails_and_a_later_call_begins_it_again():
    flights = SingleFlight()
    with no_more_threads():
        flight = flights.begin("key", lambda: "done")
    with pytest.raises(InfrastructureError, match="the system gives this process no further thread"):
        flight.result(timeout=0)
    assert flights.begin("key", lambda: "done").result(timeout=60) == "done"
