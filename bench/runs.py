"""What runs cost, and that none of them leaves anything behind: `python bench/runs.py [RUNS]`.

Each kind of plugin runs in turn in one process, as guilds do in production. The growth is what the process holds more
at the end than after its first thousand runs.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from wasmtime import wat2wasm

from guildhook.model import Message, Outcome
from guildhook.sandbox import Engine, Limits, Plugin, Sandbox

PROJECT = Path(__file__).parents[1]
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

# A plugin of no toolchain: nothing but on-message.
PLUGIN = """
(component
  (core module $m (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "on-message") (param i32 i32) {code}))
  (core instance $i (instantiate $m))
  (func (export "on-message") (param "msg-json" string) (canon lift (core func $i "on-message")
    (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
"""


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    wasm: bytes
    outcome: Outcome
    limits: Limits = LIMITS


def plugin(code: str) -> bytes:
    return bytes(wat2wasm(PLUGIN.format(code=code)))


KINDS = (
    Kind("does nothing", plugin(""), Outcome.OK),
    Kind("answers a ping", (PROJECT / "plugins" / "ping" / "ping.wasm").read_bytes(), Outcome.OK),
    Kind("traps", plugin("unreachable"), Outcome.TRAP),
    Kind("loops for 100,000 fuel", plugin("(loop (br 0))"), Outcome.OUT_OF_FUEL, Limits(fuel=100_000)),
    Kind("grows its memory to 16 MiB", plugin("(drop (memory.grow (i32.const 255)))"), Outcome.OK),
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
                before = resident_mib()
            kind = KINDS[number % len(KINDS)]
            started = time.perf_counter()
            result = sandbox.run(plugins[kind], MESSAGE, {}, MESSAGE.created_at, seed=number)
            seconds[kind] += time.perf_counter() - started
            if result.outcome is not kind.outcome:
                raise SystemExit(f"{kind.name} ended {result.outcome}: {result.detail}")
    grown = resident_mib() - before
    for kind, total in seconds.items():
        print(f"{kind.name:30} {total / (WARM_UP_RUNS + runs) * len(KINDS) * 1_000_000:8.1f} µs a run")
    print(f"{runs:,} runs: the process has grown by {grown:.1f} MiB; the goal is {GOAL_MIB} MiB at the most")
    return 0 if grown <= GOAL_MIB else 1


def load(engine: Engine, kind: Kind, directory: Path) -> Plugin:
    compiled = engine.compile(kind.wasm)
    path = directory / f"{KINDS.index(kind)}.cwasm"
    path.write_bytes(compiled.artifact)
    return Plugin(CHANNEL, engine.load(path, compiled.memories), frozenset({"SEND_MESSAGES"}), kind.limits)


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
