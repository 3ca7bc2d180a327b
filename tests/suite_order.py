"""The order of a test run: where the long tests are, so that no process has one left when the others have ended."""

from collections.abc import Sequence
from itertools import chain, islice
from typing import Final

import pytest

from project import ROOT

_LONG: Final = (("sam_local", "emulator"), ("browser", "chaos"))
"""Folders of tests that wait for many seconds. Containers wait for each other, and tests of a browser share its start,
so each group is the work of one process.
"""
_GROUPS: Final = {ROOT / "tests" / name: group for group, names in enumerate(_LONG) for name in names}


def ordered(items: Sequence[pytest.Item], processes: int) -> list[pytest.Item]:
    """The tests in as many equal parts as there are processes, which is how xdist deals them out. Each group of long
    tests comes first in its part; the other tests keep their order.
    """
    parts: list[list[pytest.Item]] = [[] for _ in range(processes)]
    for item in items:
        group = _GROUPS.get(item.path.parent)
        if group is not None:
            parts[group % processes].append(item)
    others = iter([item for item in items if item.path.parent not in _GROUPS])
    for part in parts:
        part.extend(islice(others, max(len(items) // processes - len(part), 0)))
    return [*chain.from_iterable(parts), *others]
