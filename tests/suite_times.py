"""`pytest --times` lists where the time of a run went: the slowest tests, the slowest fixtures, and waiting."""

import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

SLOWEST = 20


class SuiteTimes:
    """A pytest plugin that adds a summary of times to the end of a run, with and without xdist."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._cpu_seconds = 0.0
        self._processes = 0

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        used = os.times()
        seconds = used.user + used.system + used.children_user + used.children_system
        worker: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if worker is not None:
            worker["cpu_seconds"] = seconds
        elif not session.config.getoption("numprocesses", None):
            self._count(seconds)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """xdist calls this when a worker has ended; one that crashed has no output."""
        self._count(getattr(node, "workeroutput", {}).get("cpu_seconds", 0.0))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        reports = [
            report
            for reports in terminalreporter.stats.values()
            for report in reports
            if isinstance(report, pytest.TestReport)
        ]
        for title, phases in (("tests", ("call",)), ("fixtures", ("setup", "teardown"))):
            terminalreporter.section(f"slowest {SLOWEST} {title}")
            for line in slowest(reports, phases):
                terminalreporter.write_line(line)
        terminalreporter.section("times")
        wall = time.monotonic() - self._started
        terminalreporter.write_line(
            f"{wall:.0f} s; {self._processes} processes were busy for {self._cpu_seconds:.0f} s of CPU time and waited "
            f"for {max(self._processes * wall - self._cpu_seconds, 0):.0f} s (Postgres' own CPU time counts as waiting)"
        )

    def _count(self, seconds: float) -> None:
        self._cpu_seconds += seconds
        self._processes += 1


def slowest(reports: Iterable[pytest.TestReport], phases: Sequence[str]) -> list[str]:
    """One line for each of the slowest phases, and one for the sum of all: seconds, phase and test."""
    chosen = sorted((report for report in reports if report.when in phases), key=lambda report: -report.duration)
    lines = [f"{report.duration:8.2f} s {report.when:8} {report.nodeid}" for report in chosen[:SLOWEST]]
    return [*lines, f"{sum(report.duration for report in chosen):8.2f} s in all {len(chosen)}"]
