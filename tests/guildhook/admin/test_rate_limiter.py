from contextlib import closing
from uuid import uuid4

import pytest

from guildhook.admin.rate_limiter import TEST_RUN_COST, RateLimiter, TooManyRequestsError
from guildhook.admin.tokens import Actor
from guildhook.store import Database
from guildhook.store.admin import AdminStore


@pytest.fixture
def rates(system):
    with closing(AdminStore(Database(system.database_url))) as store:
        yield RateLimiter(store, 25)


def ada():
    return Actor(uuid4(), "Ada")


def charge(rates, actor, cost):
    """The seconds that the actor must wait, or None if the request is within the limit."""
    try:
        rates.charge(actor, cost)
    except TooManyRequestsError as error:
        return error.retry_after_seconds
    return None


def test_a_minute_has_so_many_requests_and_a_test_run_counts_as_ten(rates, query):
    actor, another = ada(), ada()
    rates.charge(actor, TEST_RUN_COST)
    # The minute must not end while the test runs.
    query("UPDATE admin_requests SET minute = date_trunc('minute', now() + interval '1 hour')")
    rates.charge(actor, TEST_RUN_COST)
    rates.charge(actor, 5)
    with pytest.raises(TooManyRequestsError, match="more than 25 requests in a minute") as raised:
        rates.charge(actor)
    assert 3_600 <= raised.value.retry_after_seconds <= 3_660
    rates.charge(another)


def test_the_next_minute_begins_with_nothing(rates, query):
    actor = ada()
    assert charge(rates, actor, 26)
    query("UPDATE admin_requests SET minute = minute - interval '1 minute'")
    assert charge(rates, actor, 25) is None
