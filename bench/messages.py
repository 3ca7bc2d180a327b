"""One message through one plugin, in a fresh instance: against C on the same wasmtime, and against Extism.

Rounds of either take turns. A round's figure is the mean of its messages, and the figure shown is the best round's,
since other work of the machine can only add to it.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import extism
from extism.extism import CompiledPlugin

from bench import builds
from bench.report import Figure, Goal
from guildhook.model import Message, Outcome
from guildhook.sandbox import Engine, Limits, LoadedPlugin, Sandbox
from guildhook.sandbox.engine import FLAGS, SWITCHED_OFF, target
from guildhook.sandbox.memory_limit import limit_per_memory

CHANNEL = "6a1d0000-0000-4000-8000-000000000003"
MESSAGE = Message(
    id=UUID("6a1d0000-0000-4000-8000-000000000002"),
    guild_id=UUID("6a1d0000-0000-4000-8000-000000000001"),
    channel_id=UUID(CHANNEL),
    created_at=datetime(2026, 1, 25, 12, 0, tzinfo=UTC),
    payload=f'{{"content":"!ping","channel_id":"{CHANNEL}"}}',
)
LIMITS = Limits()
ROUNDS = 25
ROUND_SECONDS = 0.1
GOALS = {"C": Goal("at most", 1.4)}
OTHERS = Goal("at most", 1.15)


@dataclass(frozen=True, slots=True)
class Loaded:
    plugin: LoadedPlugin
    path: Path


def measure() -> Iterator[Figure]:
    engine = Engine()
    sandbox = Sandbox(engine)
    with tempfile.TemporaryDirectory() as folder:
        for name, wasm in builds.PLUGINS.items():
            loaded = load(engine, wasm(), Path(folder) / f"{name}.cwasm")
            run = runner(sandbox, loaded.plugin)
            with limit(loaded) as process:
                check(process, run)
                ours, c = alternately(run, limit_runner(process))
            yield Figure(f"a message, fresh instance, {name}", ours, "µs", "C program", c, GOALS.get(name, OTHERS))
            if name == "C":
                yield from against_extism(run)


def load(engine: Engine, wasm: bytes, path: Path) -> Loaded:
    module = builds.compiled(engine, wasm)
    path.write_bytes(module.artifact)
    permissions = frozenset({"SEND_MESSAGES"})
    return Loaded(LoadedPlugin(UUID(CHANNEL), engine.load(path, module.memories), permissions, LIMITS), path)


def runner(sandbox: Sandbox, plugin: LoadedPlugin) -> Callable[[int], float]:
    """Runs that many messages in one batch, and returns the seconds they took."""

    def run(count: int) -> float:
        with sandbox.batch():
            started = time.perf_counter()
            for seed in range(count):
                result = sandbox.run(plugin, MESSAGE, {}, MESSAGE.created_at, seed)
            seconds = time.perf_counter() - started
        if result.outcome is not Outcome.OK or len(result.intents) != 1 or result.logs != ("answered a ping",):
            raise SystemExit(f"bench: a run ended {result}")
        return seconds

    return run


def limit(loaded: Loaded) -> "subprocess.Popen[str]":
    module = loaded.plugin.module
    memory_bytes = limit_per_memory(module.memories, LIMITS.memory_bytes)
    flags = [f"{name}={int(value)}" for name, value in (FLAGS | dict.fromkeys(SWITCHED_OFF, False)).items()]
    arguments = [MESSAGE.payload, LIMITS.fuel, memory_bytes, len(module.memories), target(), *flags]
    command = [str(builds.limit()), str(loaded.path), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def ask(process: "subprocess.Popen[str]", count: int) -> tuple[int, int, int]:
    """Nanoseconds of that many runs; host calls and bytes of text of the last."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{count}\n")
    process.stdin.flush()
    nanoseconds, calls, size = map(int, process.stdout.readline().split())
    return nanoseconds, calls, size


def limit_runner(process: "subprocess.Popen[str]") -> Callable[[int], float]:
    """Runs that many messages, and returns the seconds they took."""
    return lambda count: ask(process, count)[0] / 1e9


def check(process: "subprocess.Popen[str]", run: Callable[[int], float]) -> None:
    """Check that both programs do the same: they log one line and send one message, with the same texts."""
    run(1)
    _, calls, size = ask(process, 1)
    texts = len(CHANNEL) + len("answered a ping")
    if calls != 2 or size not in (texts + len("pong"), texts + len("pong of marker-000000")):
        raise SystemExit(f"bench: the C program had {calls} host calls with {size} bytes")


def against_extism(run: Callable[[int], float]) -> Iterator[Figure]:
    record: list[tuple[str, ...]] = []

    @extism.host_fn(name="log")
    def log(text: str):  # noqa: ANN202 - Extism takes None for a type that it does not know
        record.append((text,))

    @extism.host_fn(name="send_message")
    def send_message(channel: str, content: str) -> str:
        record.append((channel, content))
        return CHANNEL

    # Extism meters fuel; it has no deadline that is cheap to set, and limits memory by the page.
    manifest = {"wasm": [{"data": builds.extism()}], "memory": {"max_pages": LIMITS.memory_bytes // 65_536}}
    module = CompiledPlugin(manifest)

    def fresh(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            record.clear()
            with extism.Plugin(module) as plugin:
                plugin.call("on_message", MESSAGE.payload)
        return time.perf_counter() - started

    with extism.Plugin(module) as plugin:

        def reused(count: int) -> float:
            started = time.perf_counter()
            for _ in range(count):
                record.clear()
                plugin.call("on_message", MESSAGE.payload)
            return time.perf_counter() - started

        reused(1)
        if record != [(CHANNEL, "pong"), ("answered a ping",)]:
            raise SystemExit(f"bench: Extism's plugin did {record}")
        ours, theirs = alternately(run, fresh)
        yield Figure("the same", ours, "µs", "Extism, fresh plugin", theirs, Goal("at least", 15), faster=True)
        ours, theirs = alternately(run, reused)
        yield Figure("the same", ours, "µs", "Extism, reused instance", theirs, Goal("at most", 2.5))


def alternately(*timed: Callable[[int], float]) -> list[float]:
    """Microseconds of one call of each, by their best rounds."""
    counts = [max(1, round(ROUND_SECONDS / (one(3) / 3))) for one in timed]
    best = [float("inf")] * len(timed)
    for _ in range(ROUNDS):
        for i, (one, count) in enumerate(zip(timed, counts)):
            best[i] = min(best[i], one(count) / count * 1e6)
    return best
