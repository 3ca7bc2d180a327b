"""The tables of docs/scaling.md, and how they get there."""

import re
from collections.abc import Iterable, Mapping, Sequence

from bench.scaling.model import Outcome


def filled(document: str, tables: Mapping[str, str]) -> str:
    """The document with each table between its markers."""
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if begin not in document or end not in document:
            raise SystemExit(f"bench.scaling: the document has no markers {begin} and {end}")
        pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
        document = re.sub(pattern, lambda _, new=f"{begin}\n{table}\n{end}": new, document, flags=re.DOTALL)
    return document


def growth(outcomes: Iterable[Outcome]) -> str:
    headings = ("guilds", "messages/s", "a batch", "sandboxes", "memory", "/tmp", "S3", "S3 GET/s", "statements/s",
                "USD a million", "nearest limit", "used")  # fmt: skip
    return _table(headings, [
        (f"{o.guilds:,}", _number(o.messages_per_second), f"{o.batch:.1f}", _number(o.sandboxes),
         f"{o.memory_hits:.0%}", f"{o.disk_hits:.0%}", f"{o.s3_hits:.0%}", _number(o.s3_gets_per_second),
         _number(o.statements_per_second), f"{o.usd_per_million:.2f}", o.first_limit, f"{o.used:.1%}")
        for o in outcomes
    ])  # fmt: skip


def sweep(names: tuple[str, str], outcomes: Mapping[tuple[str, str], Outcome]) -> str:
    headings = (*names, "a batch", "sandboxes", "memory", "/tmp", "S3", "S3 GET/s", "statements/s", "USD a million")
    return _table(headings, [
        (*chosen, f"{o.batch:.1f}", _number(o.sandboxes), f"{o.memory_hits:.0%}", f"{o.disk_hits:.0%}",
         f"{o.s3_hits:.0%}", _number(o.s3_gets_per_second), _number(o.statements_per_second),
         f"{o.usd_per_million:.2f}")
        for chosen, o in outcomes.items()
    ])  # fmt: skip


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
