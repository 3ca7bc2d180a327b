from collections.abc import Callable, Iterator
from typing import Any

import pytest

from admin_client import OPERATOR_ID, AdminSystem, admin_system
from guildhook_local.http_api import http_api
from guildhook_local.serve import admin_secret
from guildhook_local.stack import Servers, Stack, stack


@pytest.fixture(scope="module")
def operated(running: Servers) -> Iterator[Stack]:
    with stack(running) as system:
        yield system


@pytest.fixture(scope="module")
def url(operated: Stack) -> Iterator[str]:
    with http_api(operated.admin_handler, admin_secret(operated)) as url:
        yield url


@pytest.fixture
def admin(operated: Stack) -> AdminSystem:
    """A guild with a manager."""
    return admin_system(operated)


@pytest.fixture
def token(operated: Stack) -> str:
    return operated.chat.issuer.issue_operator(OPERATOR_ID, "Olga")


@pytest.fixture
def environment(operated: Stack, url: str, token: str) -> dict[str, str]:
    return {**operated.aws.environment, "GUILDHOOK_ADMIN_URL": url, "GUILDHOOK_ADMIN_TOKEN": token}


@pytest.fixture
def guildhook(guildhook: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command as elsewhere. The function of this process prints its log as well, which is left out."""

    def without_log(*arguments: object, **options: Any) -> tuple[int, str, str]:
        status, out, err = guildhook(*arguments, **options)
        lines = out.splitlines(keepends=True)
        return status, "".join(line for line in lines if not line.startswith(('{"level":', '{"_aws":'))), err

    return without_log
