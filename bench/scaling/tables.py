"""Writes the tables of docs/scaling.md and docs/deployment.md."""

from collections.abc import Iterable, Mapping, Sequence

from bench.scaling.costs import Bill, EdgeBill, Part
from bench.scaling.model import SimulationResult


def filled(document: str, tables: Mapping[str, str]) -> str:
    """The document with each table between its markers."""
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if begin not in document or end not in document:
            raise SystemExit(f"bench.scaling: the document has no markers {begin} and {end}")
        before, _, rest = document.partition(begin)
        _, _, after = rest.partition(end)
        document = f"{before}{begin}\n{table}\n{end}{after}"
    return document


def growth(outcomes: Iterable[SimulationResult]) -> str:
    headings = ("guilds", "messages/s", "a batch", "sandboxes", "memory", "/tmp", "S3", "S3 GET/s", "statements/s",
                "USD a million", "nearest limit", "used")  # fmt: skip
    return _table(headings, [
        (f"{o.guilds:,}", _number(o.messages_per_second), f"{o.batch:.1f}", _number(o.sandboxes),
         f"{o.memory_hits:.0%}", f"{o.disk_hits:.0%}", f"{o.s3_hits:.0%}", _number(o.s3_gets_per_second),
         _number(o.statements_per_second), f"{o.usd_per_million:.2f}", o.first_limit, f"{o.used:.1%}")
        for o in outcomes
    ])  # fmt: skip


def sweep(names: tuple[str, str], outcomes: Mapping[tuple[str, str], SimulationResult]) -> str:
    headings = (*names, "a batch", "sandboxes", "memory", "/tmp", "S3", "S3 GET/s", "statements/s", "USD a million")
    return _table(headings, [
        (*chosen, f"{o.batch:.1f}", _number(o.sandboxes), f"{o.memory_hits:.0%}", f"{o.disk_hits:.0%}",
         f"{o.s3_hits:.0%}", _number(o.s3_gets_per_second), _number(o.statements_per_second),
         f"{o.usd_per_million:.2f}")
        for chosen, o in outcomes.items()
    ])  # fmt: skip


def costs(bills: Sequence[Bill]) -> str:
    """The fixed costs of a month and the costs of a million messages, by part."""
    headings = ("USD", "a month", *(f"a million, {bill.guilds:,} guilds" for bill in bills))
    return _table(headings, [
        *_parts([bill.parts for bill in bills]),
        _sum("**together**", [bill.parts for bill in bills]),
        *_parts([[bill.tracing] for bill in bills]),
        *_parts([bill.database for bill in bills]),
        _sum("**a database of the stack's own**", [bill.database for bill in bills]),
        *_parts([[bill.proxy] for bill in bills]),
    ])  # fmt: skip


def months(bills: Iterable[Bill]) -> str:
    headings = ("guilds", "messages a month", "USD a month", "with traces besides", "with a database besides",
                "and with RDS Proxy")  # fmt: skip
    return _table(headings, [
        (f"{bill.guilds:,}", f"{_number(bill.messages_a_month / 1e6)} million", f"{bill.usd_a_month(bill.parts):,.0f}",
         f"{bill.usd_a_month([*bill.parts, bill.tracing]):,.0f}",
         f"{bill.usd_a_month([*bill.parts, *bill.database]):,.0f}",
         f"{bill.usd_a_month([*bill.parts, *bill.database, bill.proxy]):,.0f}")
        for bill in bills
    ])  # fmt: skip


def edge(bills: Iterable[EdgeBill]) -> str:
    headings = ("guilds", "visits of the page a month", "CloudFront, USD a month", "a web ACL besides")
    return _table(headings, [
        (f"{bill.guilds:,}", _number(bill.visits_a_month), f"{bill.cloudfront:,.2f}", f"{bill.web_acl:,.2f}")
        for bill in bills
    ])  # fmt: skip


def strangers(usd_a_million: Mapping[str, float]) -> str:
    headings = ("a million requests are answered by", "USD")
    return _table(headings, [(name, _usd(usd)) for name, usd in usd_a_million.items()])


def _parts(bills: Sequence[Sequence[Part]]) -> list[tuple[str, ...]]:
    return [
        (parts[0].name, _usd(parts[0].usd_a_month), *(_usd(part.usd_a_million) for part in parts))
        for parts in zip(*bills, strict=True)
    ]


def _sum(name: str, bills: Sequence[Sequence[Part]]) -> tuple[str, ...]:
    a_million = [sum(part.usd_a_million for part in parts) for parts in bills]
    return name, _usd(sum(part.usd_a_month for part in bills[0])), *map(_usd, a_million)


def _usd(value: float) -> str:
    return f"{value:,.2f}" if value else ""


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
