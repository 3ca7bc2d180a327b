import pytest

from bench.scaling.model import Scenario, simulate
from bench.scaling.tables import filled, growth


def test_tables_take_their_places():
    document = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n"
    assert filled(document, {"x": "| new |"}) == "a\n<!-- x -->\n| new |\n<!-- end of x -->\nb\n"
    with pytest.raises(SystemExit, match="no markers <!-- y -->"):
        filled(document, {"y": ""})


def test_a_row_for_each_number_of_guilds():
    lines = growth([simulate(Scenario(guilds), 600) for guilds in (100, 1_000)]).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 100", "| 1,000"]
    assert len({line.count("|") for line in lines}) == 1
