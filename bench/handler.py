"""The on_message function in a process of its own, as Lambda has it: `python -m bench.handler [--one-by-one]`.

Reads lines of JSON, each a list of event bodies that are one batch, and answers each with its measurements. The first
line that it prints says that it has started.
"""

import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench import process
from guildhook.errors import InfrastructureError
from guildhook.events.batch import QueueRecord
from guildhook.events.delivery import sender
from guildhook.events.worker import BatchReport, Worker
from guildhook_local.function import Handler as Function
from guildhook_local.function import LambdaContext, loaded_function
from guildhook_local.stack import ON_MESSAGE, LocalGuild

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Handled:
    """The cost of a batch."""

    seconds: float
    cpu_seconds: float
    statements: int
    """Statements sent to Postgres."""
    failed: int
    """Records that must come back."""
    resident_mib: float
    anonymous_mib: float
    """The part of the resident memory that no file backs."""
    modules: Mapping[str, int]
    """The levels at which modules were found."""
    log_bytes: int
    """Bytes of output, which Lambda writes to CloudWatch."""


class Handler:
    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self._child = child

    @property
    def pid(self) -> int:
        return self._child.pid

    def handle(self, bodies: Sequence[Body]) -> Handled:
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(json.dumps(bodies) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit("bench: the handler's process has ended")
        return Handled(**json.loads(line))


# A bench sends the messages of an hour in a minute.
NO_BUDGET = {f"GUILDHOOK_GUILD_{what}_PER_MINUTE": str(10**15) for what in ("FUEL", "SENDS", "LOG_BYTES")}


@contextmanager
def handler(environment: Mapping[str, str], *options: str) -> Iterator[Handler]:
    """A process with the function loaded, under this environment."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.handler", *options],
        env={"PATH": os.environ["PATH"], **NO_BUDGET, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout
        if child.stdout.readline() != "ready\n":
            raise SystemExit("bench: the handler's process did not start")
        yield Handler(child)
        assert child.stdin
        child.stdin.close()


def ping(guild: LocalGuild) -> Body:
    """A message-created event that the plugins answer."""
    message = {
        "id": str(uuid4()),
        "channel_id": str(guild.channel_id),
        "author": {"id": str(uuid4()), "username": "ada", "bot": False},
        "content": "!ping",
    }
    return {"type": "message.created", "guild_id": str(guild.id), "message": message}


def sqs_event(bodies: Sequence[Body]) -> dict[str, Any]:
    """An event of SQS with these bodies, with the fields that the function reads."""
    return {
        "Records": [
            {
                "messageId": str(i),
                "receiptHandle": str(i),
                "body": json.dumps(body),
                "attributes": {"SentTimestamp": "1769342400000", "ApproximateReceiveCount": "1"},
            }
            for i, body in enumerate(bodies)
        ]
    }


def main() -> None:
    answers = sys.stdout
    if "--one-by-one" in sys.argv:
        sender._MAX_THREADS = 1  # type: ignore[misc]  # it is final, except for this figure
    with Printed() as printed, redirect_stdout(printed), tempfile.NamedTemporaryFile() as trace:
        reports = _watched_worker(trace.fileno())
        with loaded_function(ON_MESSAGE, os.environ) as function:
            print("ready", file=answers, flush=True)
            for line in sys.stdin:
                handled = _handled(function, reports, json.loads(line), Path(trace.name), printed)
                print(json.dumps(handled), file=answers, flush=True)


def _watched_worker(trace: int) -> deque[BatchReport]:
    """Have libpq trace the worker's connection into a file, and return the place of the last report."""
    connect, process_batch = Worker.connect, Worker.process
    reports: deque[BatchReport] = deque(maxlen=1)  # more would count as the memory of the function

    def traced_connect(worker: Worker) -> list[InfrastructureError]:
        problems = connect(worker)
        connection = worker._store._connection
        assert connection
        connection.pgconn.trace(trace)
        return problems

    def watched_process(worker: Worker, records: Sequence[QueueRecord], deadline: float) -> BatchReport:
        reports.append(process_batch(worker, records, deadline))
        return reports[-1]

    # Patched, since a worker has no hooks for a measurement.
    Worker.connect, Worker.process = traced_connect, watched_process  # type: ignore[method-assign, assignment]
    return reports


class Printed(io.TextIOBase):
    """Counts the characters that are written, and drops them."""

    size = 0

    def write(self, text: str) -> int:
        self.size += len(text.encode())
        return len(text)


def _handled(
    function: Function, reports: deque[BatchReport], bodies: Sequence[Body], trace: Path, printed: Printed
) -> dict[str, Any]:
    event = sqs_event(bodies)
    before, printed_before = trace.stat().st_size, printed.size
    started, cpu = time.perf_counter(), time.process_time()
    answer = function(event, LambdaContext("on_message", "bench", time.monotonic() + 60))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    with trace.open() as file:
        file.seek(before)
        statements = len(re.findall(r"\tF\t\d+\t(?:Execute|Query)\t", file.read()))
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "statements": statements,
        "failed": len(answer["batchItemFailures"]),
        "resident_mib": process.resident(),
        "anonymous_mib": process.anonymous(),
        "modules": dict(reports[-1].modules),
        "log_bytes": printed.size - printed_before,
    }


if __name__ == "__main__":
    main()
