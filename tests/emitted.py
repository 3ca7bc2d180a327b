"""The metrics and the texts that the library and the functions emit."""

import ast
from pathlib import Path

from guildhook.observability import Metric
from project import ROOT


def sources() -> list[Path]:
    return [*(ROOT / "layers" / "guildhook" / "guildhook").rglob("*.py"), *(ROOT / "functions").glob("*/*.py")]


def emitted() -> set[str]:
    """Return the names of all metrics. tests/guildhook/observability/test_metrics.py proves that each is added."""
    return {metric.value for metric in Metric}


def texts() -> set[str]:
    """Every string in the source, the messages of the log among them."""
    trees = (ast.parse(source.read_text()) for source in sources())
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
