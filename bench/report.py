"""Formats figures beside their peers, as a table and as JSON."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a figure, in units of its peer."""

    bound: Literal["at most", "at least"]
    times: float

    def met_by(self, times: float) -> bool:
        return times <= self.times if self.bound == "at most" else times >= self.times


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    peer: str
    peer_value: float
    goal: Goal | None = None
    """None for a figure that is only shown."""
    faster: bool = False
    """True if the goal is a number of times smaller than the peer, instead of larger."""

    @property
    def times(self) -> float:
        return self.peer_value / self.value if self.faster else self.value / self.peer_value

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        return "met" if self.goal.met_by(self.times) else "MISSED"


_HEADINGS = ("figure", "measured", "against", "is", "times", "goal", "")


def rows(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    return [
        (
            figure.name,
            _shown(figure.value, figure.unit),
            figure.peer,
            _shown(figure.peer_value, figure.unit),
            f"{figure.times:.2f}",
            f"{figure.goal.bound} {figure.goal.times:g}" if figure.goal else "",
            figure.verdict,
        )
        for figure in figures
    ]


def table(figures: Sequence[Figure]) -> str:
    lines = [_HEADINGS, *rows(figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def markdown(figures: Sequence[Figure]) -> str:
    lines = [_HEADINGS, ("---",) * len(_HEADINGS), *rows(figures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(figures: Sequence[Figure]) -> dict[str, Any]:
    measured = [{**asdict(figure), "times": figure.times, "verdict": figure.verdict} for figure in figures]
    return {"machine": machine(), "figures": measured}


def machine() -> dict[str, str]:
    cpu = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu.partition(":")[2].strip(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "wasmtime": version("wasmtime"),
    }


def _shown(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"
