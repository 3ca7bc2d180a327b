"""The reference of the metrics, from their members, and of the alarms, from the template that has them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from samtranslator.yaml_helper import yaml_parse

from guildhook.observability import Metric
from reference.attributes import described_attributes
from reference.markdown import code, table, whole_page

TEMPLATE: Final = Path(__file__).parents[1] / "infra" / "observability.yaml"


def page() -> str:
    return whole_page(
        "Metrics and alarms",
        "## Metrics",
        "[Observability](../observability.md#metrics) describes the namespace, the dimension and the statistics.",
        table(("metric", "unit", "meaning"), _metrics()),
        "## Alarms",
        "The name of an alarm is that of the stack and the name below. Each alarm has a section in the runbooks.",
        table(("alarm", "condition"), _alarms()),
    )


def _metrics() -> Iterator[tuple[str, str, str]]:
    described = described_attributes(Metric)
    for metric in Metric:
        yield code(metric.value), str(metric.unit.value), described[metric.name]
    cold_start = "New processes. Powertools adds it, with the dimensions `function_name` and `service`."
    yield code("ColdStart"), "Count", cold_start


def _alarms() -> Iterator[tuple[str, str]]:
    for resource in yaml_parse(TEMPLATE.read_text())["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            description = resource["Properties"]["AlarmDescription"]
            described = re.fullmatch(r"(.*) \(docs/runbooks\.md#([\w-]+)\)\.", description)
            if not described:
                raise ValueError(f"the alarm's description {description!r} does not end with its runbook")
            yield f"[{described[2]}](../runbooks.md#{described[2]})", f"{described[1]}."
