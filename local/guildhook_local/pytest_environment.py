"""A plugin of pytest, for its option -p: the tests run in a built environment, as the embedded stack does."""

from collections.abc import Iterator

import pytest

from guildhook_local.built_environment import continue_in_built_environment

_NEEDED = frozenset({"CI", "GUILDHOOK_BROWSER", "GUILDHOOK_DOCKER", "XDG_RUNTIME_DIR"})
_PREFIXES = ("COVERAGE_", "DOCKER_", "PLAYWRIGHT_", "PYTEST_")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    # This comes before pytest redirects the output, which the new process would go on with.
    continue_in_built_environment(_NEEDED, _PREFIXES)
    yield
