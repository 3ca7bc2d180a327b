"""Compiles a plugin in a child process, which may take too long, grow too large or crash without harm to others.

An untrusted plugin decides how much time and memory Cranelift takes, and a panic in wasmtime ends the process that
called it. The machine has a part in both, so only two endings of a child are the plugin's own: the child reports it
itself, or it used up its CPU time. A crash, or a lack of memory, is the plugin's if a fresh child ends so as well.
Every other ending is a fault of the surroundings.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import IO, Final

import msgspec

from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.model import MemoryType, RefusalKind
from guildhook.sandbox.limits import Limits

REPORT_STATUS: Final = 3
"""The child exits with this status if it refuses the plugin; the last line of its stderr is a ChildReport as JSON."""
COMPILING: Final = b"compiling"
"""The content of stdout while the child compiles: a child that dies with an empty stdout never began."""

# Python needs these variables to start. The rest of the environment is withheld, since it holds secrets.
_ENVIRONMENT: Final = ("LANG", "LD_LIBRARY_PATH", "PATH")
_CRASHES: Final = frozenset({signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGTRAP})
"""The signals by which a panic, a failed assertion or an overflow of the stack ends a process. A failed read of a
mapped file is SIGBUS, and the kernel ends a process with SIGKILL when the machine's memory is full.
"""
_NO_MEMORY_FOR_A_THREAD: Final = 127
"""glibc ends a process with this status if it cannot allocate the data of a new thread."""


_SMALL_ARTIFACT_BYTES: Final = 2 * 1024**2
"""Native code of this size is accepted for any upload."""


@dataclass(frozen=True, slots=True)
class CompileLimits:
    cpu_seconds: int = 120
    """The CPU time of the process that compiles, over all its threads, with the first start of the plugin."""
    timeout_seconds: float = 270
    """The wall time of a compile, with its repetition if the compiler crashed. Its end is never the plugin's fault."""
    memory_bytes: int = 1024**3
    """The address space of the process that compiles."""
    artifact_bytes: int = 64 * 1024**2
    """The size of the native code."""
    artifact_factor: int = 8
    """The size of the native code for each byte of the upload, beyond 2 MiB. A few bytes of wasm can declare a large
    memory with a byte at its end; toolchains need two to four bytes for each.
    """

    def most_artifact_bytes(self, wasm_bytes: int) -> int:
        return min(self.artifact_bytes, _SMALL_ARTIFACT_BYTES + self.artifact_factor * wasm_bytes)


@dataclass(frozen=True, slots=True)
class FirstStart:
    """The limits of a plugin's first start, and the memories that inspection found."""

    limits: Limits
    memories: tuple[MemoryType, ...]


class ChildJob(msgspec.Struct, frozen=True):
    """The argument of the child."""

    limits: CompileLimits
    start: FirstStart | None


class ChildReport(msgspec.Struct, frozen=True):
    """The child's refusal. One for MEMORY counts only if a fresh child says so too."""

    kind: RefusalKind
    reason: str


class _SuspectedError(Exception):
    """The plugin may be the cause, and the surroundings may be."""

    def __init__(self, reason: str, kind: RefusalKind) -> None:
        super().__init__(reason)
        self.kind = kind


def compile_in_child(wasm: bytes, limits: CompileLimits, start: FirstStart | None = None) -> bytes:
    """Compile a plugin that inspection accepted, and start it once if `start` is given. Returns the artifact.

    Raises InvalidPluginError for reasons that hold on every machine, and InfrastructureError for all others.
    """
    began = time.monotonic()
    try:
        return _attempt(wasm, limits, start)
    except _SuspectedError:
        left = limits.timeout_seconds - (time.monotonic() - began)
    try:
        return _attempt(wasm, replace(limits, timeout_seconds=max(left, 0)), start)
    except _SuspectedError as again:
        raise InvalidPluginError(str(again), again.kind) from None


