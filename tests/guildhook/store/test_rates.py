from uuid import uuid4

import pytest

from guildhook.store.database import Database
from guildhook.store.rates import RateStore
from guildhook.store.session import Session


@pytest.fixture
def store(system):
    session = Session(Database(system.database_url))
    yield RateStore(session)
    session.close()


def test_a_charge_that_began_in_the_minute_before_counts_in_the_one_that_is_written_down(store, query):
    actor = uuid4()
    assert store.charge(actor, 3)[0] == 3
    query("UPDATE admin_requests SET minute = minute + interval '1 hour'")
    used, seconds_left = store.charge(actor, 4)
    assert used == 7
    assert 3_500 < seconds_left <= 3_660


def test_who_asks_no_more_is_forgotten_after_a_day(store, query):
    old, new = uuid4(), uuid4()
    store.charge(old, 1)
    query("UPDATE admin_requests SET minute = minute - interval '25 hours'")
    store.charge(new, 1)
    store.forget()
    assert query("SELECT actor_id FROM admin_requests") == [(str(new),)]
