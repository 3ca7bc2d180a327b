"""Tests the time limits of statements: at the client, with a lock that another connection holds."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import ClassVar

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from guildhook.errors import InfrastructureError, TimeLimitError
from guildhook.store import Database
from guildhook.store.session import Session
from guildhook.store.statements import parse_statements
from guildhook.store.time_limits import TimeLimits

SOON = 0.3


class Numbers(Session):
    limits = TimeLimits(statement=20, lock=10)
    statements: ClassVar = parse_statements("""
-- name: create
CREATE TABLE numbers (number INTEGER);

-- name: read
SELECT number FROM numbers;

-- name: add
INSERT INTO numbers VALUES (:'number');

-- name: drip
SELECT repeat('x', 10000), pg_sleep(0.001) FROM generate_series(1, 1000000);

-- name: divide
SELECT 1 / :'number'::INTEGER;
""")


@pytest.fixture
def numbers(empty_database):
    with closing(Numbers(Database(empty_database))) as session:
        session.write("create", {})
        yield session


@contextmanager
def locked(url: str, table: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url) as holder:
        holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield holder


def is_held(holder):
    return holder.info.transaction_status is TransactionStatus.INTRANS


@pytest.mark.parametrize(("execute", "statement"), [("repeatable", "read"), ("write", "add")])
def test_a_statement_that_waits_for_a_lock_ends_at_the_deadline_and_the_session_goes_on(
    numbers, empty_database, execute, statement
):
    with locked(empty_database, "numbers") as holder:
        with (
            numbers.within(time.monotonic() + SOON),
            pytest.raises(TimeLimitError, match="did not answer in the time that was left; the connection is closed"),
        ):
            getattr(numbers, execute)(statement, {"number": 1})
        assert is_held(holder)
    assert numbers.write("add", {"number": 2}) == []
    assert (2,) in numbers.repeatable("read", {})


def test_the_server_cancels_a_statement_that_was_given_up_while_the_lock_is_still_held(numbers, empty_database):
    """Servers of the embedded stack look every second if the client is gone, as the roles of the functions have it."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with locked(empty_database, "numbers") as holder:
        with numbers.within(time.monotonic() + SOON), pytest.raises(TimeLimitError):
            numbers.write("add", {"number": 1})
        with psycopg.connect(empty_database, autocommit=True) as observer:
            while observer.execute(waiting).fetchall():
                pass
        assert is_held(holder)
    assert numbers.repeatable("read", {}) == []


def test_an_answer_that_never_ends_ends_at_the_deadline(numbers):
    with numbers.within(time.monotonic() + SOON), pytest.raises(TimeLimitError):
        numbers.repeatable("drip", {})


def test_no_statement_is_sent_after_the_deadline(numbers):
    with numbers.within(time.monotonic()), pytest.raises(TimeLimitError, match="no time is left"):
        numbers.write("add", {"number": 1})
    assert numbers.repeatable("read", {}) == []


def test_an_inner_deadline_never_extends_the_outer_one(numbers):
    with numbers.within(time.monotonic()):
        with numbers.within(time.monotonic() + 3_600), pytest.raises(TimeLimitError):
            numbers.repeatable("read", {})
        with pytest.raises(TimeLimitError):
            numbers.repeatable("read", {})
    assert numbers.repeatable("read", {}) == []


def test_a_connection_is_opened_only_if_there_is_time_for_it(empty_database):
    with closing(Numbers(Database(empty_database))) as session:
        with session.within(time.monotonic() + 1), pytest.raises(TimeLimitError, match="no time is left to connect"):
            session.connect()
        with session.within(time.monotonic() + 60):
            session.connect()


def test_limits_of_the_server_are_named_and_nothing_is_repeated(numbers, empty_database):
    """The role has lock_timeout, as the roles of the functions have."""
    numbers.close()
    with psycopg.connect(empty_database, autocommit=True) as connection:
        ((name,),) = connection.execute("SELECT current_database()")
        connection.execute(f'ALTER DATABASE "{name}" SET lock_timeout = 100')
    with closing(Numbers(Database(empty_database))) as session:
        session.connect()
        with locked(empty_database, "numbers") as holder:
            with pytest.raises(TimeLimitError, match="canceling statement due to lock timeout"):
                session.repeatable("read", {})
            assert is_held(holder)


def test_other_failures_are_told_apart(numbers):
    with numbers.within(time.monotonic() + 60), pytest.raises(InfrastructureError) as raised:
        numbers.write("divide", {"number": 0})
    assert not isinstance(raised.value, TimeLimitError)


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "guildhook.store.session"]


def test_a_role_without_limits_of_the_server_is_named_once(empty_database, caplog):
    with psycopg.connect(empty_database, autocommit=True) as connection:
        ((name, role),) = connection.execute("SELECT current_database(), current_user")
        connection.execute(f'ALTER DATABASE "{name}" RESET ALL')
        connection.execute(f"ALTER DATABASE \"{name}\" SET lock_timeout = '5s'")
    with closing(Numbers(Database(empty_database))) as session:
        for _ in range(2):
            session.connect()
            session.close()
    (line,) = warnings(caplog)
    assert f"the role {role} has no statement_timeout, idle_in_transaction_session_timeout in the database" in line
    assert "docs/upgrades.md" in line


def test_a_role_with_limits_is_not_named(numbers, caplog):
    assert warnings(caplog) == []
