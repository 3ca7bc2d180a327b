"""The order of a test run: where the long tests are, so that no process has one left when the others have ended."""

from collections.abc import Sequence
from itertools import chain, groupby
from typing import Final

import pytest

from project import ROOT

_CONTAINERS: Final = tuple(ROOT / "tests" / name for name in ("sam_local", "emulator", "chaos"))
"""Folders of tests that wait for containers or processes, each for many seconds."""
_BROWSER: Final = ROOT / "tests" / "browser"


def ordered(items: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """The tests in a part for each process, as xdist deals them out. The tests of containers begin the first part.
    Those of the browser begin the last quarter of the second: no page may be open while there are containers, which
    are gone by then, and few of them are stolen by another process, which would need a browser as well.

    The tests of a module stay together, since each process that has some of them makes their fixtures anew.
    """
    containers = [item for folder in _CONTAINERS for item in items if item.path.parent == folder]
    browser = [item for item in items if item.path.parent == _BROWSER]
    others = [item for item in items if item.path.parent not in {*_CONTAINERS, _BROWSER}]
    parts: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for _, module in groupby(others, key=lambda item: item.path):
        min(parts, key=len).extend(module)
    part = parts[1 % processes]
    last_quarter = len(part) * 3 // 4
    part[last_quarter:last_quarter] = browser
    return [*containers, *chain.from_iterable(parts)]
