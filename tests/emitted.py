"""Which metrics the library and the functions count, read from their source."""

import ast
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from guildhook.model import DeliveryState, Outcome
from guildhook.modules import CacheEvent
from guildhook.observability.reports import StatusClass
from project import ROOT

FAMILIES: Mapping[str, type[StrEnum]] = {
    "runs_": Outcome,
    "deliveries_": DeliveryState,
    "modules_": CacheEvent,
    "requests_": StatusClass,
}
"""What follows a beginning such as runs_ in an f-string."""


def sources() -> list[Path]:
    return [*(ROOT / "layers" / "guildhook" / "guildhook").rglob("*.py"), *(ROOT / "functions").glob("*/*.py")]


def emitted() -> set[str]:
    """Names that are given to add_metric."""
    return set(units())


def units() -> dict[str, str]:
    """The unit of each metric."""
    trees = (ast.parse(source.read_text()) for source in sources())
    return {name: unit for tree in trees for node in ast.walk(tree) for name, unit in _metrics(node)}


def texts() -> set[str]:
    """Every string in the source, the messages of the log among them."""
    trees = (ast.parse(source.read_text()) for source in sources())
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _metrics(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Call(
            func=ast.Attribute(attr="add_metric"),
            args=[ast.Constant(str(name)), ast.Constant(str(unit)) | ast.Attribute(attr=unit), _],
        ):
            yield name, unit
        case ast.Call(
            func=ast.Attribute(attr="add_metric"),
            args=[
                ast.JoinedStr(values=[ast.Constant(str(beginning)), ast.FormattedValue()]),
                ast.Attribute(attr=unit),
                _,
            ],
        ):
            yield from ((f"{beginning}{value}", unit) for value in FAMILIES[beginning])
        case ast.Call(func=ast.Attribute(attr="add_metric")):
            raise AssertionError(f"the name of a metric cannot be read: {ast.unparse(node)}")
