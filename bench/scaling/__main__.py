"""Simulates guildhook from a hundred to ten million guilds: `python -m bench.scaling`.

Writes the tables between the markers of docs/scaling.md, and the plots and the figures beside it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from bench.scaling import plots
from bench.scaling.model import Outcome, Scenario, simulate
from bench.scaling.parameters import MIB, Deployment, Workload

DOCUMENT = Path(__file__).parents[2] / "docs" / "scaling.md"
FOLDER = DOCUMENT.with_suffix("")
GUILDS = [10**exponent for exponent in range(2, 8)]
MIDDLE = 100_000
"""Guilds in the sweeps."""
BATCHES = [(1, 0.0), (5, 0.0), (10, 0.0), (10, 1.0), (25, 1.0), (50, 1.0), (100, 1.0)]
MEMORY_MB = [512, 1024, 1769, 3008]
CACHES_MIB = [
    (64, 384),
    (128, 384),
    (256, 384),
    (384, 384),
    (128, 896),
    (64, 4_000),
    (128, 4_000),
    (512, 4_000),
    (128, 9_000),
]


def main() -> None:
    growth = [simulate(Scenario(guilds)) for guilds in GUILDS]
    flatter = [simulate(Scenario(guilds, workload=Workload(guild_exponent=0.8))) for guilds in GUILDS]
    batches = {(size, window): simulate(_middle(batch_size=size, window_seconds=window)) for size, window in BATCHES}
    memory = {mb: simulate(_middle(memory_mb=mb)) for mb in MEMORY_MB}
    caches = {
        (kept, disk): simulate(
            _middle(memory_cache_bytes=kept * MIB, disk_cache_bytes=disk * MIB, tmp_mb=max(512, disk + 128))
        )
        for kept, disk in CACHES_MIB
    }
    tables = {
        "growth": _growth(growth),
        "flatter": _growth(flatter),
        "batches": _sweep(
            ("batch size", "window"), {(f"{size}", f"{window:g} s"): o for (size, window), o in batches.items()}
        ),
        "memory": _sweep(("memory", ""), {(f"{mb} MB", ""): o for mb, o in memory.items()}),
        "caches": _sweep(
            ("in memory", "in /tmp"), {(f"{kept} MiB", f"{disk} MiB"): o for (kept, disk), o in caches.items()}
        ),
    }
    FOLDER.mkdir(exist_ok=True)
    plots.hit_rates(growth, FOLDER / "hit-rates.svg")
    plots.sandboxes(growth, FOLDER / "sandboxes.svg")
    plots.batches(batches, FOLDER / "batches.svg")
    plots.caches(caches, FOLDER / "caches.svg")
    figures = {"growth": growth, "flatter": flatter, "batches": batches.values(), "memory": memory.values()}
    as_json = {name: [asdict(outcome) for outcome in outcomes] for name, outcomes in figures.items()}
    (FOLDER / "figures.json").write_text(json.dumps(as_json, indent=1) + "\n")
    DOCUMENT.write_text(filled(DOCUMENT.read_text(), tables))
    print(tables["growth"])


def filled(document: str, tables: Mapping[str, str]) -> str:
    """The document with each table between its markers."""
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if begin not in document or end not in document:
            raise SystemExit(f"bench.scaling: {DOCUMENT} has no markers {begin} and {end}")
        pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
        document = re.sub(pattern, lambda _, new=f"{begin}\n{table}\n{end}": new, document, flags=re.DOTALL)
    return document


def _middle(**decisions: float) -> Scenario:
    return Scenario(MIDDLE, deployment=replace(Deployment(), **decisions))


def _growth(outcomes: Iterable[Outcome]) -> str:
    headings = ("guilds", "messages/s", "a batch", "sandboxes", "memory", "/tmp", "S3", "S3 GET/s", "statements/s",
                "USD a million", "nearest limit", "used")  # fmt: skip
    return _table(headings, [
        (f"{o.guilds:,}", _number(o.messages_per_second), f"{o.batch:.1f}", _number(o.sandboxes),
         f"{o.memory_hits:.0%}", f"{o.disk_hits:.0%}", f"{o.s3_hits:.0%}", _number(o.s3_gets_per_second),
         _number(o.statements_per_second), f"{o.usd_per_million:.2f}", o.first_limit, f"{o.used:.1%}")
        for o in outcomes
    ])  # fmt: skip


def _sweep(names: tuple[str, str], outcomes: Mapping[tuple[str, str], Outcome]) -> str:
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


if __name__ == "__main__":
    main()
