"""Compiles in a process of its own, which may take too long, grow too large or crash without harm to anyone.

Cranelift takes as long and as much memory as a stranger's code makes it, and a panic in wasmtime ends the
process that called it: both are no more than a reason to refuse the plugin.
"""

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import IO

import msgspec

from guildhook.errors import InfrastructureError, InvalidPluginError
from guildhook.model import MemoryType
from guildhook.sandbox.limits import Limits

REFUSED_STATUS = 3
"""The child's exit status when its stderr says why the plugin is invalid."""

# All that Python may need to start. The rest of the environment holds the secrets of the function.
_ENVIRONMENT = ("LANG", "LD_LIBRARY_PATH", "PATH")


@dataclass(frozen=True, slots=True)
class CompileLimits:
    timeout_seconds: float = 25
    """The wall time of the process that compiles, with the first start of the plugin."""
    memory_bytes: int = 1024**3
    """The address space of that process."""
    artifact_bytes: int = 64 * 1024**2
    """The size of the native code. A few bytes of wasm can declare a large memory with a byte at its end."""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """The first start of a plugin: what it may use, and the memories that inspection found."""

    limits: Limits
    memories: tuple[MemoryType, ...]


def compile_in_child(wasm: bytes, limits: CompileLimits, start: FirstStart | None = None) -> bytes:
    """The artifact of what inspection accepted, started once if `start` says so.

    Raises InvalidPluginError for what does not compile within the limits, or does not start; InfrastructureError if no
    child can be started.
    """
    # A file, since a pipe would be read in pieces and then joined: twice the memory of the largest artifact.
    with tempfile.TemporaryFile() as artifact:
        child = _run(wasm, artifact, limits, start)
        if child.returncode == 0:
            artifact.seek(0)
            return artifact.read()
    if child.returncode == REFUSED_STATUS:
        raise InvalidPluginError(child.stderr.decode(errors="replace"))
    if child.returncode < 0:
        raise InvalidPluginError(
            f"compiling it ends the compiler with {signal.Signals(-child.returncode).name}; it needs more than the "
            f"limit of {limits.memory_bytes} bytes of memory, or is more than the compiler can take"
        )
    last_words = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
    raise InfrastructureError(f"the process to compile in ended with status {child.returncode}: {last_words}")


def _run(
    wasm: bytes, artifact: IO[bytes], limits: CompileLimits, start: FirstStart | None
) -> subprocess.CompletedProcess[bytes]:
    arguments = [str(limits.memory_bytes), str(limits.artifact_bytes), msgspec.json.encode(start).decode()]
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        return subprocess.run(  # noqa: S603 - this Python, with arguments of our own
            [sys.executable, "-P", "-m", "guildhook.sandbox", *arguments],
            input=wasm,
            stdout=artifact,
            stderr=subprocess.PIPE,
            timeout=limits.timeout_seconds,
            env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InvalidPluginError(f"compiling it takes longer than the limit of {limits.timeout_seconds} s") from None
    except OSError as error:
        raise InfrastructureError(f"cannot start a process to compile in: {error.strerror}") from None
