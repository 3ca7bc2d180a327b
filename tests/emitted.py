"""Which metrics the library and the functions count, read from their source."""

import ast
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from guildhook.model import DeliveryState, Outcome
from guildhook.modules import CacheEvent

ROOT = Path(__file__).parents[1]
FAMILIES: Mapping[str, type[StrEnum]] = {"runs_": Outcome, "deliveries_": DeliveryState, "modules_": CacheEvent}
"""What follows a beginning such as runs_ in an f-string."""
AGREED = {"queue_delay"}
"""Metrics that the functions do not count yet."""


def sources() -> list[Path]:
    return [*(ROOT / "layers" / "guildhook" / "guildhook").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]


def emitted() -> set[str]:
    """Names that are given to add_metric."""
    trees = (ast.parse(source.read_text()) for source in sources())
    return {name for tree in trees for node in ast.walk(tree) for name in _names(node)}


def texts() -> set[str]:
    """Every string in the source, the messages of the log among them."""
    trees = (ast.parse(source.read_text()) for source in sources())
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Attribute(attr="add_metric"), args=[ast.Constant(str(name)), *_]):
            yield name
        case ast.Call(
            func=ast.Attribute(attr="add_metric"),
            args=[ast.JoinedStr(values=[ast.Constant(str(beginning)), ast.FormattedValue()]), *_],
        ):
            yield from (f"{beginning}{value}" for value in FAMILIES[beginning])
        case ast.Call(func=ast.Attribute(attr="add_metric")):
            raise AssertionError(f"the name of a metric cannot be read: {ast.unparse(node)}")
