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


@pytest.mark.parametrize(("processes", "order"), [(1, "yzabcdexfg"), (2, "yzacegbdxf"), (3, "yzadgbxecf")])
def test_containers_begin_the_first_part_and_the_browser_the_last_quarter_of_the_second(processes, order):
    assert "".join(names(ordered(MIXED, processes))) == order


@pytest.mark.parametrize("processes", [1, 2, 3, 11])
@pytest.mark.parametrize("items", [[], LONG, SHORT, MIXED])
def test_every_test_is_there_once(items, processes):
    assert sorted(names(ordered(items, processes))) == sorted(names(items))


def test_the_tests_of_a_module_stay_together_in_the_part_that_has_the_fewest():
    items = named(*(f"guildhook/test_{letter}.py" for letter in "aaaabbccd"))
    assert "".join(names(ordered(items, 2))) == "aaaad" + "bbcc"
    assert "".join(names(ordered(items, 3))) == "aaaa" + "bbd" + "cc"
