"""Answers of the admin API as lines for a terminal. Each text of others is made visible."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer

from guildhook_local.cli.streams import put
from guildhook_local.cli.visible_text import visible


def put_rows(columns: Sequence[str], items: Iterable[Mapping[str, Any]]) -> None:
    """Print a line for each item, with its values below the names of the columns."""
    rows = [[_cell(item.get(column)) for column in columns] for item in items]
    if not rows:
        put("nothing")
        return
    widths = [max(len(row[at]) for row in [list(columns), *rows]) for at in range(len(columns))]
    put(typer.style(_line([column.replace("_", " ") for column in columns], widths), bold=True))
    for row in rows:
        put(_line(row, widths))


def put_object(item: Mapping[str, Any]) -> None:
    """Print a line for each field."""
    for name, value in item.items():
        label = f"{name.replace('_', ' '):<22}"
        put(f"{typer.style(label, bold=True)} {_cell(value)}")


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case str():
            return _time(value) or visible(value)
        case dict():
            return ", ".join(f"{visible(str(name))} {_cell(each)}" for name, each in value.items() if each is not None)
        case list():
            return "; ".join(map(_cell, value)) or "-"
        case _:
            return visible(str(value))


def _time(text: str) -> str | None:
    """A time of an answer without its fractions; None if the text is no time."""
    if not text.endswith("Z") or "T" not in text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except ValueError:
        return None
