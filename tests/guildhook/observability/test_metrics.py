import re

import pytest

from emitted import sources
from guildhook.model import DeliveryState, Outcome
from guildhook.modules import CacheEvent
from guildhook.observability import Metric

FAMILIES: dict[str, set[str]] = {
    "runs_": set(Outcome),
    "deliveries_": set(DeliveryState),
    "modules_": set(CacheEvent),
    "requests_": {"2xx", "3xx", "4xx", "5xx"},
}
"""The beginnings of names that end in a value, and the values."""


@pytest.mark.parametrize("beginning", FAMILIES)
def test_every_value_has_its_metric(beginning):
    assert {f"{beginning}{value}" for value in FAMILIES[beginning]} <= set(Metric)


def test_every_metric_is_added_and_nothing_else_is():
    source = "".join(path.read_text() for path in sources())
    added = {Metric[name] for name in re.findall(r"\.add\(Metric\.(\w+), ", source)}
    beginnings = re.findall(r'\.add\(Metric\(f"(\w+)\{', source)
    assert set(beginnings) == set(FAMILIES)
    added |= {Metric(f"{beginning}{value}") for beginning in beginnings for value in FAMILIES[beginning]}
    assert added == set(Metric)
    assert source.count("add_metric(") == 1
