"""The plots of docs/scaling.md: the same bytes for the same figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "guildhook"
mpl.rcParams["svg.fonttype"] = "none"

from matplotlib import pyplot as plt  # noqa: E402 - the backend is chosen first
from matplotlib.axes import Axes  # noqa: E402

from bench.scaling.model import SimulationResult  # noqa: E402


def hit_rates(outcomes: Sequence[SimulationResult], path: Path) -> None:
    axes = _axes("guilds", "of all lookups of a module")
    guilds = [outcome.guilds for outcome in outcomes]
    levels = [[getattr(o, f"{level}_hits") for o in outcomes] for level in ("memory", "disk", "s3")]
    axes.stackplot(guilds, levels, labels=["memory", "/tmp", "S3"], colors=["#2b6", "#59d", "#d85"])
    axes.set_xscale("log")
    axes.set_ylim(0, 1)
    _save(axes, path)


def sandboxes(outcomes: Sequence[SimulationResult], path: Path) -> None:
    axes = _axes("guilds", "a second, or at the same time")
    guilds = [outcome.guilds for outcome in outcomes]
    axes.loglog(guilds, [o.sandboxes for o in outcomes], marker="o", label="busy sandboxes")
    axes.loglog(guilds, [o.statements_per_second for o in outcomes], marker="o", label="SQL statements")
    axes.loglog(guilds, [o.s3_gets_per_second for o in outcomes], marker="o", label="S3 GETs")
    axes.axhline(1_000, color="#999", linestyle=":", label="Lambda concurrency of a new account")
    _save(axes, path)


def batches(outcomes: Mapping[tuple[int, float], SimulationResult], path: Path) -> None:
    axes = _axes("batch size, window", "US dollars for a million messages")
    names = [f"{size}, {window:g} s" for size, window in outcomes]
    axes.bar(names, [outcome.usd_per_million for outcome in outcomes.values()], color="#59d", label="cost")
    _save(axes, path)


def caches(outcomes: Mapping[tuple[int, int], SimulationResult], path: Path) -> None:
    axes = _axes("MiB in memory, MiB in /tmp", "of all lookups of a module")
    names = [f"{memory}, {disk:,}" for memory, disk in outcomes]
    memory = [outcome.memory_hits for outcome in outcomes.values()]
    axes.bar(names, memory, color="#2b6", label="memory")
    axes.bar(names, [o.disk_hits for o in outcomes.values()], bottom=memory, color="#59d", label="/tmp")
    axes.tick_params(axis="x", rotation=30)
    _save(axes, path)


def _axes(x: str, y: str) -> Axes:
    axes = plt.subplots(figsize=(7, 3.5), layout="constrained")[1]
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _save(axes: Axes, path: Path) -> None:
    axes.legend(frameon=False)
    axes.figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close("all")
