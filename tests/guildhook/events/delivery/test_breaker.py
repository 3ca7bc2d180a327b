import pytest

from guildhook.events.delivery import BreakerRules, CircuitBreaker

RULES = BreakerRules(channels=3, pause_seconds=5, longest_pause_seconds=12)


@pytest.fixture
def breaker():
    return CircuitBreaker(RULES)


def fail(breaker, times, now):
    for channel in range(times):
        breaker.failed(str(channel), now)


def test_the_circuit_does_not_open_for_one_channel_that_fails_often(breaker):
    for _ in range(100):
        breaker.failed("a", now=0)
        breaker.failed("b", now=0)
    assert not breaker.is_open


def test_the_circuit_opens_after_failures_in_several_channels_without_an_answer_in_any(breaker):
    fail(breaker, 2, now=0)
    breaker.succeeded()
    fail(breaker, 2, now=0)
    assert (breaker.is_open, breaker.seconds_to_wait(0)) == (False, 0)
    breaker.failed("another", now=0)
    assert (breaker.is_open, breaker.seconds_to_wait(1)) == (True, 4)
    assert (breaker.take_opened(), breaker.take_opened()) == (1, 0)


def test_one_request_is_tried_when_the_pause_is_over_and_no_other_beside_it(breaker):
    fail(breaker, 3, now=0)
    assert breaker.seconds_to_wait(5) == 0
    assert breaker.seconds_to_wait(5) > 0
    breaker.succeeded()
    assert (breaker.is_open, breaker.seconds_to_wait(5)) == (False, 0)


def test_each_pause_is_twice_as_long_up_to_the_longest_and_an_answer_makes_it_short_again(breaker):
    fail(breaker, 3, now=0)
    now, pauses = 0, []
    for _ in range(3):
        now += breaker.seconds_to_wait(now)
        assert breaker.seconds_to_wait(now) == 0
        breaker.failed("a", now)
        pauses.append(breaker.seconds_to_wait(now))
    assert pauses == [10, 12, 12]
    breaker.succeeded()
    fail(breaker, 3, now)
    assert breaker.seconds_to_wait(now) == 5


def test_failures_of_requests_that_were_under_way_do_not_lengthen_the_pause(breaker):
    fail(breaker, 10, now=0)
    assert breaker.seconds_to_wait(0) == 5
    assert breaker.take_opened() == 1


def test_a_trial_that_never_reports_back_is_followed_by_another(breaker):
    fail(breaker, 3, now=0)
    assert breaker.seconds_to_wait(5) == 0
    wait = breaker.seconds_to_wait(5)
    assert 0 < wait < 60
    assert breaker.seconds_to_wait(5 + wait) == 0
