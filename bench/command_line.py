"""The command line: running a plugin again that has not changed, which needs no compile."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from bench import builds
from bench.report import Figure, Goal

ROUNDS: Final = 12
LIMIT_MS: Final = 500
PROGRAM: Final = Path(sys.executable).with_name("guildhook")


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"]}
        start = _best(["--version"], environment)
        for language, wasm in (("C", builds.c()), ("Python", builds.python())):
            plugin = Path(home, f"{language}.wasm")
            plugin.write_bytes(wasm)
            again = _best(["run", plugin, "--deadline-ms", "10000"], environment)
            name = f"guildhook run again, {language}, {len(wasm) / 1e6:.2g} MB"
            yield Figure(name, again, "ms", "limit", LIMIT_MS, Goal("at most", 1))
            yield Figure("the same", again, "ms", "guildhook --version", start)


def _best(arguments: list[str | Path], environment: Mapping[str, str]) -> float:
    """Milliseconds of the fastest of several processes; one before them fills caches."""
    best = float("inf")
    for number in range(ROUNDS + 1):
        started = time.perf_counter()
        subprocess.run([PROGRAM, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
        if number:
            best = min(best, time.perf_counter() - started)
    return best * 1000
