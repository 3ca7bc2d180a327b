"""Measures the cost of runs, and checks that they leak nothing: `python -m bench.runs [RUNS]`.

Each kind of plugin runs in turn in one process, as guilds do in production. The growth is the difference of
the process's memory between its first thousand runs and its end.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from wasmtime import wat2wasm

from bench import process
from guildhook.model import Message, Outcome
from guildhook.sandbox import Engine, Limits, LoadedPlugin, Sandbox

PROJECT = Path(__file__).parents[1]
HOSTILE = PROJECT / "tests" / "hostile" / "cases"
CHANNEL = UUID("6a1d0000-0000-4000-8000-000000000003")
MESSAGE = Message(
    id=UUID("6a1d0000-0000-4000-8000-000000000002"),
    guild_id=UUID("6a1d0000-0000-4000-8000-000000000001"),
    channel_id=CHANNEL,
    created_at=datetime(2026, 1, 25, 12, 0, tzinfo=UTC),
    payload=f'{{"content":"!ping","channel_id":"{CHANNEL}"}}',
)
LIMITS = Limits()
WARM_UP_RUNS = 1_000
GOAL_MIB = 16


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    wasm: bytes
    outcome: Outcome
    limits: Limits = LIMITS


def hostile(name: str, outcome: Outcome, **limits: int) -> Kind:
    """A case of the hostile pack."""
    return Kind(name, bytes(wat2wasm((HOSTILE / f"{name}.wat").read_text())), outcome, Limits(**limits))


KINDS = (
    hostile("silent", Outcome.OK),
    Kind("ping", (PROJECT / "plugins" / "ping" / "ping.wasm").read_bytes(), Outcome.OK),
    hostile("trap-after-send", Outcome.TRAP),
    hostile("loop", Outcome.OUT_OF_FUEL, fuel=100_000),
    hostile("log-flood", Outcome.HOST_CALL_LIMIT),
    hostile("memory-to-the-cap", Outcome.OK),
    hostile("sleep", Outcome.OK),
    hostile("stdout-newlines", Outcome.HOST_CALL_LIMIT),
    hostile("exit-after-send", Outcome.OK),
    hostile("memory-over-the-cap", Outcome.OUT_OF_MEMORY),
)


def main(runs: int) -> int:
    engine = Engine()
    sandbox = Sandbox(engine)
    seconds = dict.fromkeys(KINDS, 0.0)
    with tempfile.TemporaryDirectory() as directory:
        plugins = {kind: load(engine, kind, Path(directory)) for kind in KINDS}
        before = 0.0
        for number in range(WARM_UP_RUNS + runs):
            if number == WARM_UP_RUNS:
                before = process.resident()
            kind = KINDS[number % len(KINDS)]
            started = time.perf_counter()
            result = sandbox.run(plugins[kind], MESSAGE, {}, MESSAGE.created_at, seed=number)
            seconds[kind] += time.perf_counter() - started
            if result.outcome is not kind.outcome:
                raise SystemExit(f"{kind.name} ended {result.outcome}: {result.detail}")
    grown = process.resident() - before
    for kind, total in seconds.items():
        print(f"{kind.name:20} {total / (WARM_UP_RUNS + runs) * len(KINDS) * 1_000_000:8.1f} µs a run")
    print(f"{runs:,} runs: the process has grown by {grown:.1f} MiB; the goal is {GOAL_MIB} MiB at the most")
    return 0 if grown <= GOAL_MIB else 1


def load(engine: Engine, kind: Kind, directory: Path) -> LoadedPlugin:
    compiled = engine.compile(kind.wasm)
    path = directory / f"{KINDS.index(kind)}.cwasm"
    path.write_bytes(compiled.artifact)
    return LoadedPlugin(CHANNEL, engine.load(path, compiled.memories), frozenset({"SEND_MESSAGES"}), kind.limits)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
