from collections.abc import Iterator

import pytest
from guildhook.sandbox import Engine

from guildhook_local.stack import Servers, Stack, servers, stack


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="session")
def running() -> Iterator[Servers]:
    """Postgres and moto, once for each process of the test run."""
    with servers() as running:
        yield running


@pytest.fixture
def system(running: Servers) -> Iterator[Stack]:
    """A stack with a database, queue, bucket and chat server of its own; what fails comes back at once."""
    with stack(running, visibility_timeout_seconds=0, max_receive_count=3) as system:
        yield system
