from collections.abc import Iterator

import pytest

import samples
from admin_client import AdminSystem, admin_system
from guildhook_local.stack import Servers, stack


@pytest.fixture(scope="module")
def admin(running: Servers) -> Iterator[AdminSystem]:
    """A guild with a manager, whose requests are not limited."""
    environment = {
        "GUILDHOOK_LIMITS__DEADLINE_MS": str(samples.DEADLINE_MS),
        "GUILDHOOK_ADMIN_REQUESTS_PER_MINUTE": "1000000",
    }
    with stack(running, environment=environment) as system:
        yield admin_system(system)
