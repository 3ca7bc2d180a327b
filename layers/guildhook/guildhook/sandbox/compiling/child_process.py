"""Compiles a plugin in a child process, which may take too long, grow too large or crash without harm to others.

An untrusted plugin decides how much time and memory Cranelift takes, and a panic in wasmtime ends the process that
called it. In a child process both are just reasons to refuse the plugin.
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
"""The child exits with this status if the plugin is invalid; its stderr holds the reason."""

# Python needs these variables to start. The rest of the environment is withheld, since it holds secrets.
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
    """The limits of a plugin's first start, and the memories that inspection found."""

    limits: Limits
    memories: tuple[MemoryType, ...]


def compile_in_child(wasm: bytes, limits: CompileLimits, start: FirstStart | None = None) -> bytes:
    """Compile a plugin that inspection accepted, and start it once if `start` is given. Returns the artifact.

    Raises InvalidPluginError if it does not compile within the limits or does not start; InfrastructureError if no
    child can be started.
    """
    # A file is used because a pipe is read in pieces and joined, which takes twice the memory of the artifact.
    with tempfile.TemporaryFile() as artifact:
        child = _run(wasm, artifact, limits, start)
        if child.returncode == 0:
            artifact.seek(0)
            return artifact.read()
    if child.returncode == REFUSED_STATUS:
        raise InvalidPluginError(child.stderr.decode(errors="replace"))
    if child.returncode < 0:
        raise InvalidPluginError(
            f"compiling it crashed the compiler with {signal.Signals(-child.returncode).name}: it needs more than the "
            f"limit of {limits.memory_bytes} bytes of memory, or the compiler cannot handle it; make it smaller"
        )
    last_words = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
    raise InfrastructureError(f"the compile process ended with status {child.returncode}: {last_words}")


def _run(
    wasm: bytes, artifact: IO[bytes], limits: CompileLimits, start: FirstStart | None
) -> subprocess.CompletedProcess[bytes]:
    arguments = [str(limits.memory_bytes), str(limits.artifact_bytes), msgspec.json.encode(start).decode()]
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        return subprocess.run(  # noqa: S603 - this Python, with our own arguments
            [sys.executable, "-P", "-m", "guildhook.sandbox", *arguments],
            input=wasm,
            stdout=artifact,
            stderr=subprocess.PIPE,
            timeout=limits.timeout_seconds,
            env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InvalidPluginError(
            f"compiling it takes longer than the limit of {limits.timeout_seconds} s; make it smaller"
        ) from None
    except OSError as error:
        raise InfrastructureError(f"cannot start the compile process: {error.strerror}") from None
