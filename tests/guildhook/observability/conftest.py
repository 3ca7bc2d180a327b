from collections.abc import Iterator

import pytest

from xray import Daemon, xray_daemon


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with xray_daemon() as daemon:
        yield daemon
