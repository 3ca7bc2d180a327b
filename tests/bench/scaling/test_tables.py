import pytest

from bench.scaling.costs import bill
from bench.scaling.log import LogBytes
from bench.scaling.model import Scenario, simulate
from bench.scaling.tables import costs, filled, growth, months


def test_tables_take_their_places():
    document = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n"
    assert filled(document, {"x": "| new |"}) == "a\n<!-- x -->\n| new |\n<!-- end of x -->\nb\n"
    with pytest.raises(SystemExit, match="no markers <!-- y -->"):
        filled(document, {"y": ""})


def test_a_row_for_each_number_of_guilds():
    lines = growth([simulate(Scenario(guilds), 600) for guilds in (100, 1_000)]).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 100", "| 1,000"]
    assert len({line.count("|") for line in lines}) == 1


def test_a_row_for_each_part_of_the_costs_and_a_column_for_each_number_of_guilds():
    scenarios = [Scenario(guilds) for guilds in (100, 1_000)]
    bills = [bill(scenario, simulate(scenario, 600), LogBytes(800, 40)) for scenario in scenarios]
    lines = costs(bills).splitlines()
    assert lines[0] == "| USD | a month | a million, 100 guilds | a million, 1,000 guilds |"
    assert len(lines) == 2 + len(bills[0].parts) + 1 + 1 + len(bills[0].database) + 1 + 1
    assert len({line.count("|") for line in lines}) == 1
    beginnings = [line.split(" | ")[:2] for line in months(bills).splitlines()[2:]]
    assert beginnings == [["| 100", "0.304 million"], ["| 1,000", "3.04 million"]]
