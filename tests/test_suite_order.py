from pathlib import Path
from types import SimpleNamespace

import pytest

from project import ROOT
from suite_order import ordered


def named(*names):
    return [SimpleNamespace(path=ROOT / "tests" / name) for name in names]


SHORT = named(*(f"guildhook/test_{letter}.py" for letter in "abcdefg"))
LONG = named("browser/test_x.py", "sam_local/test_y.py", "chaos/test_z.py")
MIXED = [*SHORT[:3], *LONG, *SHORT[3:]]


def names(items):
    return [Path(item.path).stem[5:] for item in items]


@pytest.mark.parametrize(
    ("processes", "order"),
    [(1, "xyzabcdefg"), (2, "yabcdxzefg"), (3, "yabxzcdefg"), (5, "yaxzbcdefg")],
)
def test_each_group_of_long_tests_begins_a_part_and_others_keep_their_order(processes, order):
    assert "".join(names(ordered(MIXED, processes))) == order


@pytest.mark.parametrize("processes", [1, 2, 3, 11])
@pytest.mark.parametrize("items", [[], LONG, SHORT, MIXED])
def test_every_test_is_there_once(items, processes):
    assert sorted(names(ordered(items, processes))) == sorted(names(items))
