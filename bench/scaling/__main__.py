"""Simulates guildhook from a hundred to ten million guilds: `python -m bench.scaling`.

Writes the tables between the markers of docs/scaling.md and docs/deployment.md, and plots and figures to docs/scaling/.
"""

import json
import os
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path

from bench.scaling import log, plots, tables
from bench.scaling.costs import bill, edge_bill, of_a_mean_day, stranger_costs
from bench.scaling.model import Scenario, SimulationResult, simulate
from bench.scaling.parameters import MIB, Deployment, PageUse, Prices, Workload
from guildhook_local.output_files import replace_file
from guildhook_local.stack import servers, stack

DOCUMENT = Path(__file__).parents[2] / "docs" / "scaling.md"
FOLDER = DOCUMENT.with_suffix("")
DEPLOYMENT = DOCUMENT.with_name("deployment.md")
BILLED = [100, 1_000, 10_000, 100_000]
"""Guilds."""
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
    batches = {(size, window): _middle(Deployment(batch_size=size, window_seconds=window)) for size, window in BATCHES}
    memory = {mb: _middle(Deployment(memory_mb=mb)) for mb in MEMORY_MB}
    caches = {
        (kept, disk): _middle(
            Deployment(memory_cache_bytes=kept * MIB, disk_cache_bytes=disk * MIB, tmp_mb=max(512, disk + 128))
        )
        for kept, disk in CACHES_MIB
    }
    written = {
        "growth": tables.growth(growth),
        "flatter": tables.growth(flatter),
        "batches": tables.sweep(
            ("batch size", "window"), {(f"{size}", f"{window:g} s"): o for (size, window), o in batches.items()}
        ),
        "memory": tables.sweep(("memory", ""), {(f"{mb} MB", ""): o for mb, o in memory.items()}),
        "caches": tables.sweep(
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
    replace_file(FOLDER / "figures.json", f"{json.dumps(as_json, indent=1)}\n".encode())
    replace_file(DOCUMENT, tables.filled(DOCUMENT.read_text(), written).encode())
    paid = _costs()
    replace_file(DEPLOYMENT, tables.filled(DEPLOYMENT.read_text(), paid).encode())
    print("\n\n".join([written["growth"], *paid.values()]))


def _costs() -> dict[str, str]:
    # The embedded functions write their logs to stdout.
    with (
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
        servers() as running,
        stack(running) as system,
    ):
        written = log.measure(system)
    scenarios = [of_a_mean_day(Scenario(guilds)) for guilds in BILLED]
    bills = [bill(scenario, simulate(scenario), written) for scenario in scenarios]
    return {"costs": tables.costs(bills), "months": tables.months(bills), **_edge()}


def _edge() -> dict[str, str]:
    use, prices = PageUse(), Prices()
    return {
        "edge": tables.edge(edge_bill(guilds, use, prices) for guilds in BILLED),
        "strangers": tables.strangers(stranger_costs(use, prices)),
    }


def _middle(deployment: Deployment) -> SimulationResult:
    return simulate(Scenario(MIDDLE, deployment=deployment))


if __name__ == "__main__":
    main()
