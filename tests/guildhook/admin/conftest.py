from collections.abc import Iterator
from typing import Any

import pytest

import samples
from admin_client import AdminSystem, Client, admin_system
from guildhook_local.stack import Servers, Stack, stack


@pytest.fixture(scope="module")
def system(running: Servers) -> Iterator[Stack]:
    """A stack for all tests of a file. Each test has a guild of its own."""
    with stack(running, environment={"GUILDHOOK_LIMITS__DEADLINE_MS": str(samples.DEADLINE_MS)}) as system:
        yield system


@pytest.fixture
def admin(system: Stack) -> AdminSystem:
    """A guild with a manager."""
    return admin_system(system)


@pytest.fixture
def client(admin: AdminSystem) -> Client:
    """A client that is signed in as the guild's manager."""
    return admin.client()


@pytest.fixture
def plugin(client: Client) -> dict[str, Any]:
    """A new plugin, as the API returns it."""
    created: dict[str, Any] = client.post("/plugins", {"name": "Greeter"}).ok(201)
    return created
