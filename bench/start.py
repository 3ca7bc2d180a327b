"""Cold processes: importing the on_message function, and the time to its first reply."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench import builds
from bench.handler import ping, sqs_event
from bench.messages import alternately, load, runner
from bench.report import Figure, Goal
from guildhook.sandbox import Engine, Sandbox
from guildhook_local.stack import ON_MESSAGE, Stack, servers, stack

ROUNDS = 12
FLOOR = "import wasmtime.component, psycopg"
IMPORT = "import app"
REPLY = """
import json, sys, time
from app import handler
from guildhook_local.function import LambdaContext
answer = handler(json.loads(sys.argv[1]), LambdaContext("on_message", "bench", time.monotonic() + 60))
sys.exit(answer != {"batchItemFailures": []})
"""


def measure() -> Iterator[Figure]:
    with servers() as running, stack(running) as system:
        wasm = builds.quickjs()
        guild = system.add_guild()
        system.install(guild, "echo", wasm, {"SEND_MESSAGES"})
        system.compile(wasm)

        def reply() -> list[str]:
            return [REPLY, json.dumps(sqs_event([ping(guild)]))]

        floor, importing, replying = _best(system, [lambda: [FLOOR], lambda: [IMPORT], reply])
        replies = len(system.chat.replies())
    if replies != ROUNDS:
        raise SystemExit(f"bench: {replies} replies to {ROUNDS} messages")
    yield Figure("importing on_message, connections included", importing, "ms", FLOOR, floor, Goal("at most", 1.5))
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine()
        (run_us,) = alternately(runner(Sandbox(engine), load(engine, wasm, Path(folder, "echo.cwasm")).plugin))
    yield Figure(
        "cold process to first reply, QuickJS from S3", replying, "ms", "that import + one run", floor + run_us / 1000,
        Goal("at most", 2.5),
    )  # fmt: skip


def _best(system: Stack, programs: Sequence[Callable[[], list[str]]]) -> list[float]:
    """Milliseconds of a process with each program, in turns, by the best round; each finds an empty /tmp."""
    seconds = [float("inf")] * len(programs)
    for _ in range(ROUNDS):
        for i, arguments in enumerate(programs):
            with tempfile.TemporaryDirectory() as folder:
                environment = {**system.environment, "GUILDHOOK_CACHE_DIR": folder, "PATH": os.environ["PATH"]}
                command = [sys.executable, "-c", *arguments()]
                started = time.perf_counter()
                subprocess.run(command, cwd=ON_MESSAGE, env=environment, check=True, stdout=subprocess.DEVNULL)
                seconds[i] = min(seconds[i], time.perf_counter() - started)
    return [each * 1000 for each in seconds]