def _attempt(wasm: bytes, limits: CompileLimits, start: FirstStart | None) -> bytes:
    """Raises InvalidPluginError, InfrastructureError and _SuspectedError."""
    cpu_before = _children_cpu_seconds()
    try:
        # A file is used because a pipe is read in pieces and joined, which takes twice the memory of the artifact.
        with tempfile.TemporaryFile() as output:
            child = _run(wasm, output, limits, start)
            output.seek(0)
            written = output.read()
    except subprocess.TimeoutExpired:
        raise InfrastructureError(
            f"compiling it did not end within {limits.timeout_seconds:.4g} s, since the machine is busy"
        ) from None
    except OSError as error:
        raise InfrastructureError(f"cannot run the compile process: {error.strerror or error}") from None
    except MemoryError:
        raise InfrastructureError("cannot run the compile process: the machine has no memory left") from None
    if child.returncode == 0:
        # An artifact whose end the disk has lost would be signed, and would load nowhere.
        if sha256(written).hexdigest().encode() in child.stderr.split():
            return written
        raise InfrastructureError(
            f"the compile process ended with status 0, and the {len(written)} bytes in the temporary folder "
            f"{tempfile.gettempdir()} are not all of its native code"
        )
    if child.returncode == REPORT_STATUS:
        _raise_reported(child.stderr)
    if child.returncode == _NO_MEMORY_FOR_A_THREAD and written:
        raise _SuspectedError(over_memory(limits), RefusalKind.MEMORY)
    if child.returncode < 0 and written:
        _raise_signalled(-child.returncode, limits, _children_cpu_seconds() - cpu_before)
    raise InfrastructureError(f"the compile process ended with {_ending(child)}")


def over_memory(limits: CompileLimits) -> str:
    """The reason to refuse a plugin whose compile failed for want of memory."""
    return f"compiling it needs more than the limit of {limits.memory_bytes} bytes of memory; make it smaller"


def _raise_reported(stderr: bytes) -> None:
    """Raise the child's own report. Returns if there is none: another program may exit with any status."""
    try:
        report = msgspec.json.decode(stderr.rpartition(b"\n")[2], type=ChildReport)
    except ValueError:  # UnicodeDecodeError included
        return
    if report.kind is RefusalKind.MEMORY:
        raise _SuspectedError(report.reason, report.kind)
    raise InvalidPluginError(report.reason, report.kind)


def _raise_signalled(number: int, limits: CompileLimits, cpu_seconds: float) -> None:
    """Raise the verdict on a plugin whose compile ended with a signal. Returns if there is none."""
    # The kernel counts CPU time in ticks. A lower limit that this process has inherited sends the same signal.
    if number == signal.SIGXCPU and cpu_seconds > limits.cpu_seconds - 1:
        raise InvalidPluginError(
            f"compiling it takes more CPU time than the limit of {limits.cpu_seconds} s; make it smaller",
            RefusalKind.CPU_SECONDS,
        )
    if number in _CRASHES:
        raise _SuspectedError(
            f"compiling it crashed the compiler with {signal.Signals(number).name}: it needs more than the limit of "
            f"{limits.memory_bytes} bytes of memory, or the compiler cannot handle it; make it smaller",
            RefusalKind.CRASH,
        )


def _ending(child: subprocess.CompletedProcess[bytes]) -> str:
    number = -child.returncode
    if number > 0:
        return f"signal {number} ({signal.strsignal(number) or 'unknown'})"
    last_words = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return f"status {child.returncode}: {last_words[0] if last_words else 'it said nothing'}"


def _children_cpu_seconds() -> float:
    """The CPU time of all children that have ended. Of two at the same time, each counts as part of the other."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(
    wasm: bytes, output: IO[bytes], limits: CompileLimits, start: FirstStart | None
) -> subprocess.CompletedProcess[bytes]:
    """Raises OSError and subprocess.TimeoutExpired."""
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return subprocess.run(  # noqa: S603 - this Python, with our own arguments
        # -B: where no more can be written, CPython leaves bytecode that is cut off, and later imports of it fail
        # (https://github.com/python/cpython/issues/126606).
        [sys.executable, "-B", "-P", "-m", "guildhook.sandbox", msgspec.json.encode(ChildJob(limits, start)).decode()],
        input=wasm,
        stdout=output,
        stderr=subprocess.PIPE,
        timeout=limits.timeout_seconds,
        env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        check=False,
    )
