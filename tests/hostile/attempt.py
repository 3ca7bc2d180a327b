"""One attack on guildhook: inspect, compile, load and run an upload, as far as it comes.

As a program it reads a job of run.py from stdin, and writes how it ended to stdout, both as JSON. It needs nothing but
guildhook, so any version of it can be tried.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from guildhook.errors import InvalidPluginError
from guildhook.model import Message
from guildhook.sandbox import Engine, Limits, LoadedPlugin, Sandbox, inspect
from guildhook.sandbox.compiling.child_process import CompileLimits

FUEL_PER_MS = 1_700_000
"""The fuel that a millisecond of CPU time is charged as."""
CHANNEL = UUID("6a1d0000-0000-4000-8000-000000000003")
"""Where the cases send to."""
_PLUGIN_ID = UUID("6a1d0000-0000-4000-8000-000000000009")
_TIME = datetime(2026, 1, 25, 12, tzinfo=UTC)
_MESSAGE = Message(
    id=UUID("6a1d0000-0000-4000-8000-000000000002"),
    guild_id=UUID("6a1d0000-0000-4000-8000-000000000001"),
    channel_id=CHANNEL,
    created_at=_TIME,
    payload='{"content":"hello"}',
)


@dataclass
class Step:
    """The cost of a step: `grown_mib` at its peak, `kept_mib` afterwards."""

    name: str
    ms: float = 0
    grown_mib: float = 0
    kept_mib: float = 0


@dataclass
class Ending:
    outcome: str = ""
    """One of guildhook.model.Outcome, or "refused" where the inspection refuses the upload."""
    detail: str = ""
    logs: tuple[str, ...] = ()
    sends: int = 0
    kept_keys: int = 0
    """In the state that the run leaves behind."""
    cpu_ms: float = 0
    """The CPU time of the run."""
    charged_ms: float = 0
    """The CPU time that the guild's budget is charged for the run."""
    steps: list[Step] = field(default_factory=list)
    """Those that were made; the last one decided."""


def attempt(
    engine: Engine, wasm: bytes, permissions: Iterable[str], settings: Mapping[str, Any], limits: Mapping[str, int]
) -> Ending:
    ending = Ending()
    with _step(ending, "inspect"):
        inspection = inspect(wasm)
    if not inspection.accepted:
        ending.outcome, ending.detail = "refused", "; ".join(inspection.reasons)
        return ending
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder, "artifact")
        try:
            with _step(ending, "compile"):
                compiled = engine.compile(wasm)
            artifact.write_bytes(compiled.artifact)
            memories = compiled.memories
            del compiled
            with _step(ending, "load"):
                module = engine.load(artifact, memories)
        except InvalidPluginError as error:
            ending.outcome, ending.detail = "invalid", str(error)
            return ending
        plugin = LoadedPlugin(_PLUGIN_ID, module, frozenset(permissions), Limits(**limits))
        with _step(ending, "run"):
            sandbox, cpu_before = Sandbox(engine), time.thread_time()
            result = sandbox.run(plugin, _MESSAGE, settings, _TIME, 1)
            ending.cpu_ms = (time.thread_time() - cpu_before) * 1000
    ending.outcome, ending.detail, ending.logs = result.outcome.value, result.detail, result.logs
    ending.sends = len(result.intents)
    # Versions that measure no CPU time are tried as well.
    ending.charged_ms = getattr(result, "charged_fuel", result.fuel_used) / FUEL_PER_MS
    ending.kept_keys = len(getattr(result, "state", None) or ())  # versions without state are tried as well
    return ending


@contextmanager
def _step(ending: Ending, name: str) -> Iterator[None]:
    step = Step(name)
    ending.steps.append(step)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, started = _mib("VmRSS"), time.perf_counter()
    try:
        yield
    finally:
        step.ms = (time.perf_counter() - started) * 1000
        step.grown_mib, step.kept_mib = _mib("VmHWM") - before, _mib("VmRSS") - before


def _mib(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) / 1024


def main() -> None:
    job = json.load(sys.stdin)
    engine = Engine(CompileLimits(cpu_seconds=job["compile_seconds"]))
    # The first run of a process has costs that do not belong to the case.
    attempt(engine, Path(job["silent"]).read_bytes(), [], {}, {})
    ending = attempt(engine, Path(job["wasm"]).read_bytes(), job["permissions"], job["settings"], job["limits"])
    json.dump(asdict(ending), sys.stdout)


if __name__ == "__main__":
    main()
