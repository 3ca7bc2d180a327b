"""Starts, watches, kills and replaces the processes of a function."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random

_END_SECONDS = 15
_COMPILER = b"guildhook.sandbox"
"""The program that compiles a plugin."""


class Process:
    """One handler, with a cache of its own and a thread that reads its output."""

    def __init__(self, environment: Mapping[str, str], arguments: list[str], heard: "Heard") -> None:
        self._cache = tempfile.TemporaryDirectory(prefix="guildhook-cache-")
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close
        self._heard = heard
        self.killed = False
        self._asked_to_end = False
        self.busy_since: float | None = None
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("handler.py")), *arguments],
            env={**os.environ, **environment, "GUILDHOOK_CACHE_DIR": self._cache.name},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"handler-{self._process.pid}")
        self._reader.start()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        self.killed = True
        # A process that compiles would outlive this one for ever if it is stopped.
        self.signal_compiles(signal.SIGKILL)
        self._process.kill()

    def limit(self, kind: int, value: int) -> None:
        """Set a limit of the module `resource`, which only root can raise again. Later children have it too."""
        with suppress(ProcessLookupError):
            resource.prlimit(self._process.pid, kind, (value, value))

    def signal_compiles(self, number: signal.Signals) -> None:
        """Send a signal to the processes that compile a plugin for this one."""
        for children in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            with suppress(OSError):  # the thread or the child is over
                for child in children.read_text().split():
                    # Until the child runs a program of its own, this process waits for it and nothing else.
                    if _COMPILER in Path(f"/proc/{child}/cmdline").read_bytes():
                        os.kill(int(child), number)

    def ask_to_end(self) -> None:
        self._asked_to_end = True
        self._process.terminate()

    def close(self) -> str | None:
        """Wait for the end of the process. Returns a description of an unexpected end, else None."""
        try:
            status = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self._process.wait()
        self._reader.join()
        self._cache.cleanup()
        with self._errors as errors:
            errors.seek(0)
            last_words = errors.read().strip().splitlines()[-1:]
        # The signal can come before the process has a handler for it.
        expected = self.killed or status == 0 or (self._asked_to_end and status == -signal.SIGTERM)
        return None if expected else f"a handler ended with {status}: {' '.join(last_words)}"

    def _read(self) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                except ValueError:  # it was killed in the middle of it
                    continue
                self._note(entry)

    def _note(self, entry: Mapping[str, object]) -> None:
        match entry:
            case {"chaos": "began", "messages": dict(messages)}:
                self.busy_since = time.monotonic()
                self._heard.began(messages)
                for seconds in self._heard.take_kills():
                    time.sleep(seconds)
                    self.kill()
            case {"chaos": "ended"}:
                self.busy_since = None
            case {"message": "record skipped", "event_id": str(record), "reason": str(reason)}:
                self._heard.skipped(record, reason)
            case {"message": "record failed", "reason": str(reason)}:
                self._heard.failed(reason)


class Heard:
    """The output of all handlers."""

    def __init__(self) -> None:
        self._messages: dict[str, str] = {}
        self.skipped_messages: set[str] = set()
        self.failures: Counter[str] = Counter()
        """Why records came back, with N for all numbers."""
        self._kills: deque[float] = deque()

    def kill_in_batch(self, after_seconds: float) -> None:
        """Kills the handler of the next batch, this long after its start."""
        self._kills.append(after_seconds)

    def take_kills(self) -> Iterator[float]:
        with suppress(IndexError):
            yield self._kills.popleft()

    def began(self, messages: Mapping[str, str]) -> None:
        self._messages.update(messages)

    def skipped(self, record: str, reason: str) -> None:
        if reason:
            self.skipped_messages.add(self._messages[record])

    def failed(self, reason: str) -> None:
        self.failures[re.sub(r"[0-9]+[0-9a-f.-]*", "N", reason)] += 1


class Handlers:
    """Keeps a number of handlers running, and replaces those that end."""

    def __init__(
        self, function: Path, environment: Mapping[str, str], queue_url: str, count: int, timeout_seconds: float
    ) -> None:
        """`function` is the folder of a function."""
        self._environment = environment
        self._arguments = [str(function), queue_url, str(timeout_seconds)]
        self._timeout_seconds = timeout_seconds
        self._count = count
        self._processes: list[Process] = []
        self._limits: dict[int, int] = {}
        """The limits in force, by their number in the module `resource`."""
        self.heard = Heard()
        self.started = 0
        self.timed_out = 0
        """The number of handlers that were killed because a batch exceeded the timeout, as Lambda does."""
        self.crashes: list[str] = []

    @property
    def idle(self) -> bool:
        return all(process.busy_since is None for process in self._processes)

    def keep(self) -> None:
        """Replace handlers that have ended, and kill those that exceed the timeout."""
        for process in self._processes:
            busy_since = process.busy_since
            if not process.killed and busy_since and time.monotonic() - busy_since > self._timeout_seconds:
                self.timed_out += 1
                process.kill()
        for process in [process for process in self._processes if process.ended]:
            self._processes.remove(process)
            self._close(process)
        while len(self._processes) < self._count:
            process = Process(self._environment, self._arguments, self.heard)
            for kind, value in self._limits.items():
                process.limit(kind, value)
            self._processes.append(process)
            self.started += 1

    def kill_one(self, random: Random) -> None:
        alive = [process for process in self._processes if not process.killed]
        if alive:
            random.choice(alive).kill()

    def kill_all(self) -> None:
        for process in self._processes.copy():
            process.kill()

    def limit(self, kind: int, value: int) -> None:
        """Set a limit of the module `resource` for all processes, and for those that replace them."""
        self._limits[kind] = value
        for process in self._processes:
            process.limit(kind, value)

    def end_limit(self, kind: int) -> None:
        """Replace the processes that have the limit."""
        self._limits.pop(kind, None)  # another fault of the kind may have ended it
        self.kill_all()

    def signal_compiles(self, number: signal.Signals) -> None:
        for process in self._processes:
            process.signal_compiles(number)

    def close(self) -> None:
        for process in self._processes:
            process.ask_to_end()
        for process in self._processes:
            self._close(process)
        self._processes.clear()

    def _close(self, process: Process) -> None:
        crash = process.close()
        if crash:
            self.crashes.append(crash)
