"""Compiles in a process of its own, which may take too long, grow too large or crash without harm to anyone.

Cranelift takes as long and as much memory as a stranger's code makes it, and a panic in wasmtime ends the
process that called it: both are no more than a reason to refuse the plugin.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

from guildhook.errors import InfrastructureError, InvalidPluginError

REFUSED_STATUS = 3
"""The child's exit status when its stderr says why the plugin is invalid."""

# All that Python may need to start. The rest of the environment holds the secrets of the function.
_ENVIRONMENT = ("LANG", "LD_LIBRARY_PATH", "PATH")


@dataclass(frozen=True, slots=True)
class CompileLimits:
    timeout_seconds: float = 25
    memory_bytes: int = 1024**3
    """Address space of the child."""


def compile_in_child(wasm: bytes, limits: CompileLimits) -> bytes:
    """The artifact of what inspection accepted.

    Raises InvalidPluginError for what does not compile within the limits, InfrastructureError if no child can be
    started.
    """
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        child = subprocess.run(  # noqa: S603 - this Python, with arguments of our own
            [sys.executable, "-P", "-m", "guildhook.sandbox", str(limits.memory_bytes)],
            input=wasm,
            capture_output=True,
            timeout=limits.timeout_seconds,
            env={**environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InvalidPluginError(f"compiling it takes longer than the limit of {limits.timeout_seconds} s") from None
    except OSError as error:
        raise InfrastructureError(f"cannot start a process to compile in: {error.strerror}") from None
    if child.returncode == 0:
        return child.stdout
    if child.returncode == REFUSED_STATUS:
        raise InvalidPluginError(child.stderr.decode(errors="replace"))
    if child.returncode < 0:
        raise InvalidPluginError(
            f"compiling it ends the compiler with {signal.Signals(-child.returncode).name}; it needs more than the "
            f"limit of {limits.memory_bytes} bytes of memory, or is more than the compiler can take"
        )
    last_words = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
    raise InfrastructureError(f"the process to compile in ended with status {child.returncode}: {last_words}")
